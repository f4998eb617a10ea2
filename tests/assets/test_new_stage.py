"""What it takes to add a stage: a `Stage`, a spec and a result, a worker, and an asset. Everything else follows.

The stage counts the words of a shard's answers. This file is all that is written for it.
"""

from pathlib import Path

import dagster as dg
import pytest

from distill_dagster import definitions
from distill_dagster.assets.stage_asset import StageAsset, stage_asset
from distill_dagster.config.reading import load_config
from distill_dagster.definitions import build_definitions
from distill_dagster.lineage.freshness import code_versions, is_fresh
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.lineage.stages import STAGES, Stage
from distill_dagster.lineage.upstream import Upstream
from distill_dagster.operations.runner import QUIET
from distill_dagster.planning.steps import list_steps
from distill_dagster.store import files, hashing, parquet
from distill_dagster.store.result import Counts, Result, Spec
from distill_dagster.workers import WORKERS, Worker
from testing.api_project import write_api_project
from testing.projects import run_project

# 1. the stage, in lineage/stages.py

STAGE = Stage(
    "answer_words",
    group="teacher",
    worker="count_words",
    shaped_by=lambda config: {"labels": config.quality.labels},
    reads=lambda _: ("teacher_outputs",),
    sharded=True,
)

# 2. its spec and result, in the room's specs.py, and the worker


class WordsSpec(Spec):
    """Count the words of a shard's answers."""

    answers: str
    out: str


class WordsCounts(Counts):
    """Answers and their words."""

    answers: int
    words: int


class WordsResult(Result[WordsCounts]):
    """How many words a shard's answers have."""


def count_words(spec: WordsSpec, device: str) -> WordsResult:
    """Write words.txt."""
    texts = [row["raw_text"] or "" for row in parquet.read_table(Path(spec.answers), ["raw_text"])]
    words = sum(len(text.split()) for text in texts)
    (Path(spec.out) / "words.txt").write_text(f"{words}\n")
    return WordsResult(data_version=hashing.sha256(str(words)), counts=WordsCounts(answers=len(texts), words=words))


@pytest.fixture
def words(monkeypatch) -> StageAsset:
    """The stage among the others, and its asset."""
    monkeypatch.setitem(STAGES, STAGE.name, STAGE)
    # 3. a line in workers.py
    monkeypatch.setitem(WORKERS, "count_words", Worker(f"{__name__}:count_words", WordsSpec, WordsResult))

    # 4. the asset, in assets/
    @stage_asset(view=lambda manifest: {"words": manifest.read(WordsResult).counts.words}, kinds={"python"})
    def answer_words(upstream: Upstream, out: Path, work: Path) -> WordsSpec:
        """The words of one shard's answers."""
        return WordsSpec(answers=upstream.file("teacher_outputs", files.TEACHER_FILE), out=str(out))

    monkeypatch.setitem(definitions.ASSETS, STAGE.name, answer_words)
    return answer_words


def test_a_stage_is_planned_made_and_fresh(words, tmp_path, server, instance):
    project = Project(load_config(write_api_project(tmp_path, server, shards=1)))
    planned = [step.title for step in list_steps(Snapshot(project)) if step.asset == STAGE.name]
    assert planned == ["answer_words[train-part-00]", "answer_words[validation]"]
    assert not run_project(project.config, instance, "teacher_outputs").failed
    job = build_definitions(project.config).resolve_implicit_global_asset_job_def()
    assert job.execute_in_process(
        instance=instance, asset_selection=[dg.AssetKey(STAGE.name)], partition_key="validation", run_config=QUIET
    ).success
    look = Snapshot(project)
    assert is_fresh(look, STAGE.name, "validation")
    assert look.get(STAGE.name, "validation").read(WordsResult).counts.words > 0


def test_dagster_derives_deps_partitions_and_version_from_the_stage(words, tmp_path, server):
    config = load_config(write_api_project(tmp_path, server))
    versions = code_versions(config)
    (spec,) = words.build(config, versions[STAGE.name]).specs
    assert [dep.asset_key for dep in spec.deps] == [dg.AssetKey("teacher_outputs")]
    assert (spec.group_name, spec.partitions_def) == ("teacher", dg.DynamicPartitionsDefinition(name="shards"))
    other = config.model_copy(update={"quality": config.quality.model_copy(update={"labels": ["a"]})})
    assert spec.code_version == versions[STAGE.name] != code_versions(other)[STAGE.name]
    dg.Definitions.validate_loadable(build_definitions(config))


def test_a_read_that_the_stage_does_not_declare_is_refused(words, tmp_path, server, instance):
    project = Project(load_config(write_api_project(tmp_path, server)))
    upstream = Upstream(Snapshot(project), STAGE, "validation")
    with pytest.raises(AssertionError, match="answer_words reads raw_dataset, and its Stage declares teacher_outputs"):
        upstream.file("raw_dataset", files.RAW_FILE)
    with pytest.raises(AssertionError, match="answer_words is not made from student_base"):
        upstream.provenance("student_base")

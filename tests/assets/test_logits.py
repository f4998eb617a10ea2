"""The asset is there where it is asked for, holds what it says, and stops what is not accounted for."""

import shutil

import dagster as dg
import pytest

from distill_dagster.config import DistillConfig, LogitsConfig
from distill_dagster.config.reading import load_config
from distill_dagster.definitions import build_definitions
from distill_dagster.errors import ConfigError, DataError
from distill_dagster.lineage.freshness import is_fresh
from distill_dagster.lineage.guards import require_trainable
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.lineage.stages import STAGES, stages_of
from distill_dagster.lineage.upstream import Upstream
from distill_dagster.logits.table import LogitsWriter, read_logits
from distill_dagster.operations.runner import QUIET
from distill_dagster.store import files, parquet
from testing.projects import run_project, tiny_settings, write_project

SHARD = "train-part-00"


@pytest.fixture(scope="module")
def captured(tmp_path_factory):
    """A tiny project up to its logits, run once: (project, instance, outcome). Tests only read it."""
    config = load_config(write_project(tmp_path_factory.mktemp("logits"), **{"teacher.logits": {"k": 16}}))
    with dg.DagsterInstance.ephemeral() as instance:
        yield Project(config), instance, run_project(config, instance, "teacher_logits")


def keys_of(config):
    return {spec.key.to_user_string() for spec in build_definitions(config).resolve_all_asset_specs()}


def test_the_asset_is_there_only_where_it_is_asked_for():
    without, with_it = (DistillConfig.model_validate(tiny_settings(**c)) for c in ({}, {"teacher.logits": {}}))
    assert "teacher_logits" not in keys_of(without)
    assert "teacher_logits" not in [stage.name for stage in stages_of(without)]
    assert keys_of(with_it) - keys_of(without) == {"teacher_logits"}
    assert [stage.name for stage in stages_of(with_it)][3:5] == ["teacher_outputs", "teacher_logits"]
    definitions = build_definitions(with_it)
    dg.Definitions.validate_loadable(definitions)
    node = definitions.resolve_asset_graph().get(dg.AssetKey("teacher_logits"))
    assert {key.to_user_string() for key in node.parent_keys} == {"raw_dataset", "teacher_outputs", "teacher_model"}
    assert node.pools == {"gpu_teacher"}


def test_the_defaults_are_sixty_four_tokens_without_loss():
    assert LogitsConfig().model_dump() == {"k": 64, "precision": "lossless", "tail": "bucket", "batch_tokens": 16_384}


@pytest.mark.parametrize("wrong", [{"k": 0}, {"precision": "int4"}, {"top": 5}])
def test_a_wrong_setting_is_named(tmp_path, wrong):
    with pytest.raises(
        ConfigError,
        match=rf"teacher.logits.{next(iter(wrong))}|unknown field {next(iter(wrong))} \(in teacher.logits\)",
    ):
        load_config(write_project(tmp_path, **{"teacher.logits": wrong}))


@pytest.mark.processes
def test_every_shard_has_logits_of_its_answers(captured):
    project, _, outcome = captured
    assert outcome.failed == {}
    assert f"teacher_logits[{SHARD}]" in outcome.materialized
    for shard in Snapshot(project).sources:
        answers = project.store.get("teacher_outputs", shard)
        manifest = project.store.get("teacher_logits", shard)
        table = parquet.read_table(answers.file(files.TEACHER_FILE))
        texts = {(row["row_id"], row["sample"], row["turn"]): row["raw_text"] for row in table}
        rows = list(read_logits(manifest.file(files.LOGITS_FILE)))
        rejects = parquet.read_table(manifest.file(files.REJECTS_FILE))
        assert {row.key for row in rows} <= texts.keys()
        assert len(rows) + len(rejects) == len(texts) == manifest.counts["requests"]
        assert all(row.ids.shape == row.logprobs.shape == (len(row.token_ids), 16) for row in rows)
        assert {row.teacher_revision for row in rows} == {project.store.get("teacher_model").data_version}


@pytest.mark.processes
def test_its_metadata_says_what_it_costs(captured):
    project, instance, _ = captured
    keys = dg.AssetRecordsFilter(asset_key=dg.AssetKey("teacher_logits"), asset_partitions=[SHARD])
    metadata = instance.fetch_materializations(keys, limit=1).records[0].asset_materialization.metadata
    assert {"device", "dtype", "seconds", "gpu_seconds", "peak_memory_mb", "counts", "made_from"} <= metadata.keys()
    assert metadata["tokens"].value == project.store.get("teacher_logits", SHARD).facts["tokens"] > 0
    assert 0 < metadata["kept_mass"].value <= 1.001
    assert metadata["bytes_per_token"].value > 0
    assert metadata["tokens_per_second"].value > 0
    assert metadata["of"].value["k"] == 16
    assert "rejected" in metadata
    assert len(repr(metadata)) < 100_000


@pytest.mark.processes
def test_a_second_run_makes_nothing(captured):
    project, instance, _ = captured
    assert run_project(project.config, instance, "teacher_logits").materialized == []


@pytest.mark.processes
@pytest.mark.parametrize(
    ("changes", "fresh"),
    [({"batch_tokens": 128}, True), ({"k": 8}, False), ({"precision": "compact"}, False), ({"tail": "sampled"}, False)],
)
def test_only_what_shapes_the_file_makes_it_stale(captured, changes, fresh):
    config = captured[0].config
    logits = config.teacher.logits.model_copy(update=changes)
    changed = config.model_copy(update={"teacher": config.teacher.model_copy(update={"logits": logits})})
    assert is_fresh(Snapshot(Project(changed)), "teacher_logits", SHARD) is fresh
    assert is_fresh(Snapshot(Project(changed)), "teacher_outputs", SHARD)


@pytest.fixture
def copy_of_captured(captured, tmp_path):
    """Call it for the config of a copy of that project, with these changes in it."""

    def copy(**changes) -> DistillConfig:
        shutil.copytree(captured[0].config.store, tmp_path / "store")
        return load_config(write_project(tmp_path, **changes))

    return copy


@pytest.mark.processes
def test_the_check_fails_where_an_answer_has_neither_logits_nor_a_reject(copy_of_captured, instance):
    config = copy_of_captured(**{"teacher.logits": {"k": 16}})
    instance.add_dynamic_partitions("shards", [SHARD])
    path = Project(config).store.get("teacher_logits", SHARD).file(files.LOGITS_FILE)
    rows = parquet.read_table(path)
    with LogitsWriter(path) as writer:
        writer.write(rows[1:])
    result = (
        build_definitions(config)
        .resolve_implicit_global_asset_job_def()
        .execute_in_process(
            instance=instance,
            asset_selection=[dg.AssetKey("teacher_logits")],
            partition_key=SHARD,
            raise_on_error=False,
            run_config=QUIET,
        )
    )
    (check,) = result.get_asset_check_evaluations()
    assert (check.passed, check.blocking) == (False, True)
    assert check.metadata["missing"].value == 1
    assert "1 neither" in check.description


@pytest.mark.processes
@pytest.mark.parametrize("tail", ["bucket", "sampled"])
def test_a_student_learns_from_the_stored_distributions(copy_of_captured, instance, tail):
    logits = {"k": 16, "tail": tail}  # those of the copy, or others
    config = copy_of_captured(**{"teacher.logits": logits, "student.training.signal": "logits"})
    project, outcome = Project(config), run_project(config, instance, "student_checkpoint")
    assert outcome.failed == {}
    student = project.store.get("student_checkpoint")
    assert student.inputs["teacher_logits"].keys() == Snapshot(project).sources.keys()
    assert student.facts["training"]["loss"] == "0.5 * CE + 0.5 * forward_kl at T = 1"
    assert student.counts["no_logits"] + student.counts["train_rows"] > 0
    text = student.file("model/README.md").read_text()
    assert "| loss | 0.5 \\* CE + 0.5 \\* forward\\_kl at T = 1 |" in text
    refuse_mixed(project)


def refuse_mixed(project):
    """Distributions of other answers, of another teacher or of other settings than the rest make no student."""

    def guarded(shard=SHARD, **changes):
        look = Snapshot(project)
        look.get("teacher_logits", shard).inputs.update(changes)
        require_trainable(Upstream(look, STAGES["student_checkpoint"], None))

    guarded()
    for changes in ({"teacher_model": "another"}, {"teacher_outputs": "another"}):
        with pytest.raises(DataError, match=rf"teacher_logits of 1 of 4 shards \({SHARD}\) are of other answers"):
            guarded(**changes)
    with pytest.raises(DataError, match="captured with 2 different settings"):
        guarded(logits={"k": 9})


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "`teacher.logits` is not given: add"),
        ({"teacher.logits": {"tail": "sampled"}, "student.training.logits": {"temperature": 2}}, "use `tail: bucket`"),
        ({"teacher.logits": {}, "student.model.tokenizer": "train"}, "use `tokenizer: teacher`"),
        ({"teacher.logits": {}, "student.training.label_smoothing": 0.1}, "label_smoothing"),
        ({"teacher.logits": {}, "student.training.logits": {"temperature": 3}}, "temperature"),
    ],
)
def test_a_signal_that_cannot_be_learned_is_refused_in_the_config(tmp_path, changes, expected):
    with pytest.raises(ConfigError, match=expected):
        load_config(write_project(tmp_path, **{"student.training.signal": "logits", **changes}))

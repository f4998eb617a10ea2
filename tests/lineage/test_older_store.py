"""A store that the version before wrote is read as it is: no teacher is asked, and what is made again is named here.

`tests/stores/version_0_1_0` is a whole run of commit f4090ef over 24 rows: its teacher answered on port 18999 of this
machine, where nothing listens now.
"""

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from distill_dagster.clearing.specs import Rules
from distill_dagster.config import ReleaseConfig
from distill_dagster.config.reading import load_config
from distill_dagster.errors import NotPublishedError
from distill_dagster.lineage.freshness import inputs_of
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.releases import earlier_release
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.lineage.stages import stages_of
from distill_dagster.planning.plan import make_plan
from distill_dagster.quality.filters.shard_answers import judged_answers
from distill_dagster.report.document import read_document
from distill_dagster.report.tables import summary_rows
from distill_dagster.sources.judging.shared_ids import ids_and_contents, open_row_ids
from distill_dagster.store import files, parquet, schemas
from distill_dagster.teachers.responses import Responses
from testing.clearing import clear
from testing.projects import run_project

pytestmark = pytest.mark.slow

OLD = Path(__file__).parents[1] / "stores" / "version_0_1_0"
MADE_AGAIN = {  # stage -> its inputs that have changed: rows and answers are read and scored in another way since
    "raw_dataset": {"code_version"},  # equal rows have equal hashes, so that no request changes
    "eval_dataset": {"code_version"},
    "teacher_outputs": {"code_version"},
    "validated_synthetic_set": {"code_version"},
    "teacher_benchmark": {"code_version", "evaluation"},  # how many prompts are timed bears on speed alone
    "baseline_benchmark": {"code_version", "evaluation"},
    "student_benchmark": {"code_version", "evaluation"},
    "eval_report": {"code_version", "eval_dataset", "speed_benchmark"},
}
NEW = "speed_benchmark"  # the older version timed each model in its benchmark
KEPT = {"teacher_model", "student_base", "student_checkpoint"}
PLANNED = {*MADE_AGAIN, NEW, *KEPT}  # nobody knows yet what stays the same


@pytest.fixture
def project(tmp_path) -> Project:
    shutil.copytree(OLD, tmp_path, dirs_exist_ok=True)
    return Project(load_config(tmp_path / "distill.yaml"))


def test_every_manifest_is_of_the_present_inputs_but_for_the_named_ones(project):
    look = Snapshot(project)
    changed = {}
    assert look.find(NEW) is None
    with pytest.raises(NotPublishedError, match=NEW):
        inputs_of(look, "eval_report")
    for stage in (stage for stage in stages_of(project.config) if stage.name not in (NEW, "eval_report")):
        for shard in look.shards if stage.sharded else [None]:
            before, now = look.get(stage.name, shard).inputs, inputs_of(look, stage.name, shard)
            if before != now:
                changed[stage.name] = {key for key in {**before, **now} if before.get(key) != now.get(key)}
    assert changed == {name: inputs for name, inputs in MADE_AGAIN.items() if name != "eval_report"}


def test_a_release_of_such_a_store_is_one_more_step(project):
    config = project.config.model_copy(update={"release": ReleaseConfig()})
    with_release = Project(config)
    states = {step.title: step.state for step in make_plan(Snapshot(with_release)).steps}
    before = {step.title: step.state for step in make_plan(Snapshot(project)).steps}
    assert states == {**before, "released_student": "missing"}
    assert earlier_release(with_release.store) is None


def test_no_request_is_planned(project):
    plan = make_plan(Snapshot(project))
    assert plan.total.new == 0
    assert {step.asset for step in plan.steps if not step.is_fresh} <= PLANNED


@pytest.mark.processes
def test_a_run_asks_nothing_and_makes_again_what_is_named(project, instance):
    versions = {name: project.store.get(name).version for name in ("teacher_model", "student_checkpoint")}
    hashes = {shard: project.store.get("raw_dataset", shard).data_version for shard in Snapshot(project).shards}
    outcome = run_project(project.config, instance)
    assert not outcome.failed
    assert {name.partition("[")[0] for name in outcome.materialized} == {*MADE_AGAIN, NEW}
    assert {shard: project.store.get("raw_dataset", shard).data_version for shard in hashes} == hashes
    assert {name: project.store.get(name).version for name in versions} == versions


def test_replies_are_found_where_an_answers_table_is_lost(project, instance):
    shutil.rmtree(project.store.folder("teacher_outputs", "train-part-00"))
    outcome = run_project(project.config, instance, "teacher_outputs")
    assert not outcome.failed, "nothing listens where the teacher answered"
    assert "teacher_outputs[train-part-00]" in outcome.materialized


def test_the_report_of_the_older_version_reads(project):
    document = read_document(project.store.get("eval_report").file(files.REPORT_FILE))
    assert (document.speed, document.lesson) == (None, [])
    assert ("Latency p50", "not measured", "not measured", "not measured") in summary_rows(document)


def with_word(path: Path, word: str, where: str = "finish_reason") -> None:
    """Give the first row of a table another word."""
    table = pq.read_table(path)
    words = [word, *table[where].to_pylist()[1:]]
    place = table.schema.get_field_index(where)
    pq.write_table(table.set_column(place, table.schema.field(where), pa.array(words, pa.string())), path)


def shard_of(project: Project) -> Path:
    return project.store.folder("teacher_outputs", "train-part-00")


def first_reply(project: Project) -> None:
    """Interrupt the reply to the shard's first row, in the table and among the stored replies."""
    table = next(shard_of(project).glob("versions/*/teacher.parquet"))
    key = pq.read_table(table)["request_hash"][0].as_py()
    with_word(table, "network_error")
    for segment in (project.responses / "segments").glob("*.parquet"):
        stored = pq.read_table(segment)
        place = stored.schema.get_field_index("finish_reason")
        rows = zip(stored["request_hash"].to_pylist(), stored["finish_reason"].to_pylist(), strict=True)
        words = ["network_error" if row == key else word for row, word in rows]
        pq.write_table(stored.set_column(place, "finish_reason", pa.array(words, pa.string())), segment)


def test_an_interrupted_answer_that_was_published_as_a_whole_one_is_asked_again(project):
    first_reply(project)
    plan = make_plan(Snapshot(project))
    step = next(step for step in plan.steps if step.title == "teacher_outputs[train-part-00]")
    assert step.state == "stale"
    assert "requests that failed are sent again" in step.why
    assert [(shard.shard, shard.new, shard.reused) for shard in plan.shards if shard.new] == [("train-part-00", 1, 7)]


@pytest.mark.parametrize(
    ("errors", "are_sent"), [({"http_498": 1}, True), ({"http_400": 2}, True), ({"E010": 1}, False), ({}, False)]
)
def test_faults_that_an_older_version_took_for_final_are_asked_again_if_they_may_pass(project, errors, are_sent):
    path = shard_of(project) / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["facts"]["errors"] = errors
    path.write_text(json.dumps(manifest))
    steps = make_plan(Snapshot(project)).steps
    step = next(step for step in steps if step.title == "teacher_outputs[train-part-00]")
    assert ("requests that failed are sent again" in step.why) is are_sent


@pytest.mark.parametrize("word", ["eos", "end_turn", "COMPLETE"])
def test_an_answer_that_was_refused_for_its_word_for_the_end_is_taken_without_a_call(project, word, instance):
    with_word(next(shard_of(project).glob("versions/*/teacher.parquet")), word)
    outcome = run_project(project.config, instance, "validated_synthetic_set")
    assert not outcome.failed
    kept = pq.read_table(next(project.store.folder("validated_synthetic_set").glob("versions/*/rejects.parquet")))
    assert "unfinished" not in kept["code"].to_pylist()


def test_the_answers_of_an_older_store_are_judged_although_its_rows_lack_newer_columns(project):
    raw = project.store.get("raw_dataset", "train-part-00").file(files.RAW_FILE)
    assert not schemas.LATER.keys() & set(pq.read_schema(raw).names)
    answers = project.store.get("teacher_outputs", "train-part-00").file(files.TEACHER_FILE)
    reasons = [reason for _, reason in judged_answers(raw, answers, project.config.quality, "answer")]
    assert len(reasons) == 8
    assert None in reasons
    with open_row_ids() as held:
        for shard in ("a", "b"):
            for ids, contents in ids_and_contents(raw):
                held.add(shard, ids, contents)
        assert held.shared("b") == []
    assert parquet.load_table(raw, ["not_gold", "row_id"])["not_gold"].null_count == 8


@pytest.mark.processes
def test_clearing_such_a_store_takes_nothing_that_a_run_needs(project, instance):
    after_years = Rules(now=datetime.now(UTC) + timedelta(days=1000))
    stored = Responses(project.responses)
    hashes, spent = {key for sealed in stored.sealed() for key in sealed.hashes.to_pylist()}, stored.spent()
    shutil.rmtree(project.store.root.parent / "data/train")
    (project.store.root.parent / "data/train").mkdir()
    shutil.copy(OLD / "data/train/part-00.jsonl", project.store.root.parent / "data/train")
    for _ in range(2):
        assert [lot.count for lot in clear(project, after_years) if lot.count] == []
    assert Responses(project.responses).find(hashes).keys() == hashes, "they do not say which prompt they answer"
    shutil.copy(OLD / "data/train/part-01.jsonl", project.store.root.parent / "data/train")
    assert not run_project(project.config, instance).failed, "nothing listens where the teacher answered"
    gone = [lot for lot in clear(project, after_years) if lot.count]
    assert {(lot.kind, name.partition("/")[0].partition(" ")[0]) for lot in gone for name in lot.names} == {
        ("version", stage) for stage in MADE_AGAIN
    }, "the versions that the older package wrote, where a newer one has replaced them"
    assert make_plan(Snapshot(project)).total.new == 0
    assert run_project(project.config, instance).materialized == []
    assert Responses(project.responses).spent() == spent

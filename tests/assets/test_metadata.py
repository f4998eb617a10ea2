"""What the UI shows of every materialization: numbers that plot, described columns, column lineage, order."""

import dagster as dg
import pytest

from distill_dagster.assets.naming import Names
from distill_dagster.assets.views.evaluation import report_view
from distill_dagster.assets.views.lineage import column_lineage
from distill_dagster.assets.views.numbers import EXACT, rounded
from distill_dagster.assets.views.training import training_metadata
from distill_dagster.lineage.stages import STAGES, ancestors
from distill_dagster.report.document import read_document
from distill_dagster.store.columns import MADE_FROM, TABLES, describe
from distill_dagster.training.record import EarlyStop, TrainingRun
from testing.projects import last_metadata
from tests.assets.metadata_keys import METADATA

BENCHMARK = {"score", "score_low", "score_high", "bytes_on_disk"}
RETENTION = {"retention", "retention_low", "retention_high", "gap_recovered"}  # those that are defined
PLOTTED = {
    "teacher_outputs": {"prompt_tokens", "completion_tokens", "success_share"},
    "validated_synthetic_set": {"acceptance"},
    "teacher_benchmark": BENCHMARK,
    "baseline_benchmark": BENCHMARK,
    "student_benchmark": BENCHMARK,
    "speed_benchmark": {"student_latency_p50_ms", "teacher_latency_p50_ms", "student_peak_bytes", "withheld_ratios"},
    "eval_report": {"score_student", "score_teacher", "score_baseline", "latency_p50_ms", "parameters"}
    | {"machine_seconds", "gpu_seconds_of_all_stages", "acceptance"},
}
FIRST = {  # table -> the columns that a window of 1400 px shows
    ("raw_dataset", "preview"): ["reference", "messages"],
    ("eval_dataset", "preview"): ["reference", "messages"],
    ("teacher_outputs", "preview"): ["answer", "raw_text"],
    ("validated_synthetic_set", "preview"): ["answer", "messages"],
    ("student_benchmark", "preview"): ["parsed", "reference", "score"],
    ("eval_report", "scores"): ["measure", "student", "teacher"],
}


def metadata_of(instance, asset) -> dict[str, dg.MetadataValue]:
    return last_metadata(instance, asset, "train-part-00" if STAGES[asset].sharded else None)


@pytest.mark.parametrize("asset", PLOTTED)
def test_the_numbers_are_numbers_that_dagster_plots_over_time(made, asset):
    metadata = metadata_of(made[1], asset)
    numbers = {key for key, value in metadata.items() if isinstance(value, dg.IntMetadataValue | dg.FloatMetadataValue)}
    assert PLOTTED[asset] <= numbers
    assert not RETENTION & metadata.keys() - numbers


def test_the_report_has_retention_with_its_interval_as_numbers(made):
    manifest = made[0].store.get("eval_report")
    document, shown = read_document(manifest.file("report.json")), report_view(manifest)
    estimate = document.retention
    expected = {"retention": estimate.value, "retention_low": estimate.low, "retention_high": estimate.high}
    assert {key: shown.get(key) for key in expected} == expected


@pytest.mark.parametrize("asset", METADATA)
def test_every_column_of_every_table_is_described(made, asset):
    metadata = metadata_of(made[1], asset)
    schemas = {key: value.schema for key, value in metadata.items() if isinstance(value, dg.TableMetadataValue)}
    if asset in TABLES:
        schemas["dagster/column_schema"] = metadata["dagster/column_schema"].value
    undescribed = [(key, c.name) for key, schema in schemas.items() for c in schema.columns if not c.description]
    assert schemas
    assert undescribed == []


@pytest.mark.parametrize("asset", METADATA)
def test_what_was_found_comes_first_and_skipped_last(made, asset):
    keys = list(metadata_of(made[1], asset))
    assert keys[-1] == "skipped"
    assert keys[0] not in ("counts", "skipped")


@pytest.mark.parametrize(("asset", "key"), FIRST)
def test_the_decisive_columns_come_first(made, asset, key):
    columns = [column.name for column in metadata_of(made[1], asset)[key].schema.columns]  # the UI's order
    assert columns[: len(FIRST[asset, key])] == FIRST[asset, key]


@pytest.mark.parametrize("asset", METADATA)
def test_no_number_has_more_digits_than_it_is_known_to(made, asset):
    shown = {key: value for key, value in metadata_of(made[1], asset).items() if key not in EXACT | {"made_from"}}
    numbers = [(key, number) for key, value in shown.items() for number in floats(value)]
    long = {key: number for key, number in numbers if number != rounded(number)}
    assert long == {}


def floats(value):
    """Every float in a metadata value."""
    if isinstance(value, float):
        yield value
    elif isinstance(value, dg.FloatMetadataValue):
        yield from floats(value.value)
    elif isinstance(value, dg.JsonMetadataValue):
        yield from floats(value.data)
    elif isinstance(value, dg.TableMetadataValue):
        yield from floats(list(value.records))
    elif isinstance(value, dg.TableRecord):
        yield from floats(dict(value.data))
    elif isinstance(value, dict):
        yield from (number for inner in value.values() for number in floats(inner))
    elif isinstance(value, list):
        yield from (number for inner in value for number in floats(inner))


@pytest.mark.parametrize(
    ("number", "shown"),
    [(0.9734848484, 0.9735), (12.34567, 12.35), (1234.5678, 1234.57), (0.000123456, 0.0001235), (0.0, 0.0), (-2.0, -2)],
)
def test_a_number_keeps_four_digits_or_two_decimals(number, shown):
    assert rounded({"of": [number]}) == {"of": [shown]}


@pytest.mark.parametrize("stage", MADE_FROM)
def test_column_lineage_names_columns_that_exist_in_assets_that_are_read(stage, made):
    config = made[0].config.model_copy(deep=True)
    read = {*STAGES[stage].reads(config), *ancestors(STAGES[stage], config)}
    for column, sources in MADE_FROM[stage].items():
        assert column in TABLES[stage].names
        assert all(table in read and name in TABLES[table].names for table, name in sources)


def test_an_answer_is_traced_from_the_set_to_the_teacher_to_the_source_rows(made):
    names = Names.of(made[0].config)
    of_set = metadata_of(made[1], "validated_synthetic_set")["dagster/column_lineage"].value.deps_by_column
    assert dg.TableColumnDep(names.key("teacher_outputs"), "raw_text") in of_set["answer"]
    of_teacher = metadata_of(made[1], "teacher_outputs")["dagster/column_lineage"].value.deps_by_column
    assert dg.TableColumnDep(names.key("raw_dataset"), "messages") in of_teacher["raw_text"]


def test_column_lineage_has_the_projects_prefix():
    (entry,) = column_lineage("validated_synthetic_set", Names("nli")).values()
    tables = {tuple(dep.asset_key.path) for deps in entry.deps_by_column.values() for dep in deps}
    assert tables == {("nli", "teacher_outputs"), ("nli", "raw_dataset")}


def test_every_column_of_every_table_has_a_description_of_its_own():
    texts = {table: [describe(table, column) for column in schema.names] for table, schema in TABLES.items()}
    assert all(len(set(found)) == len(found) for found in texts.values())


def test_a_training_that_stopped_early_says_why():
    losses = {"validation_loss": 1.3, "best_validation_loss": 1.15}
    steps = {"step": 40, "planned": 80, "best_step": 20, "kept_step": 20}
    stopped = EarlyStop(reason="overfitting", **steps, **losses)
    run = TrainingRun(steps=40, history=[], kept="best", stopped=stopped)
    assert training_metadata(run)["stopped_early"] == stopped.words
    assert "stopped_early" not in training_metadata(run.model_copy(update={"stopped": None}))

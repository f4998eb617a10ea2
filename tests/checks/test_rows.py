"""The checks of source rows: gold answers in the form of their task."""

from distill_dagster.lineage.project import Project
from distill_dagster.store import files, schemas
from tests.checks.published import look, publish, row


def test_gold_that_no_parser_reads_is_counted(tiny_config):
    project = Project(tiny_config)
    gold = [
        ("nli", "Entailment."),
        ("nli", "maybe"),
        ("math", "1,200"),
        ("math", "a few"),
        ("qa", "Oslo"),
        ("qa", None),
    ]
    rows = [
        {**row(f"q{n}", task=task), "reference": [answer] if answer else [], "shard": "a", "source_line": n + 1}
        for n, (task, answer) in enumerate(gold)
    ]
    publish(project, "raw_dataset", files.RAW_FILE, rows, schemas.RAW, "train-part-00")
    publish(project, "eval_dataset", files.RAW_FILE, [rows[0], rows[2]], schemas.RAW)
    found = look("gold_in_form", project, "train-part-00")
    says = (
        "2 of 5 rows have no gold answer in their task's form, such as 'maybe' of row q1 (line 2 of a); its labels are "
    )
    assert (found.passed, found.description) == (False, f"{says}entailment, neutral, contradiction")
    assert look("test_gold_in_form", project).passed


def test_gold_outside_the_labels_that_the_config_names_is_counted(tiny_config):
    labels = tiny_config.quality.model_copy(update={"labels": ["card", "login"]})
    project = Project(tiny_config.model_copy(update={"quality": labels}))
    rows = [{**row(said, task="classification"), "reference": [said]} for said in ("card", "Log-in", "login")]
    publish(project, "eval_dataset", files.RAW_FILE, rows, schemas.RAW)
    assert look("test_gold_in_form", project).numbers == {"gold": 3, "gold_off_form": 1}

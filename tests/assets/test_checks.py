"""Each kind of bad answer at a known rate: the right check fails with the right count, and what follows is not made."""

import json
from pathlib import Path

import pytest

from distill_dagster.assets.checks import build_checks
from distill_dagster.checks import CHECKS, checks_of
from distill_dagster.cli.status import read_status
from distill_dagster.config import ChecksConfig, SeverityConfig
from distill_dagster.config.reading import load_config
from distill_dagster.definitions import build_definitions
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.snapshot import Snapshot
from testing.api_project import write_api_project
from testing.projects import run_project
from tests.checks.published import look

ROWS, BAD = 40, 13
LIMITS = {"checks.max_truncated_share": 0.1, "checks.max_off_form_share": 0.2, "checks.max_degenerate_share": 0.05}
WORDS = "in the great hall of the old town"
KINDS = {
    "truncated": ("few_truncated", {"text": "It is in the", "finish_reason": "length"}),
    "unfinished": ("few_truncated", {"text": "It is in the", "finish_reason": "content_filter"}),
    "refusal": ("few_refusals", {"text": "I'm sorry, but I can't help with that."}),
    "placeholder": ("few_off_form", {"text": "N/A"}),
    "repetition": ("few_degenerate", {"text": "It is so. It is so. It is so. It is so."}),
    "self_reference": ("few_degenerate", {"text": "Well, as an AI language model I would say no."}),
    "personal_data": ("little_personal_data", {"text": "Write to ana@example.org."}),
}


def question(n: int) -> str:
    return f"Where is the thing <{n}> {WORDS}?"


def write_shard(path, shard: int) -> None:
    rows = range(ROWS * shard, ROWS * (shard + 1))
    lines = [json.dumps({"messages": [{"role": "user", "content": question(n)}]}) + "\n" for n in rows]
    (path.parent / f"data/train/part-{shard:02}.jsonl").write_text("".join(lines))


def poisoned(tmp_path, server, instance, says, rows=range(ROWS, ROWS + BAD), **changes):
    """Two shards; the teacher answers `rows` of the second badly. Returns the project and the outcome of a run."""
    path = write_api_project(tmp_path, server, shards=2, **LIMITS, **changes)
    for shard in range(2):
        write_shard(path, shard)
    server.script(rules=[{"match": f"<{n}>", "fault": "say", **says(n)} for n in rows])
    project = Project(load_config(path))
    return project, run_project(project.config, instance, "validated_synthetic_set")


def failing(project, instance):
    """(check, artefact) -> the number that the check counted and what it said."""
    return {
        (found.check, found.artefact): found.description
        for found in read_status(Snapshot(project), instance).failing_checks
    }


@pytest.mark.slow
def test_each_kind_of_bad_answer_fails_its_check_with_its_count(tmp_path, server, instance):
    """A good shard, and one for each kind."""
    path = write_api_project(tmp_path, server, shards=1 + len(KINDS), **LIMITS)
    rules, expected = [], {}
    for shard in range(1 + len(KINDS)):
        write_shard(path, shard)
    for shard, (check, says) in enumerate(KINDS.values(), 1):
        rules += [{"match": f"<{ROWS * shard + n}>", "fault": "say", **says} for n in range(BAD)]
        expected[check, f"teacher_outputs[train-part-{shard:02}]"] = f"{BAD} of {ROWS} answers "
    server.script(rules=rules)
    project = Project(load_config(path))
    outcome = run_project(project.config, instance, "validated_synthetic_set")
    found = failing(project, instance)
    assert {key: said[: len(expected.get(key, ""))] for key, said in found.items()} == expected
    severity = project.config.checks.severity
    assert list(outcome.failed) == [artefact for check, artefact in expected if getattr(severity, check) == "error"]
    assert project.store.find("validated_synthetic_set") is None


def test_an_echo_of_each_prompt_is_counted(tmp_path, server, instance):
    project, _ = poisoned(tmp_path, server, instance, lambda n: {"text": question(n)})
    assert failing(project, instance)["few_degenerate", "teacher_outputs[train-part-01]"].startswith(f"{BAD} of {ROWS}")


def test_a_label_outside_the_set_is_off_form(tmp_path, server, instance):
    path = write_api_project(tmp_path, server, shards=1, **LIMITS)
    path.write_text(path.read_text().replace("task: qa", "task: nli"))
    write_shard(path, 0)
    server.script(choices=["neutral"], rules=[{"match": f"<{n}>", "fault": "say", "text": "maybe"} for n in range(BAD)])
    project = Project(load_config(path))
    outcome = run_project(project.config, instance, "teacher_outputs")
    assert f"check few_off_form: {BAD} of {ROWS}" in outcome.failed["teacher_outputs[train-part-00]"]


@pytest.mark.slow
def test_as_many_bad_answers_as_are_allowed_pass(tmp_path, server, instance):
    allowed = range(ROWS, ROWS + ROWS // 20)
    project, outcome = poisoned(tmp_path, server, instance, lambda n: KINDS["refusal"][1], allowed)
    assert not outcome.failed
    assert failing(project, instance) == {}


@pytest.mark.parametrize(("severity", "checks"), [("warn", ["few_refusals"]), (False, [])])  # a bare `off` in YAML
def test_a_warning_does_not_hold_up_and_off_is_not_looked_at(tmp_path, server, instance, severity, checks):
    changes = {"checks.severity": {"few_refusals": severity}}
    project, outcome = poisoned(tmp_path, server, instance, lambda n: KINDS["refusal"][1], **changes)
    assert not outcome.failed
    assert project.store.find("validated_synthetic_set") is not None
    assert [check for check, _ in failing(project, instance)] == checks


@pytest.mark.slow
def test_answers_that_are_suddenly_longer_are_told(tmp_path, server, instance):
    project, _ = poisoned(tmp_path, server, instance, lambda n: {})
    project = project.with_overrides(("teacher", "generation"), {"max_new_tokens": 20})
    server.script(choices=["an answer that goes on and on for much longer than those before it did"])
    assert not run_project(project.config, instance, "teacher_outputs").failed
    found = failing(project, instance)
    assert {check for check, _ in found} == {"steady_answer_length"}
    assert "and had 14" in found["steady_answer_length", "teacher_outputs[train-part-00]"]


@pytest.mark.slow
def test_what_is_nearly_spent_is_told(tmp_path, server, instance):
    price = {"price": {"prompt": 1000, "completion": 1000}}  # 15 tokens a question: 0.6 USD a shard
    budget = {"endpoint": price, "teacher": {"budget_usd": 1.4}}
    project, outcome = poisoned(tmp_path, server, instance, lambda n: {}, rows=(), **budget)
    assert not outcome.failed
    found = failing(project, instance)
    assert {artefact for _, artefact in found} == {"teacher_outputs[train-part-01]", "teacher_outputs[validation]"}
    assert found["cost_within_budget", "teacher_outputs[train-part-01]"].startswith("1.2000 of 1.40 USD are spent")


def test_rows_that_ask_the_same_are_counted_with_those_that_are_the_same(tmp_path, server, instance):
    path = write_api_project(tmp_path, server, shards=1)
    shard = path.parent / "data/train/part-00.jsonl"
    again = [{"id": f"again-{n}", "messages": [{"role": "user", "content": f"QUESTION  <{n}>"}]} for n in range(3)]
    lines = shard.read_text().splitlines() + [json.dumps(row) for row in again]
    shard.write_text("\n".join([*lines, lines[0]]))
    project = Project(load_config(path))
    run_project(project.config, instance, "raw_dataset")
    assert failing(project, instance)["few_duplicate_rows", "raw_dataset[train-part-00]"].startswith("4 of 16 rows")


def test_of_several_answers_the_chosen_one_is_looked_at(tmp_path, server, instance):
    def source(model):
        return {"endpoint": {"url": server.url, "model": model}}

    best_of = {"choose": "majority", "teachers": [source("b"), source("c")]}
    path = write_api_project(tmp_path, server, shards=1, teacher={"best_of": best_of})
    write_shard(path, 0)
    bad = [{"match": f"<{n}>", "fault": "say", "text": KINDS["refusal"][1]["text"], "times": 1} for n in range(ROWS)]
    server.script(choices=["an answer"], rules=bad)
    project = Project(load_config(path))
    assert not run_project(project.config, instance, "teacher_outputs").failed
    assert failing(project, instance) == {}


def test_answers_to_rows_that_were_edited_meanwhile_are_not_judged(tmp_path, server, instance):
    project, _ = poisoned(tmp_path, server, instance, lambda n: KINDS["refusal"][1])
    path = tmp_path / "data/train/part-01.jsonl"
    path.write_text(path.read_text().replace(WORDS, "somewhere else"))
    run_project(project.config, instance, "raw_dataset")
    found = look("few_refusals", project, "train-part-01")
    assert found.passed
    assert found.description.startswith("0 of 0 answers")


def test_every_check_has_a_severity_and_every_severity_a_check(tiny_config):
    config = tiny_config
    names = [spec.name for checks in build_checks(config) for spec in checks.check_specs]
    of_options = {"every_answer_is_accounted_for", "export_reads_prompts_alike", "export_keeps_score"}
    of_options |= {"few_looks_at_the_test_set", "teacher_adds_to_gold"}
    assert {*names} | of_options == {*SeverityConfig.model_fields}
    assert {check.name for check in checks_of(config)} | of_options == {check.name for check in CHECKS}


def test_an_error_blocks_and_nothing_else_does(tiny_config):
    severity = SeverityConfig(few_refusals="warn", balanced_labels="error", no_leakage="off")
    checks = tiny_config.checks.model_copy(update={"severity": severity})
    graph = build_definitions(tiny_config.model_copy(update={"checks": checks})).resolve_asset_graph()
    blocking = {key.name: graph.get_check_spec(key).blocking for key in graph.asset_check_keys}
    assert blocking["balanced_labels"]
    assert blocking["few_truncated"]
    assert not blocking["few_refusals"]
    assert not blocking["column_schema_change"]
    assert "no_leakage" not in blocking


def test_every_check_knows_its_defaults():
    severities, limits = SeverityConfig().model_dump(), ChecksConfig().model_dump(exclude={"severity"})
    assert {check.name: check.default_severity for check in CHECKS} == {
        name: severities[name] for name in severities.keys() - {"loads_and_generates", "column_schema_change"}
    }
    found = {check.name: check.default_limit for check in CHECKS if check.default_limit is not None}
    assert sorted(found.values()) == sorted([*limits.values(), limits["min_valid_share"]])  # source rows and test rows


def test_the_docs_list_every_check_with_its_defaults():
    lines = (Path(__file__).parents[2] / "docs/checks.md").read_text().splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| `")]
    assert {row[0].strip("`"): row[-1] for row in rows} == SeverityConfig().model_dump()
    limits = dict(row[3].strip("`").split(": ") for row in rows if ": " in row[3])
    defaults = ChecksConfig().model_dump(exclude={"severity"})
    assert {name: float(limit) for name, limit in limits.items()} == defaults

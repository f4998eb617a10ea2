"""What a project cost: money as far as it is known, and the machine's time by stage."""

import pytest

from distill_dagster.report.costs import Costs, Spent, spent_rows, time_rows
from distill_dagster.report.specs import DataCost
from distill_dagster.report.wording import data_cost_text
from distill_dagster.store.manifest import Manifest
from distill_dagster.store.result import NOBODY
from testing.report_parts import COSTS


def manifest(asset: str, shard: str | None = None, **facts) -> Manifest:
    return Manifest(asset, shard, "", "", {}, {}, facts, {}, "v", "2026-01-01T00:00:00+00:00")


def usage(seconds: float, device: str = "cpu", gpus: int = 0) -> dict:
    return {"device": device, "seconds": seconds, "gpu_seconds": seconds * gpus, "peak_memory_bytes": 1}


def test_money_is_what_is_known_of_it():
    costs = Costs.of([
        manifest("teacher_outputs", "a", billing="priced", table_cost_usd=1.0),
        manifest("teacher_outputs", "b", billing="priced", table_cost_usd=0.25),
        manifest("teacher_benchmark", billing="no price", cost_usd=0.0),
        manifest("answer_judgement"),
        manifest("student_benchmark", billing="local", cost_usd=0.0),
    ])  # fmt: skip
    assert spent_rows(costs) == [
        ("the teacher's answers", "1.25 USD"),
        ("the teacher's benchmark", "no price given"),
        ("the judge of student and teacher", "not recorded: an earlier version made it"),
    ]
    assert costs.usd == 1.25


@pytest.mark.parametrize("other", [None, "no price"])
def test_a_sum_is_as_certain_as_its_parts(other):
    """One shard of an older version, or without a price, makes the sum unknown or a lower bound."""
    shards = [manifest("teacher_outputs", "a", billing="priced", table_cost_usd=1.0)]
    shards.append(manifest("teacher_outputs", "b", **({"billing": other} if other else {}), table_cost_usd=0.0))
    ((_, said),) = spent_rows(Costs.of(shards))
    assert said == ("1.00 USD, no price given for a part" if other else "not recorded: an earlier version made it")


def test_the_judge_of_the_answers_is_a_line_of_its_own_where_there_is_one():
    judged = {"judge_billing": "priced", "judge_cost_usd": 0.5}
    shards = [manifest("teacher_outputs", "a", billing="local", table_cost_usd=0.0, **judged)]
    shards.append(manifest("teacher_outputs", "b", billing="local", table_cost_usd=0.0, **judged))
    costs = Costs.of(shards)
    assert spent_rows(costs) == [
        ("the teacher's answers", "no money: it ran on this machine"),
        ("the judge of `best_of`", "1.00 USD"),
    ]
    assert costs.usd == 1.0
    for nobody in (None, NOBODY):  # an earlier version recorded nothing
        alone = manifest("teacher_outputs", "c", billing="local", judge_billing=nobody, judge_cost_usd=0.0)
        assert [what for what, _ in spent_rows(Costs.of([alone]))] == ["the teacher's answers"]
    assert spent_rows(Costs.of([*shards, manifest("teacher_outputs", "c", billing="local")]))[1:] == [
        ("the judge of `best_of`", "not recorded: an earlier version made it")
    ]


ANSWERS, JUDGE = "the teacher's answers", "the judge of `best_of`"


@pytest.mark.parametrize(
    ("answers", "judge", "said"),
    [
        (("priced", 9.0), ("priced", 3.0), f"0.0100 USD: {ANSWERS} and {JUDGE} took 12.00 USD, and 1,200 rows passed."),
        (("priced", 12.0), None, f"0.0100 USD: {ANSWERS} took 12.00 USD, and 1,200 rows passed."),
        (
            ("no price", None),
            ("priced", 12.0),
            f"0.0100 USD: {JUDGE} took 12.00 USD, and 1,200 rows passed. Not in it: {ANSWERS} (no price given).",
        ),
        (
            ("local", None),
            ("priced", 12.0),
            f"0.0100 USD: {JUDGE} took 12.00 USD, and 1,200 rows passed. "
            f"Not in it: {ANSWERS} (no money: it ran on this machine).",
        ),
        (("local", None), None, f"10.0 ms of the machine: {ANSWERS} took 12 s of the machine, and 1,200 rows passed."),
        (
            ("local", None),
            ("no price", None),
            f"10.0 ms of the machine: {ANSWERS} took 12 s of the machine, and 1,200 rows passed. "
            f"Not in it: {JUDGE} (no price given).",
        ),
    ],
)
def test_an_accepted_row_costs_what_has_a_price_and_the_rest_is_named(answers, judge, said):
    parts = [(ANSWERS, answers), *([(JUDGE, judge)] if judge else [])]
    spent = [Spent(what=what, billing=billing, usd=usd) for what, (billing, usd) in parts]
    cost = DataCost(usd=Costs(spent=spent, times=[]).usd, seconds=12.0, rows=1200, spent=spent)
    assert data_cost_text(cost) == f"An accepted training row cost {said}"


def test_time_is_summed_over_shards_and_stages():
    costs = Costs.of([
        manifest("raw_dataset", "a", usage=usage(1.0)),
        manifest("raw_dataset", "b", usage=usage(0.5)),
        manifest("student_checkpoint", usage=usage(100.0, "cuda:0", gpus=2)),
        manifest("student_base"),
    ])  # fmt: skip
    assert time_rows(costs) == [
        ("raw_dataset", "2", "1.5 s on cpu"),
        ("student_checkpoint", "1", "200.0 GPU-seconds on cuda:0"),
        ("all stages", "3", "101.5 s, 200.0 GPU-seconds among them"),
    ]
    assert time_rows(Costs.of([manifest("student_base")])) == []


def test_the_made_costs():
    assert (COSTS.usd, COSTS.seconds, COSTS.gpu_seconds) == (1.25, 101.5, 200.0)

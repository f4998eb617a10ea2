"""What stops a shard: the budget, a teacher that mostly fails, the smoke gate. The next run continues from there."""

from pathlib import Path

import pytest

from distill_dagster.config import SmokeConfig
from distill_dagster.errors import BudgetError, TeacherError
from distill_dagster.teachers.budget import FEWEST
from distill_dagster.teachers.faculty import Faculty
from distill_dagster.teachers.responses import Responses
from testing.generation_contract import CONCURRENCY, asked_rows, at, generate, is_right, spec_for

PRICE = {"prompt": 0.0, "completion": 500_000}  # "answer 4168220" has two tokens: a dollar an answer


def priced(folder, server, rows, **changes):
    return spec_for(folder, server, rows, faculty=Faculty(teachers=[(1.0, at(server, price=PRICE))]), **changes)


def test_the_budget_stops_a_shard_and_what_was_answered_is_not_paid_for_again(tmp_path, server):
    server.script(latency=0.01)
    rows = asked_rows(40)
    with pytest.raises(BudgetError, match=r"have cost 10\.0000 USD of teacher\.budget_usd 10\.0000: raise it"):
        generate(priced(tmp_path, server, rows, budget_usd=10))
    spent = server.counts()["total"]
    assert 10 <= spent < 10 + CONCURRENCY, "what was in flight is paid for and kept"
    assert not (tmp_path / "shard" / "teacher.parquet").exists()
    with pytest.raises(BudgetError):
        generate(priced(tmp_path, server, rows, budget_usd=10))
    assert server.counts()["total"] == spent, "nothing is asked where nothing is left"
    produced, table = generate(priced(tmp_path, server, rows, budget_usd=100))
    assert is_right(table, rows)
    assert (produced.reused, produced.asked) == (spent, 40 - spent)
    assert server.counts()["total"] == 40
    assert produced.table_cost_usd == Responses(tmp_path / "responses").spent() == 40


def test_the_budget_is_the_projects_and_not_the_shards(tmp_path, server):
    generate(priced(tmp_path, server, asked_rows(8), budget_usd=10))
    with pytest.raises(BudgetError):
        generate(priced(tmp_path, server, asked_rows(8, start=100), name="second", budget_usd=10))
    assert 10 <= server.counts()["total"] < 10 + CONCURRENCY


def test_a_spent_budget_does_not_stop_what_costs_nothing(tmp_path, server):
    rows = asked_rows(8)
    generate(priced(tmp_path, server, rows))
    produced, _ = generate(priced(tmp_path, server, rows[::-1], name="again", budget_usd=1))
    assert produced.cost_usd == 0


def test_answers_that_cannot_be_read_are_paid_for_and_count(tmp_path, server):
    server.script(rules=[{"fault": "no_choices"}])
    with pytest.raises(BudgetError):  # two prompt tokens each
        generate(
            spec_for(
                tmp_path,
                server,
                asked_rows(30),
                faculty=Faculty(teachers=[(1.0, at(server, price={"prompt": 500_000}))]),
                budget_usd=5,
            )
        )
    assert 5 <= server.counts()["total"] < 5 + CONCURRENCY
    assert Responses(tmp_path / "responses").spent() == server.counts()["total"]


def test_a_teacher_that_mostly_fails_stops_the_shard_with_the_codes(tmp_path, server):
    server.script(rules=[{"match": "0>", "times": 4}, {"fault": "status", "status": 500}])
    with pytest.raises(TeacherError, match=rf"\d+ of {FEWEST} requests failed \(http_500 \d+\).*stop_failed_share 50%"):
        generate(spec_for(tmp_path, server, asked_rows(200), stop_failed_share=0.5))
    assert FEWEST <= server.counts()["total"] < FEWEST + CONCURRENCY
    server.script()
    rows = asked_rows(200)
    produced, table = generate(spec_for(tmp_path, server, rows, stop_failed_share=0.5))
    assert is_right(table, rows)
    assert produced.asked == server.counts()["total"] == 200 - produced.reused


def test_some_failures_are_rows_and_stop_nothing(tmp_path, server):
    server.script(rules=[{"match": "3>", "fault": "status", "status": 500}])
    produced, _ = generate(spec_for(tmp_path, server, asked_rows(100), stop_failed_share=0.5))
    assert produced.errors == {"http_500": 10}
    assert produced.counts.requests == 100


GATE = SmokeConfig(rows=16, max_failed_share=0.25)


def gated(folder, server, count=60, **changes):
    rows = asked_rows(count, task="math", start=changes.pop("start", 0))
    return spec_for(folder, server, rows, smoke=GATE, **changes)


def test_a_bad_teacher_is_asked_a_few_rows_and_no_more(tmp_path, server):
    server.script(choices=["I cannot say", "one"])
    with pytest.raises(TeacherError) as caught:
        generate(gated(tmp_path, server))
    assert server.counts()["total"] == 16
    told = str(caught.value)
    assert "smoke gate: 16 of the first 16 answers of made would be refused" in told
    assert "off_form: 'one'" in told
    assert "teacher.smoke.max_failed_share is 25%" in told
    with pytest.raises(TeacherError):
        generate(gated(tmp_path, server))
    assert server.counts()["total"] == 16, "stopped again, and the 16 answers are not bought again"


@pytest.mark.parametrize("count", [17, 24, 32])
def test_a_small_shard_does_not_slip_past_the_gate_the_second_time(tmp_path, server, count):
    server.script(choices=["no number"])
    for _ in range(2):
        with pytest.raises(TeacherError, match="smoke gate"):
            generate(gated(tmp_path, server, count))
        assert server.counts()["total"] == 16


def test_a_shard_no_larger_than_the_gate_is_asked_at_once(tmp_path, server):
    server.script(choices=["no number"])
    assert generate(gated(tmp_path, server, 16))[0].counts.unparsed == 16


def test_a_good_teacher_passes_once(tmp_path, server):
    server.script(choices=["#### 3", "#### 4"])
    produced, _ = generate(gated(tmp_path, server))
    assert produced.asked == server.counts()["total"] == 60
    passed = list((tmp_path / "responses" / "smoke").glob("*.json"))
    assert len(passed) == 1
    server.script(choices=["no number"])
    assert generate(gated(tmp_path, server, name="second", start=100))[0].counts.unparsed == 60


def test_another_teacher_and_another_prompt_pass_the_gate_anew(tmp_path, server):
    server.script(choices=["#### 3"])
    generate(gated(tmp_path, server))
    server.script(choices=["no number"])
    other = Faculty(teachers=[(1.0, at(server, model="other"))])
    for changes in ({"faculty": other}, {"prompting": "chain_of_thought"}):
        before = server.counts()["total"]
        with pytest.raises(TeacherError, match="smoke gate"):
            generate(gated(tmp_path, server, **changes))
        assert server.counts()["total"] == before + 16


def test_failed_requests_count_at_the_gate_and_are_asked_again(tmp_path, server):
    server.script(rules=[{"fault": "status", "status": 500}])
    with pytest.raises(TeacherError, match=r"failed: '127\.0\.0\.1 answered 500: made to fail'"):
        generate(gated(tmp_path, server))
    assert server.counts()["total"] == 16
    server.script(choices=["#### 3"])
    assert generate(gated(tmp_path, server))[0].counts.ok == 60
    assert server.counts()["total"] == 60


def test_a_few_refused_rows_are_let_through(tmp_path, server):
    server.script(choices=["#### 3"], rules=[{"match": "<7>", "fault": "say", "text": "I don't know"}])
    assert generate(gated(tmp_path, server))[0].counts.unparsed == 1


def test_killed_at_the_gate_its_answers_are_kept(tmp_path, server):
    """The gate writes its file after the 16 answers and before the other requests are sent."""
    server.script(choices=["#### 3"])
    generate(gated(tmp_path, server))
    for marker in Path(tmp_path / "responses" / "smoke").iterdir():
        marker.unlink()
    produced, _ = generate(gated(tmp_path, server, 61))
    assert produced.asked == 1

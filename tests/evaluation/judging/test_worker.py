"""A judge compares blind and in both orders, canaries first; what it said is stored and never paid for twice."""

import json

import pytest

from distill_dagster.config import DistillConfig, EndpointConfig
from distill_dagster.errors import BudgetError, ConfigError, DataError
from distill_dagster.evaluation.judging.specs import JudgeSpec, read_judgement
from distill_dagster.evaluation.judging.worker import judge_answers
from distill_dagster.lineage import settings
from distill_dagster.lineage.endpoints import endpoints_of
from distill_dagster.lineage.stages import stages_of
from distill_dagster.report.parts import ReportParts
from distill_dagster.report.wording import judge_text
from distill_dagster.report.writing import build_report, write_pages
from distill_dagster.store import files, parquet, schemas
from distill_dagster.teachers.faculty import endpoint_ref
from distill_dagster.teachers.responses import Responses
from testing.report_parts import parts
from testing.set_rows import raw

GOLD, GOOD, BAD = "the gold answer", "a good answer", "a bad answer"
ONE, TWO = '{"best": 1}', '{"best": 2}'


def says(text: str, place: int, reply: str, **more) -> dict:
    """A rule: the reply to a prompt in which a text is at a place."""
    return {"match": f"[reply {place}]\n{text}", "fault": "say", "text": reply, **more}


def prefers(*texts: str) -> list[dict]:
    """The rules of a judge that knows these texts and prefers them, wherever they are; else it says 1."""
    return [says(text, place, reply) for text in texts for place, reply in ((1, ONE), (2, TWO))]


FAIR = [*prefers(GOLD, GOOD), {"fault": "say", "text": ONE}]


def prediction(row_id: str, text: str) -> dict:
    return {
        **{"row_id": row_id, "turn": 0, "task": "qa", "model": "x", "prediction": text, "parsed": text},
        **{"reference": [GOLD], "score": 0.0, "finish_reason": "stop"},
        **{"prompt_tokens": 1, "completion_tokens": 1, "latency_ms": 1.0},
    }


def spec_of(folder, server, student, teacher, gold=GOLD, **changes) -> JudgeSpec:
    """A spec over these answers by position; `changes` are of the endpoint, or of the spec."""
    own = {name: changes.pop(name) for name in list(changes) if name in JudgeSpec.model_fields}
    golds = [gold] if gold else []
    rows = [raw(f"r{i}", f"question {i}", task="qa", reference=golds, split="test") for i in range(len(student))]
    parquet.write_table(folder / "raw.parquet", rows, schemas.RAW)
    for name, texts in (("student", student), ("teacher", teacher)):
        table = [prediction(f"r{i}", text) for i, text in enumerate(texts)]
        parquet.write_table(folder / f"{name}.parquet", table, schemas.PREDICTION)
    (folder / "out").mkdir(exist_ok=True)
    endpoint = EndpointConfig(url=server.url, model="a judge", **{"attempts": 1, **changes})
    return JudgeSpec(
        judge=endpoint_ref(endpoint),
        teacher=str(folder / "teacher.parquet"),
        student=str(folder / "student.parquet"),
        rows=str(folder / "raw.parquet"),
        responses=str(folder / "responses"),
        out=str(folder / "out"),
        **{"prompts": 100, "seed": 0, "resamples": 500, **own},
    )


STUDENT = [GOOD] * 4 + [BAD] * 2 + ["x"] * 3 + ["same"]
TEACHER = [BAD] * 4 + [GOOD] * 2 + ["y"] * 3 + ["same"]
CANARIES = 5 * 4 * 2  # rows, kinds, orders


def test_both_orders_make_wins_and_a_judge_that_looks_at_the_place_makes_ties(tmp_path, server):
    server.script(rules=FAIR)
    result = judge_answers(spec_of(tmp_path, server, STUDENT, TEACHER))
    assert result.trusted
    assert result.counts.model_dump() == {
        "prompts": 10, "student": 4, "teacher": 2, "ties": 3, "identical": 1, "unread": 0,
    }  # fmt: skip
    assert result.score == pytest.approx((4 + 4 / 2) / 10)
    assert result.low < result.score < result.high
    assert server.counts()["total"] == CANARIES + 2 * 9  # nobody is asked about two identical answers
    assert read_judgement(tmp_path / "out" / files.JUDGEMENT_FILE).counts == result.counts


def test_it_is_blind(tmp_path, server):
    server.script(rules=FAIR)
    judge_answers(spec_of(tmp_path, server, STUDENT, TEACHER))
    asked = "\n".join(server.counts()["by_prompt"])
    assert "[reply 1]" in asked
    assert "student" not in asked
    assert "teacher" not in asked


def test_the_form_in_which_a_model_answers_does_not_tell_who_it_is(tmp_path, server):
    server.script(rules=FAIR)
    spec = spec_of(tmp_path, server, STUDENT, TEACHER)
    table = [prediction(f"r{i}", text) for i, text in enumerate(TEACHER)]
    asked = [
        {**row, "prediction": f'<think>hm</think>{{"reason": "so", "answer": "{row["parsed"]}"}}'} for row in table[1:]
    ]
    unread = {**table[0], "prediction": "<think>hm</think>a bad answer", "parsed": None}
    parquet.write_table(tmp_path / "teacher.parquet", [unread, *asked], schemas.PREDICTION)
    assert judge_answers(spec).counts.identical == 1
    said = "\n".join(server.counts()["by_prompt"])
    assert "a bad answer" in said
    assert "reason" not in said
    assert "think" not in said


def test_a_second_run_asks_nothing(tmp_path, server):
    server.script(rules=FAIR)
    spec = spec_of(tmp_path, server, STUDENT, TEACHER)
    first = judge_answers(spec)
    server.script(rules=[])
    again = judge_answers(spec)
    assert server.counts()["total"] == 0
    assert again.data_version == first.data_version


@pytest.mark.parametrize(
    ("rules", "against"),
    [
        ([{"fault": "say", "text": ONE}], {"", ":", "Solution"}),  # looks at the place alone
        ([*prefers("Solution"), *FAIR], {"Solution"}),
        ([*prefers(":"), *FAIR], {":"}),
        ([{"fault": "say", "text": "both are fine"}], {"", ":", "Solution", "the gold answer"}),
    ],
)
def test_a_judge_that_fails_a_canary_is_asked_nothing_else(tmp_path, server, rules, against):
    server.script(rules=rules)
    result = judge_answers(spec_of(tmp_path, server, STUDENT, TEACHER))
    assert not result.trusted
    assert (result.score, result.counts.prompts) == (None, 0)
    assert {canary.against for canary in result.canaries if not canary.right} == against
    assert server.counts()["total"] == CANARIES
    assert "canaries came out wrong" in judge_text(read_judgement(tmp_path / "out" / files.JUDGEMENT_FILE))


def test_a_judge_that_prefers_the_gold_answer_at_a_place_to_itself_is_no_judge(tmp_path, server):
    """Only a random judge names the same one of two equal texts in both orders."""
    itself = f"[reply 1]\n{GOLD}\n\n[reply 2]\n{GOLD}"
    rules = [{"match": itself, "fault": "say", "text": reply, "times": 1} for reply in (ONE, TWO)]
    server.script(rules=[*rules, *FAIR])
    result = judge_answers(spec_of(tmp_path, server, STUDENT, TEACHER, concurrency=1))
    wrong = [canary.against for canary in result.canaries if not canary.right]
    assert wrong == ["the gold answer"]


def test_without_gold_no_judge_is_trusted_or_asked(tmp_path, server):
    result = judge_answers(spec_of(tmp_path, server, STUDENT, TEACHER, gold=""))
    assert result.reason == "no held-out row has a gold answer with which the judge could be tested"
    assert server.counts()["total"] == 0


def test_a_reply_without_a_choice_is_counted_and_no_tie(tmp_path, server):
    server.script(rules=[*prefers(GOLD), says("x", 1, "I cannot say"), *prefers(GOOD), {"fault": "say", "text": ONE}])
    result = judge_answers(spec_of(tmp_path, server, STUDENT, TEACHER))
    assert (result.counts.unread, result.counts.ties) == (3, 0)
    assert result.score == pytest.approx((4 + 1 / 2) / 7)


def test_a_request_that_failed_is_asked_again_by_the_next_run_alone(tmp_path, server):
    fails = {"match": f"[reply 1]\n{GOOD}", "fault": "status", "status": 503, "times": 1}
    server.script(rules=[*prefers(GOLD), fails, *FAIR])
    spec = spec_of(tmp_path, server, STUDENT, TEACHER)
    first = judge_answers(spec)
    assert (first.complete, first.counts.unread) == (False, 1)
    server.script(rules=FAIR)
    again = judge_answers(spec)
    assert (again.complete, again.counts.unread, again.counts.student) == (True, 0, 4)
    assert server.counts()["total"] == 1


def test_the_budget_stops_it_and_what_was_paid_is_kept(tmp_path, server):
    server.script(rules=FAIR)
    price = {"prompt": 0, "completion": 1_000_000}
    with pytest.raises(BudgetError, match=r"teacher\.budget_usd"):
        judge_answers(spec_of(tmp_path, server, STUDENT, TEACHER, price=price, budget_usd=20.0, concurrency=1))
    paid = server.counts()["total"]
    assert 0 < paid < CANARIES
    judged = judge_answers(spec_of(tmp_path, server, STUDENT, TEACHER, price=price))
    assert server.counts()["total"] == CANARIES + 2 * 9
    assert judged.billing == "priced"
    assert judged.cost_usd == Responses(tmp_path / "responses").spent() > 20, "also what was paid before"


def test_at_most_so_many_prompts_are_drawn(tmp_path, server):
    server.script(rules=FAIR)
    result = judge_answers(spec_of(tmp_path, server, STUDENT, TEACHER, prompts=6))
    assert result.counts.prompts == 6


def test_a_benchmark_of_other_rows_is_refused_before_anything_is_asked(tmp_path, server):
    spec = spec_of(tmp_path, server, STUDENT, TEACHER)
    parquet.write_table(tmp_path / "teacher.parquet", [prediction("other", "x")], schemas.PREDICTION)
    with pytest.raises(DataError, match="the teacher's benchmark has no answer to 10 of 10 prompts"):
        judge_answers(spec)
    assert server.counts()["total"] == 0


def test_the_report_says_what_it_prefers(tmp_path, server):
    server.script(rules=FAIR)
    judge_answers(spec_of(tmp_path, server, STUDENT, TEACHER))
    document = build_report(ReportParts(**parts(), judgement=read_judgement(tmp_path / "out" / files.JUDGEMENT_FILE)))
    write_pages(tmp_path, document)
    said = "the student's is better 4 times, the teacher's 2 times, and 4 are ties"
    assert said in (tmp_path / "report.md").read_text().replace("&#39;", "'")
    assert "What a judge prefers" in (tmp_path / "report.html").read_text()
    assert json.loads((tmp_path / "report.json").read_text())["judgement"]["trusted"]


def with_judge(config: DistillConfig, **teacher) -> DistillConfig:
    judge = {"endpoint": {"url": "http://127.0.0.1:9/v1", "model": "a judge"}}
    document = config.model_dump(exclude_unset=True)
    document["evaluation"] = {**document.get("evaluation", {}), "judge": judge}
    document["teacher"] |= teacher
    return DistillConfig.model_validate(document)


def test_only_a_project_with_a_judge_has_the_stage_and_nothing_else_of_it_changes(tiny_config):
    judged = with_judge(tiny_config)
    plain, more = ({stage.name: stage for stage in stages_of(config)} for config in (tiny_config, judged))
    assert more.keys() - plain.keys() == {"answer_judgement"}
    assert "answer_judgement" in more["eval_report"].reads(judged)
    assert "answer_judgement" not in plain["eval_report"].reads(tiny_config)
    for name in plain:
        assert plain[name].shaped_by(tiny_config) == more[name].shaped_by(judged)
    assert [endpoint.model for endpoint in endpoints_of("answer_judgement", judged)] == ["a judge"]
    assert settings.answer_judgement(judged)["judge"]["model"] == "a judge"


def test_a_budget_needs_the_judges_price(tiny_config):
    endpoint = {"url": "http://127.0.0.1:9/v1", "model": "t", "price": {"completion": 1}}
    with pytest.raises((ConfigError, ValueError), match=r"`evaluation\.judge\.endpoint` has no price"):
        with_judge(tiny_config, model=None, fit=None, endpoint=endpoint, budget_usd=5)

"""Writes calls and replies as rows of `teacher.parquet`, and chooses among a row's several answers."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from distill_dagster.generation.choosing import JUDGE_FORMAT, agreements, judge_messages, read_choice
from distill_dagster.generation.rounds import Call
from distill_dagster.generation.specs import GenerateCounts
from distill_dagster.store import hashing
from distill_dagster.tasks.asked import Asked
from distill_dagster.tasks.prompts import prompts_of
from distill_dagster.teachers.asker import Asker, request_hash
from distill_dagster.teachers.protocol import Reply, Request, Teacher

Row = Mapping[str, Any]


def teacher_row(row: Row, call: Call, reply: Reply, how: Asked) -> dict[str, Any]:
    """One line of `schemas.TEACHER`, before one of the row's answers is chosen."""
    reading = how.read(row["task"], reply.text)
    return {
        "row_id": row["row_id"],
        "sample": call.sample,
        "turn": call.turn,
        "request_hash": reply.request_hash,
        "teacher": reply.teacher,
        "teacher_revision": reply.teacher_revision,
        "params": hashing.canonical_json({**call.teacher.sampling, **how.params}),
        "raw_text": reply.text,
        "reasoning": reply.reasoning or reading.reasoning,
        "answer": reading.answer if reply.ok else None,
        "agreement": None,
        "chosen": True,
        "finish_reason": reply.finish_reason,
        "prompt_tokens": reply.prompt_tokens,
        "completion_tokens": reply.completion_tokens,
        "latency_ms": reply.latency_ms,
        "cost_usd": reply.cost_usd,
        "attempts": reply.attempts,
        "status": "ok" if reply.ok else "failed",
        "error_code": reply.error_code,
        "logprobs": reply.logprobs,
        "created_at": datetime.fromisoformat(reply.created_at) if reply.created_at else datetime.now(UTC),
    }


@dataclass(frozen=True, slots=True)
class JudgeTally:
    """The judge's replies: the failed ones by code, and what all of them cost, whenever they were paid for."""

    errors: dict[str, int] = field(default_factory=dict)
    cost_usd: float = 0.0


def choose(
    rows: Sequence[Row],
    table: Sequence[dict[str, Any]],
    how: str,
    labels: Sequence[str] | None,
    judge: Teacher | None,
    asker: Asker,
) -> JudgeTally:
    """Choose one of each row's answers, with all its turns: fills `agreement` and `chosen` of the table.

    Answers whose turns all ended and parse come before others.
    """
    answers = _by_row(table)
    scores, tally = {row["row_id"]: _scored(row, answers, how, labels) for row in rows}, JudgeTally()
    if judge:
        scores, tally = _judged(rows, answers, judge, asker)
    for row_id, by_sample in answers.items():
        whole = {sample: all(_usable(line) is not None for line in lines) for sample, lines in by_sample.items()}
        best = max(by_sample, key=lambda sample: (whole[sample], scores[row_id][sample], -sample))
        for sample, lines in by_sample.items():
            for line in lines:
                line |= {"agreement": scores[row_id][sample], "chosen": sample == best}
    return tally


def _scored(
    row: Row, answers: Mapping[str, Mapping[int, Sequence[Row]]], how: str, labels: Sequence[str] | None
) -> dict[int, float]:
    gold = [prompt.reference for prompt in prompts_of(row)] if how == "gold" else None
    by_sample = answers[row["row_id"]]
    parsed = [[_usable(line) for line in lines] for lines in by_sample.values()]
    return dict(zip(by_sample, agreements(row["task"], parsed, gold, labels), strict=True))


def _usable(line: Row) -> str | None:
    """The answer of a turn that the teacher ended, not a limit or a filter."""
    return line["answer"] if line["finish_reason"] == "stop" else None


def _judged(
    rows: Sequence[Row], answers: Mapping[str, Mapping[int, Sequence[Row]]], judge: Teacher, asker: Asker
) -> tuple[dict[str, dict[int, float]], JudgeTally]:
    """1 for the answer that the judge picks, 0 for the others.

    The judge is not asked about a row with at most one candidate. If its reply names none of the candidates, all get 0.
    """
    candidates = {row["row_id"]: _candidates(answers[row["row_id"]]) for row in rows}
    requests = judge_requests(rows, candidates, judge)
    replies = asker.ask(judge, list(requests.values()), role="judge")
    scores: dict[str, dict[int, float]] = {}
    for row_id, texts in candidates.items():
        picked: int | None = 0
        if row_id in requests:
            picked = read_choice(replies[requests[row_id].request_hash].text, len(texts))
        best = list(texts)[picked] if texts and picked is not None else None
        scores[row_id] = {sample: float(sample == best) for sample in answers[row_id]}
    errors = Counter(reply.error_code for reply in replies.values() if reply.error_code)
    return scores, JudgeTally(dict(errors), sum(reply.cost_usd for reply in replies.values()))


def judge_requests(
    rows: Sequence[Row], candidates: Mapping[str, Mapping[int, str]], judge: Teacher
) -> dict[str, Request]:
    """What the judge is asked, by row: about the rows with several candidates."""
    several = [(row, list(texts.values())) for row in rows if len(texts := candidates[row["row_id"]]) > 1]
    return {row["row_id"]: judge_request(row, texts, judge) for row, texts in several}


def candidates_of(table: Sequence[dict[str, Any]]) -> dict[str, dict[int, str]]:
    """The candidates of each row of a table that is not chosen from yet."""
    return {row_id: _candidates(by_sample) for row_id, by_sample in _by_row(table).items()}


def _by_row(table: Sequence[dict[str, Any]]) -> dict[str, dict[int, list[dict[str, Any]]]]:
    """The lines of each row's answers, by sample."""
    answers: dict[str, dict[int, list[dict[str, Any]]]] = {}
    for line in table:  # in the order of row, sample, turn
        answers.setdefault(line["row_id"], {}).setdefault(line["sample"], []).append(line)
    return answers


def _candidates(by_sample: Mapping[int, Sequence[Row]]) -> dict[int, str]:
    """The whole answers among which the judge picks: text by sample, each text once."""
    texts: dict[str, int] = {}
    for sample, lines in by_sample.items():
        if all(_usable(line) is not None for line in lines):
            texts.setdefault("\n\n".join(line["raw_text"] for line in lines), sample)
    return {sample: text for text, sample in texts.items()}


def judge_request(row: Row, texts: Sequence[str], judge: Teacher) -> Request:
    """The judge's choice among the texts of a row."""
    messages = judge_messages(row["messages"], texts)
    key = request_hash(judge, messages, JUDGE_FORMAT, row["row_id"], 0)
    return Request(key, messages, JUDGE_FORMAT, hashing.prompt_hash(row["messages"]))


def count(rows: Sequence[Any], table: Sequence[Row]) -> GenerateCounts:
    """The counts of a shard's rows and of the lines of its table."""
    ok = [line for line in table if line["status"] == "ok"]
    return GenerateCounts(
        rows=len(rows),
        requests=len(table),
        ok=len(ok),
        failed=len(table) - len(ok),
        truncated=sum(line["finish_reason"] == "length" for line in ok),
        unparsed=sum(line["answer"] is None for line in ok),
        chosen=sum(line["chosen"] for line in table),
    )


def finish_reasons_of(table: Sequence[Row]) -> dict[str, int]:
    """How many answered lines of the table ended for which reason."""
    return dict(sorted(Counter(row["finish_reason"] for row in table if row["status"] == "ok").items()))


def errors_of(table: Sequence[Row]) -> dict[str, int]:
    """How many lines of the table failed, by code."""
    return dict(sorted(Counter(row["error_code"] for row in table if row["error_code"]).items()))

"""Calls and replies as the rows of `teacher.parquet`, with what was chosen among a row's several answers."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from distill_dagster.config import GenerationConfig
from distill_dagster.generation.choosing import JUDGE_FORMAT, agreements, judge_messages, read_choice
from distill_dagster.generation.rounds import PREVIOUS_TURN_FAILED, Call
from distill_dagster.store import hashing
from distill_dagster.tasks.asked import Asked
from distill_dagster.tasks.prompts import prompts_of
from distill_dagster.teachers.asker import Asker, Entry, request_hash, sampling_params
from distill_dagster.teachers.protocol import Question, Teacher

Row = Mapping[str, Any]
JUDGE_GENERATION = GenerationConfig(max_new_tokens=256)


def teacher_row(row: Row, call: Call, entry: Entry, generation: GenerationConfig, how: Asked) -> dict[str, Any]:
    """One line of `records.TEACHER`; nothing is chosen yet."""
    ok = entry["finish_reason"] != "error"
    created, reading = entry["created_at"], how.read(row["task"], entry["text"])
    return {
        "row_id": row["row_id"],
        "sample": call.sample,
        "turn": call.turn,
        "request_hash": entry["request_hash"],
        "teacher": entry["teacher"],
        "teacher_revision": entry["teacher_revision"],
        "params": hashing.canonical_json({**sampling_params(generation), **how.params}),
        "raw_text": entry["text"],
        "reasoning": entry["reasoning"] or reading.reasoning,
        "answer": reading.answer if ok else None,
        "agreement": None,
        "chosen": True,
        "finish_reason": entry["finish_reason"],
        "prompt_tokens": entry["prompt_tokens"],
        "completion_tokens": entry["completion_tokens"],
        "latency_ms": entry["latency_ms"],
        "cost_usd": entry["cost_usd"],
        "attempts": entry["attempts"],
        "status": "ok" if ok else "failed",
        "error_code": entry["error_code"],
        "logprobs": entry["logprobs"],
        "created_at": datetime.fromisoformat(created) if created else datetime.now(UTC),
    }


def choose(
    rows: Sequence[Row], table: Sequence[dict[str, Any]], how: str, judge: Teacher | None, asker: Asker
) -> dict[str, int]:
    """Fill `agreement` and `chosen`: of each row's answers one is chosen, all turns of it together, whole ones first.

    Returns how many of the judge's replies failed, by code.
    """
    answers: dict[str, dict[int, list[dict[str, Any]]]] = {row["row_id"]: {} for row in rows}
    for line in table:  # in the order of row, sample, turn
        answers[line["row_id"]].setdefault(line["sample"], []).append(line)
    scores, failed = {row["row_id"]: _scored(row, answers, how) for row in rows}, Counter[str]()
    if judge:
        scores, failed = _judged(rows, answers, judge, asker)
    for row_id, by_sample in answers.items():
        whole = {sample: all(_usable(line) is not None for line in lines) for sample, lines in by_sample.items()}
        best = max(by_sample, key=lambda sample: (whole[sample], scores[row_id][sample], -sample))
        for sample, lines in by_sample.items():
            for line in lines:
                line |= {"agreement": scores[row_id][sample], "chosen": sample == best}
    return dict(failed)


def _scored(row: Row, answers: Mapping[str, Mapping[int, Sequence[Row]]], how: str) -> dict[int, float]:
    gold = [prompt.reference for prompt in prompts_of(row)] if how == "gold" else None
    by_sample = answers[row["row_id"]]
    parsed = [[_usable(line) for line in lines] for lines in by_sample.values()]
    return dict(zip(by_sample, agreements(row["task"], parsed, gold), strict=True))


def _usable(line: Row) -> str | None:
    """The answer of a turn that ended by itself."""
    return line["answer"] if line["finish_reason"] == "stop" else None


def _judged(
    rows: Sequence[Row], answers: Mapping[str, Mapping[int, Sequence[Row]]], judge: Teacher, asker: Asker
) -> tuple[dict[str, dict[int, float]], Counter[str]]:
    """1 for the answer that the judge picks, 0 for the others; and the judge's failures by code.

    A row whose choice is plain is not asked about. Where the judge's reply names none of the answers, all get 0.
    """
    candidates = {row["row_id"]: _candidates(answers[row["row_id"]]) for row in rows}
    questions = {
        row["row_id"]: _judge_question(row, list(candidates[row["row_id"]].values()), judge)
        for row in rows
        if len(candidates[row["row_id"]]) > 1
    }
    replies = asker.ask(judge, list(questions.values()))
    scores: dict[str, dict[int, float]] = {}
    for row_id, texts in candidates.items():
        picked: int | None = 0
        if row_id in questions:
            picked = read_choice(replies[questions[row_id].request_hash]["text"], len(texts))
        best = list(texts)[picked] if texts and picked is not None else None
        scores[row_id] = {sample: float(sample == best) for sample in answers[row_id]}
    return scores, Counter(reply["error_code"] for reply in replies.values() if reply["error_code"])


def _candidates(by_sample: Mapping[int, Sequence[Row]]) -> dict[int, str]:
    """Sample -> text of the whole answers, each text once."""
    texts: dict[str, int] = {}
    for sample, lines in by_sample.items():
        if all(_usable(line) is not None for line in lines):
            texts.setdefault("\n\n".join(line["raw_text"] for line in lines), sample)
    return {sample: text for text, sample in texts.items()}


def _judge_question(row: Row, texts: Sequence[str], judge: Teacher) -> Question:
    messages = judge_messages(row["messages"], texts)
    key = request_hash(judge, messages, JUDGE_FORMAT, JUDGE_GENERATION, row["row_id"], 0)
    return Question(key, messages, JUDGE_FORMAT)


def count(rows: Sequence[Any], table: Sequence[Row]) -> dict[str, int]:
    """`requests == ok + failed`; `truncated` and `unparsed` are among the ok ones, `chosen` among all."""
    ok = [row for row in table if row["status"] == "ok"]
    return {
        "rows": len(rows),
        "requests": len(table),
        "ok": len(ok),
        "failed": len(table) - len(ok),
        "truncated": sum(row["finish_reason"] == "length" for row in ok),
        "unparsed": sum(row["answer"] is None for row in ok),
        "chosen": sum(row["chosen"] for row in table),
    }


def may_heal(error_code: str | None) -> bool:
    """Whether asking again may help: not where the request itself was refused, or depends on one that failed."""
    if error_code is None or error_code in ("E010", "E015", PREVIOUS_TURN_FAILED):
        return False
    return not error_code.startswith("http_4") or error_code in ("http_408", "http_409", "http_429")


def errors_of(table: Sequence[Row]) -> dict[str, int]:
    """How many rows failed, by code."""
    return dict(sorted(Counter(row["error_code"] for row in table if row["error_code"]).items()))

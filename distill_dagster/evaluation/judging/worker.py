"""The worker that asks a judge about the student's answers and the teacher's, over the same held-out prompts.

The canaries come first. If one comes out wrong, nothing else is asked or paid for, and the report says why the judge's
word does not count. Replies are stored as a teacher's: a run that was interrupted asks only what is left.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from distill_dagster.errors import DataError
from distill_dagster.evaluation.judging.canaries import canary_duels, distrust, judged_canaries
from distill_dagster.evaluation.judging.duels import Duel, Outcome
from distill_dagster.evaluation.judging.specs import JudgeCounts, Judgement, JudgementTable, JudgeResult, JudgeSpec
from distill_dagster.evaluation.statistics import mean_interval
from distill_dagster.generation.probes import JUDGE_GENERATION
from distill_dagster.progress import track
from distill_dagster.store import files, hashing, parquet
from distill_dagster.tasks.prompts import Prompt, prompts_of
from distill_dagster.tasks.thoughts import part_thoughts
from distill_dagster.teachers import open_teacher
from distill_dagster.teachers.asker import Asker, open_asker
from distill_dagster.teachers.faults import may_heal
from distill_dagster.teachers.protocol import Reply, Teacher, cost_of

Row = Mapping[str, Any]
POINTS: dict[Outcome, float] = {"first": 1.0, "second": 0.0, "tie": 0.5}  # the student's answer is the first
COLUMNS = ["row_id", "turn", "prediction", "parsed"]


def judge_answers(spec: JudgeSpec, device: str = "cpu") -> JudgeResult:
    """Ask the judge, and write judgement.json into `spec.out`.

    Raises:
        DataError: the two benchmarks answered other rows.
        TeacherError: the judge cannot be asked, or fails too often.
        BudgetError: the budget is spent.
    """
    asked = drawn_prompts(parquet.read_table(Path(spec.rows)), spec.prompts, spec.seed)
    answers = _answers(spec, asked)
    with (
        track("judge", total=2 * len(asked)) as advance,
        open_asker(spec, "answer_judgement", advance) as asker,
    ):
        judge = open_teacher(spec.judge, JUDGE_GENERATION, "cpu")
        canaries = canary_duels(asked)
        replies = _ask(asker, judge, canaries)
        found = judged_canaries(canaries, judge, replies)
        outcomes: list[tuple[str, Outcome]] = []
        reason, identical = distrust(found), list[str]()
        if reason is None:
            duels, identical = _duels(asked, answers)
            replies |= _ask(asker, judge, duels)
            outcomes = [(duel.row_id, duel.outcome(judge, replies)) for duel in duels]
    word = Judgement(
        judge=spec.judge.name,
        revision=spec.judge.revision,
        canaries=found,
        trusted=reason is None,
        reason=reason,
        **_score(outcomes, identical, spec),
    )
    return _published(word, _counted(outcomes, identical), replies, spec)


def _published(word: Judgement, counts: JudgeCounts, replies: Mapping[str, Reply], spec: JudgeSpec) -> JudgeResult:
    document = JudgementTable(**dict(word), counts=counts).model_dump(mode="json")
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    (Path(spec.out) / files.JUDGEMENT_FILE).write_text(text, encoding="utf-8")
    return JudgeResult(
        data_version=hashing.sha256(hashing.canonical_json(document)),
        counts=counts,
        complete=not any(may_heal(reply.error_code) for reply in replies.values()),
        billing=spec.judge.billing,
        cost_usd=cost_of(replies.values()),
        **dict(word),
    )


def drawn_prompts(rows: Sequence[Row], most: int, seed: int) -> list[tuple[Row, Prompt]]:
    """At most `most` held-out prompts, in a drawn order."""
    asked = [(row, prompt) for row in rows for prompt in prompts_of(row)]
    return [asked[i] for i in np.random.default_rng(seed).permutation(len(asked))[:most]]


def _answers(spec: JudgeSpec, asked: Sequence[tuple[Row, Prompt]]) -> list[dict[tuple[str, int], str]]:
    """What student and teacher answered, by row and turn."""
    found = [
        {(row["row_id"], row["turn"]): _answer(row) for row in parquet.read_table(Path(path), COLUMNS)}
        for path in (spec.student, spec.teacher)
    ]
    for texts, who in zip(found, ("student", "teacher"), strict=True):
        missing = [row["row_id"] for row, prompt in asked if (row["row_id"], prompt.turn) not in texts]
        if missing:
            raise DataError(
                f"the {who}'s benchmark has no answer to {len(missing)} of {len(asked)} prompts, such as "
                f"{missing[0]!r}: materialize {who}_benchmark again"
            )
    return found


def _answer(row: Row) -> str:
    """The parsed answer, since a form such as JSON would tell who wrote it; else the text without thoughts."""
    return row["parsed"] if row["parsed"] is not None else part_thoughts(row["prediction"])[1]


def _duels(
    asked: Sequence[tuple[Row, Prompt]], answers: Sequence[Mapping[tuple[str, int], str]]
) -> tuple[list[Duel], list[str]]:
    """A duel for each prompt with two different answers, and the rows of the others."""
    duels, identical = list[Duel](), list[str]()
    for row, prompt in asked:
        student, teacher = (texts[row["row_id"], prompt.turn] for texts in answers)
        if student == teacher:
            identical.append(row["row_id"])
        else:
            duels.append(Duel(row["row_id"], str(prompt.turn), prompt.messages, student, teacher))
    return duels, identical


def _ask(asker: Asker, judge: Teacher, duels: Sequence[Duel]) -> dict[str, Reply]:
    return asker.ask(judge, [request for duel in duels for request in duel.requests(judge)], role="judge")


def _score(outcomes: Sequence[tuple[str, Outcome]], identical: Sequence[str], spec: JudgeSpec) -> dict[str, float]:
    """The share that the student wins, with its interval over rows; nothing if no prompt was compared."""
    points: dict[str, list[float]] = defaultdict(list)
    for row_id, outcome in [*outcomes, *((row_id, "tie") for row_id in identical)]:
        if outcome in POINTS:
            points[row_id].append(POINTS[outcome])
    if not points:
        return {}
    means = [sum(own) / len(own) for own in points.values()]
    ends = mean_interval(means, resamples=spec.resamples, seed=spec.seed)
    return {"score": sum(means) / len(means), "low": ends.low, "high": ends.high}


def _counted(outcomes: Sequence[tuple[str, Outcome]], identical: Sequence[str]) -> JudgeCounts:
    counts = Counter(outcome for _, outcome in outcomes)
    return JudgeCounts(
        prompts=len(outcomes) + len(identical),
        student=counts["first"],
        teacher=counts["second"],
        ties=counts["tie"],
        identical=len(identical),
        unread=counts["unread"],
    )

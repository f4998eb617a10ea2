"""Let the teacher answer one shard: `raw.parquet` in, `teacher.parquet` out, one row a request.

    row_id  sample  turn  status  error_code            finish_reason
    d-17    0       0     ok      null                  stop
    d-17    0       1     failed  E010                  error          no room for the answer in the context
    d-17    0       2     failed  previous_turn_failed  error
    d-18    0       0     ok      null                  length         cut off: bought once, refused by quality/

What is asked, and what is found among earlier replies, is in rounds.py and asking.py; a killed run goes on from the
journal, and pays again at most for what was in flight.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from distill_dagster.config import QualityConfig
from distill_dagster.generation.rounds import Panel, Rounds, open_panel
from distill_dagster.generation.smoke import SmokeGate
from distill_dagster.generation.specs import GenerateSpec
from distill_dagster.generation.table import JUDGE_GENERATION, choose, count, errors_of, may_heal, teacher_row
from distill_dagster.progress import track
from distill_dagster.quality.filters.row_filters import Candidate, first_reason
from distill_dagster.quality.labels import labels_of
from distill_dagster.store import files, hashing, parquet, schemas
from distill_dagster.store.manifest import Produced
from distill_dagster.tasks import get_task
from distill_dagster.tasks.asked import Asked
from distill_dagster.tasks.prompts import prompts_of
from distill_dagster.teachers import open_teacher
from distill_dagster.teachers.asker import Asker, Tally, sampling_params
from distill_dagster.teachers.budget import Budget, FailureWatch
from distill_dagster.teachers.responses import Responses

Row = Mapping[str, Any]


def generate_shard(request: GenerateSpec, device: str) -> Produced:
    """Write `teacher.parquet` into `request.out`; every prompt of the shard has a row, answered or failed.

    Raises:
        DataError: the shard's rows or an earlier reply cannot be read, or nothing can be written.
        ModelError: a local teacher cannot be loaded.
        TeacherError: a teacher cannot be asked, fails too often, or does not pass the smoke gate.
        BudgetError: the budget is spent. In all cases what was answered is kept.
    """
    rows, started = parquet.read_table(Path(request.rows)), time.perf_counter()
    panel = open_panel(request.faculty, request.generation, device)
    judge = open_teacher(request.faculty.judge, JUDGE_GENERATION, device) if request.faculty.judge else None
    responses = Responses(Path(request.responses))
    total = sum(len(prompts_of(row)) for row in rows) * panel.answers
    with responses.journal(request.journal) as journal, track("generate", total) as advance:
        budget, watch = Budget(request.budget_usd, responses), FailureWatch(request.stop_failed_share)
        asker = Asker(responses, journal, budget, watch, advance)
        how = Asked(request.prompting, request.summary_words, request.labels)
        answered = Rounds(rows, panel, request.generation, how, asker).run(_gate(rows, how, request))
        answered.sort(key=lambda pair: (pair[0].row, pair[0].sample, pair[0].turn))
        table = [teacher_row(rows[c.row], c, entry, request.generation, how) for c, entry in answered]
        unjudged: dict[str, int] = {}
        if request.choose:
            unjudged = choose(rows, table, request.choose, judge, asker)
        parquet.write_table(Path(request.out) / files.TEACHER_FILE, table, schemas.TEACHER)
    facts = _facts(table, asker.tally, time.perf_counter() - started, panel, device) | {"judge_errors": unjudged}
    complete = not any(map(may_heal, [*(row["error_code"] for row in table), *unjudged]))
    return Produced(hashing.rows_hash(table), count(rows, table), facts, complete)


def _gate(rows: Sequence[Row], how: Asked, request: GenerateSpec) -> SmokeGate:
    """The gate for the shard's first turns."""
    tasks = sorted({row["task"] for row in rows})
    return SmokeGate(
        request.smoke,
        Path(request.responses) / "smoke",
        {**sampling_params(request.generation), **how.params, "prompts": {task: how.ask(task, []) for task in tasks}},
        _judge_as_quality_does(rows, how),
    )


def _judge_as_quality_does(rows: Sequence[Row], how: Asked) -> Callable[[Row, Row], str | None]:
    """Why the row filters would refuse a reply to a row's first turn; as far as this shard alone can tell."""
    quality = QualityConfig(labels=list(how.labels) if how.labels else None)
    known = {task: labels_of(task, quality, ()) for task in {row["task"] for row in rows}}  # one shard shows too few

    def reason(row: Row, reply: Row) -> str | None:
        task = get_task(row["task"])
        teacher = {"status": "failed" if reply["finish_reason"] == "error" else "ok", "raw_text": reply["text"]}
        return first_reason(
            Candidate(
                raw=row,
                teacher={**teacher, "finish_reason": reply["finish_reason"]},
                task=task,
                labels=known[task.name],
                reference=prompts_of(row)[0].reference,
                reading=task.read(reply["text"] or "", how.prompting, known[task.name]),
            )
        )

    return reason


def _facts(table: Sequence[Row], tally: Tally, seconds: float, panel: Panel, device: str) -> dict[str, Any]:
    """What people read: who answered, what was asked now and what before, what it cost, why rows failed."""
    return {
        "teacher": panel.own[0][1].name,
        "teachers": dict(sorted(Counter(row["teacher"] for row in table).items())),
        **asdict(tally),
        "seconds": round(seconds, 3),
        "tokens_per_second": tally.completion_tokens / seconds if seconds else 0.0,
        "table_cost_usd": sum({row["request_hash"]: row["cost_usd"] for row in table}.values()),
        "errors": errors_of(table),
        "answer_length": _answer_length(table),
        "device": device,
        "dtype": panel.dtype(device),
    }


def _answer_length(table: Sequence[Row]) -> dict[str, float]:
    """How many answers were chosen, and the median of their characters."""
    lengths = [len(row["raw_text"] or "") for row in table if row["status"] == "ok" and row["chosen"]]
    return {"answers": len(lengths), "median": median(lengths) if lengths else 0.0}

"""Answer one shard: `raw.parquet` in, `teacher.parquet` out, one line for each turn of each sample.

    row_id  sample  turn  status  error_code            finish_reason
    d-17    0       0     ok      null                  stop
    d-17    0       1     failed  E010                  error          no room for the answer in the context
    d-17    0       2     failed  previous_turn_failed  error
    d-18    0       0     ok      null                  length         cut off: paid for once, refused by quality/

rounds.py says what is asked, and teachers/asker.py finds earlier replies. A killed run continues from the journal and
pays again at most for the requests in flight.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from distill_dagster.config import QualityConfig
from distill_dagster.generation.probes import JUDGE_GENERATION, form_of, probes_of
from distill_dagster.generation.rounds import Panel, Rounds, open_panel
from distill_dagster.generation.specs import AnswerLength, GenerateResult, GenerateSpec
from distill_dagster.generation.table import JudgeTally, choose, count, errors_of, finish_reasons_of, teacher_row
from distill_dagster.progress import track
from distill_dagster.quality.filters.row_filters import Candidate, first_reason
from distill_dagster.quality.labels import labels_of
from distill_dagster.store import files, hashing, parquet, schemas
from distill_dagster.store.result import NOBODY
from distill_dagster.tasks import get_task
from distill_dagster.tasks.asked import Asked
from distill_dagster.tasks.prompts import prompts_of
from distill_dagster.teachers import open_teacher
from distill_dagster.teachers.asker import Asker, CallTally
from distill_dagster.teachers.batching.records import Batching
from distill_dagster.teachers.budget import Budget, FailureWatch
from distill_dagster.teachers.faults import may_heal
from distill_dagster.teachers.protocol import Reply
from distill_dagster.teachers.responses import Responses
from distill_dagster.teachers.smoke import SmokeGate

Row = Mapping[str, Any]


def generate_shard(spec: GenerateSpec, device: str) -> GenerateResult:
    """Write `teacher.parquet` into `spec.out`; it has a line for every prompt of the shard, answered or failed.

    Raises:
        DataError: the shard's rows or an earlier reply cannot be read, or the disk cannot be written.
        ModelError: a local teacher cannot be loaded.
        TeacherError: a teacher cannot be asked, fails too often, or does not pass the smoke gate.
        BudgetError: the budget is spent. After any of these errors the replies so far are kept.
    """
    rows, started = parquet.read_table(Path(spec.rows)), time.perf_counter()
    responses = Responses(spec.responses)
    budget = Budget(spec.budget_usd, responses)
    batching = Batching(responses.documents("batches"), budget.afford, responses.find)
    panel = open_panel(spec.faculty, spec.generation, device, batching)
    judge = open_teacher(spec.faculty.judge, JUDGE_GENERATION, device, batching) if spec.faculty.judge else None
    total = sum(len(prompts_of(row)) for row in rows) * panel.answers
    with responses.journal(spec.journal) as journal, track("generate", total) as advance:
        watch = FailureWatch(spec.stop_failed_share)
        how = Asked(spec.prompting, spec.summary_words, spec.labels)
        probes = probes_of(spec.faculty, spec.generation, spec.smoke, form_of(rows, how))
        asker = Asker(responses, journal, budget, watch, advance, probes)
        answered = Rounds(rows, panel, spec.generation, how, asker).run(_gate(rows, how, spec, responses))
        answered.sort(key=lambda pair: (pair[0].row, pair[0].sample, pair[0].turn))
        table = [teacher_row(rows[c.row], c, reply, how) for c, reply in answered]
        judged = choose(rows, table, spec.choose, spec.labels, judge, asker) if spec.choose else JudgeTally()
        parquet.write_table(Path(spec.out) / files.TEACHER_FILE, table, schemas.TEACHER)
    return GenerateResult(
        data_version=hashing.rows_hash(table),
        counts=count(rows, table),
        complete=not any(map(may_heal, [*(line["error_code"] for line in table), *judged.errors])),
        judge_errors=judged.errors,
        judge_billing=spec.faculty.judge.billing if spec.faculty.judge else NOBODY,
        judge_cost_usd=judged.cost_usd,
        billing=spec.faculty.billing,
        device=device,
        **_facts(table, asker.tally, time.perf_counter() - started, panel, device),
    )


def _gate(rows: Sequence[Row], how: Asked, spec: GenerateSpec, responses: Responses) -> SmokeGate:
    """The gate for the shard's first turns."""
    tasks = sorted({row["task"] for row in rows})
    return SmokeGate(
        spec.smoke,
        responses.documents("smoke"),
        {**how.params, "prompts": {task: how.ask(task, []) for task in tasks}},
        _judge_as_quality_does(rows, how),
    )


def _judge_as_quality_does(rows: Sequence[Row], how: Asked) -> Callable[[Row, Reply], str | None]:
    """Why the row filters would refuse a reply to a row's first turn, as far as this shard alone can tell."""
    quality = QualityConfig(labels=list(how.labels) if how.labels else None)
    known = {task: labels_of(task, quality, ()) for task in {row["task"] for row in rows}}  # one shard shows too few

    def reason(row: Row, reply: Reply) -> str | None:
        task = get_task(row["task"])
        return first_reason(
            Candidate(
                raw=row,
                teacher={
                    "status": "ok" if reply.ok else "failed",
                    "raw_text": reply.text,
                    "finish_reason": reply.finish_reason,
                },
                task=task,
                labels=known[task.name],
                reference=prompts_of(row)[0].reference,
                reading=task.read(reply.text or "", how.prompting, known[task.name]),
            )
        )

    return reason


def _facts(table: Sequence[Row], tally: CallTally, seconds: float, panel: Panel, device: str) -> dict[str, Any]:
    """The fields of `GenerateResult` that are read off the table, the tally and the clock."""
    return {
        "teacher": panel.own[0][1].name,
        "teachers": dict(sorted(Counter(line["teacher"] for line in table).items())),
        **asdict(tally),
        "seconds": round(seconds, 3),
        "tokens_per_second": tally.completion_tokens / seconds if seconds else 0.0,
        "table_cost_usd": sum({line["request_hash"]: line["cost_usd"] for line in table}.values()),
        "errors": errors_of(table),
        "finish_reasons": finish_reasons_of(table),
        "answer_length": _answer_length(table),
        "dtype": panel.dtype(device),
    }


def _answer_length(table: Sequence[Row]) -> AnswerLength:
    lengths = [len(line["raw_text"] or "") for line in table if line["status"] == "ok" and line["chosen"]]
    return AnswerLength(answers=len(lengths), median=median(lengths) if lengths else 0.0)

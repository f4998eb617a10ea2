"""Three benchmarks compared: one JSON document, and the same as a page for people.

    report.json   everything below, and the benchmarks in full
    report.md     for a terminal, a pull request, Dagster's metadata
    report.html   one file without scripts or anything fetched, for a browser, light or dark, wide or narrow

Worked example of the document (shortened):

    {"project": "support-intents", "items": 400,
     "headline": "The student keeps 97.1 % (95 % interval 95.0–99.2) of the teacher's score with …",
     "verdict": {"verdict": "PASS", "target": 0.92, "reason": "…", "items_needed": null, "text": "…"},
     "retention": {"value": 0.971, "low": 0.95, "high": 0.992, …}, "gap_recovered": {…}, "mcnemar": {…},
     "ratios": {"parameters": 11.2, "latency": 4.2, …}, "benchmarks": {"teacher": {…}, …}, "examples": […],
     "notes": ["…"], "lineage": {…}, "history": […]}
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from distill_dagster.config import EvaluationConfig
from distill_dagster.errors import DataError
from distill_dagster.evaluation.statistics import compare, decide, item_scores, mcnemar
from distill_dagster.report.rendering import render_html, render_markdown
from distill_dagster.report.wording import ROLES, headline, summary_rows, verdict_text
from distill_dagster.store import files

EXAMPLES = 8
EXAMPLE_CHARACTERS = 600
FEW_REQUESTS = 100

Row = Mapping[str, Any]
Benchmarks = Mapping[str, Mapping[str, Any]]

__all__ = ["build_report", "summary_rows", "write_report"]


def build_report(
    *,
    project: str,
    benchmarks: Benchmarks,
    predictions: Mapping[str, Sequence[Row]],
    config: EvaluationConfig,
    lineage: Mapping[str, Any],
    history: Sequence[Mapping[str, Any]],
    rows: Sequence[Row] = (),
) -> dict[str, Any]:
    """The JSON document of a report.

    `benchmarks` and `predictions` are by role (teacher, student, baseline): benchmark.json and its prediction rows.
    `rows` are the held-out raw rows, where the examples shall show what was asked.

    Raises:
        DataError: a role is missing, or the three were not scored on the same items.
    """
    missing = [role for role in ROLES if role not in benchmarks or role not in predictions]
    if missing:
        raise DataError(f"the report compares {', '.join(ROLES)}; there is no benchmark of {', '.join(missing)}")
    scores = {role: item_scores(predictions[role]) for role in ROLES}
    compared = compare(**scores, resamples=config.resamples, seed=config.seed)
    verdict, test = decide(compared.retention, config.retention_target), mcnemar(scores["teacher"], scores["student"])
    retention, ratios = asdict(compared.retention), _ratios(benchmarks)
    decision: dict[str, Any] = {
        "verdict": verdict.outcome,
        "target": config.retention_target,
        "reason": verdict.reason,
        "items_needed": verdict.items_needed,
    }
    items = compared.retention.items
    document: dict[str, Any] = {
        "project": project,
        "headline": headline(retention, ratios),
        "verdict": {**decision, "text": verdict_text(decision, retention, items)},
        "items": items,
        "retention": retention,
        "gap_recovered": asdict(compared.gap_recovered),
        "mcnemar": asdict(test) if test else None,
        "ratios": ratios,
        "metrics": [
            [task, metric] for task, found in benchmarks["teacher"]["by_task"].items() for metric in found["metrics"]
        ],
        "benchmarks": {role: dict(benchmarks[role]) for role in ROLES},
        "examples": _examples(predictions, rows),
        "lineage": dict(lineage),
        "history": [dict(entry) for entry in history],
        "evaluation": config.model_dump(),
    }
    return document | {"notes": _notes(document)}


def write_report(folder: Path, document: Mapping[str, Any]) -> None:
    """Write report.json, report.md and report.html into `folder`."""
    (folder / files.REPORT_FILE).write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / files.REPORT_MARKDOWN).write_text(render_markdown(document), encoding="utf-8")
    (folder / files.REPORT_PAGE).write_text(render_html(document), encoding="utf-8")


def _same_machine(benchmarks: Benchmarks) -> bool:
    """Whether teacher and student were measured alike, so that their speeds may be compared."""
    teacher, student = (
        (b["hardware"]["device"].partition(":")[0], b["hardware"]["name"], b["hardware"]["threads"])
        for b in (benchmarks["teacher"], benchmarks["student"])
    )
    return teacher == student


def _ratios(benchmarks: Benchmarks) -> dict[str, float | None]:
    """How many times the student is better than the teacher (above 1) or worse (below); None: not comparable."""
    teacher, student = benchmarks["teacher"], benchmarks["student"]
    alike = _same_machine(benchmarks)

    def over(ours: float | None, theirs: float | None) -> float | None:
        return theirs / ours if ours and theirs else None

    def timed(*path: str) -> float | None:
        ours, theirs = student["speed"], teacher["speed"]
        for key in path:
            ours, theirs = ours[key], theirs[key]
        return over(ours, theirs) if alike else None

    rate = timed("tokens_per_second")
    return {
        "parameters": over(student["parameters"], teacher["parameters"]),
        "latency": timed("latency_ms", "p50"),
        **{f"latency_{p}": timed("latency_ms", p) for p in ("p50", "p95", "p99")},
        "first_token": timed("first_token_ms", "p50"),
        "tokens_per_second": 1 / rate if rate else None,
        "peak_memory": over(student["memory"]["peak_bytes"], teacher["memory"]["peak_bytes"]) if alike else None,
        "weights": over(student["memory"]["weight_bytes"], teacher["memory"]["weight_bytes"]),
        "bytes_on_disk": over(student["bytes_on_disk"], teacher["bytes_on_disk"]),
    }


def _examples(predictions: Mapping[str, Sequence[Row]], rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Answers on which teacher and student differ most: the student's losses first, a third of them its gains."""
    asked = {row["row_id"]: row for row in rows}
    students = {(row["row_id"], row["turn"]): row for row in predictions["student"]}
    pairs = [
        (teacher, student)
        for teacher in predictions["teacher"]
        if teacher["score"] is not None and (student := students.get((teacher["row_id"], teacher["turn"])))
    ]
    pairs.sort(key=lambda pair: (-abs(pair[0]["score"] - pair[1]["score"]), pair[0]["row_id"], pair[0]["turn"]))
    losses = [pair for pair in pairs if pair[0]["score"] > pair[1]["score"]]
    gains = [pair for pair in pairs if pair[0]["score"] < pair[1]["score"]]
    gained = min(len(gains), max(EXAMPLES // 3, EXAMPLES - len(losses)))
    chosen = losses[: EXAMPLES - gained] + gains[:gained]
    return [_example(teacher, student, asked.get(teacher["row_id"])) for teacher, student in chosen]


def _example(teacher: Row, student: Row, raw: Row | None) -> dict[str, Any]:
    return {
        "row_id": teacher["row_id"],
        "turn": teacher["turn"],
        "task": teacher["task"],
        "question": _question(raw, teacher["turn"]),
        "reference": [_cut(text) for text in teacher["reference"]],
        "teacher": {"text": _cut(teacher["prediction"]), "score": teacher["score"]},
        "student": {"text": _cut(student["prediction"]), "score": student["score"]},
    }


def _question(raw: Row | None, turn: int) -> str | None:
    """The user turn that was answered."""
    users = [m["content"] for m in raw["messages"] if m["role"] == "user"] if raw else []
    return _cut(users[turn]) if turn < len(users) else None


def _cut(text: str) -> str:
    return text if len(text) <= EXAMPLE_CHARACTERS else text[:EXAMPLE_CHARACTERS] + " …"


def _notes(document: Mapping[str, Any]) -> list[str]:
    """What a reader must know before trusting a number."""
    benchmarks: Benchmarks = document["benchmarks"]
    teacher = benchmarks["teacher"]
    notes = []
    if teacher["unscored"]:
        notes.append(f"{teacher['unscored']:,} held-out prompts have no reference: they were answered and not scored.")
    if len(teacher["by_task"]) > 1:
        notes.append(f"The score is the mean over the items of {len(teacher['by_task'])} tasks, whose metrics differ.")
    for name, estimate in (("Retention", document["retention"]), ("Gap recovered", document["gap_recovered"])):
        if estimate["reason"]:
            notes.append(f"{name}: {estimate['reason']}.")
        elif estimate["undefined"]:
            notes.append(
                f"{name}: {estimate['undefined']:,} of {estimate['resamples']:,} resamples have no ratio; they count "
                "against both ends of the interval."
            )
    return notes + _speed_notes(benchmarks)


def _speed_notes(benchmarks: Benchmarks) -> list[str]:
    """What speaks against comparing speed and memory, or against the 99th percentile."""
    notes = [
        f"The models were not measured alike, {what} differs: {values}."
        for what, values in _differences(benchmarks).items()
    ]
    if not _same_machine(benchmarks):
        notes.append("Speed and peak memory of teacher and student are not compared: they ran on different hardware.")
    for role in ROLES:
        if skipped := benchmarks[role]["speed"]["skipped"]:
            notes.append(
                f"{role.capitalize()}: {skipped:,} of the timed prompts do not fit its context, and are left out."
            )
    requests = min(benchmarks[role]["speed"]["requests"] for role in ROLES)
    if requests < FEW_REQUESTS:
        notes.append(
            f"With {requests} timed requests the 99th percentile is close to the slowest one; "
            "evaluation.latency_requests sets how many there are."
        )
    return notes


def _differences(benchmarks: Benchmarks) -> dict[str, str]:
    """What was not the same for all roles though it bears on the comparison, with the values by role."""
    values = {
        "hardware": {role: benchmarks[role]["hardware"]["name"] for role in ROLES},
        "the number of threads": {role: benchmarks[role]["hardware"]["threads"] for role in ROLES},
        "dtype": {role: benchmarks[role]["dtype"] for role in ROLES},
        "the prompting": {role: benchmarks[role]["prompting"] for role in ROLES},
        "the limit of new tokens": {role: benchmarks[role]["max_new_tokens"] for role in ROLES},
        **{
            f"the version of {name}": {role: benchmarks[role]["versions"].get(name) for role in ROLES}
            for name in benchmarks["teacher"]["versions"]
        },
    }
    return {
        what: ", ".join(f"{role} {v}" for role, v in by.items())
        for what, by in values.items()
        if len(set(by.values())) > 1
    }

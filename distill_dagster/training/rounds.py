"""Publish the student of the last on-policy round as the project's student.

Its weights are copied. Its history is that of all rounds, one behind the other, and its card lists them:

    student_round_0   history.json   steps 1 … 120
    student_round_1   history.json   steps 1 … 80      ->   121 … 200
    student_round_2   history.json   steps 1 … 80      ->   201 … 280
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from distill_dagster.store import files
from distill_dagster.training.card import write_card
from distill_dagster.training.copying import copy_student, needed_of
from distill_dagster.training.history import thin, write_history
from distill_dagster.training.record import EarlyStop, LossPoint
from distill_dagster.training.specs import FinishedRound, TrainCounts, TrainResult, TrainSpec

REASONS = ("stop", "length", "repetition")
HISTORY = TypeAdapter(list[LossPoint])


def publish_last(spec: TrainSpec) -> TrainResult:
    """Write the last round's `model/`, `model.json`, and the `history.json` of all rounds into `spec.out`.

    Raises:
        DataError: a round's files are gone.
    """
    last, records, out = spec.finished[-1], [finished.record for finished in spec.finished], Path(spec.out)
    history = list(_joined(spec.finished))
    with _reading(last):
        copy_student(spec, Path(last.folder))
    write_history(out, history)
    totals = _totals(spec.finished)
    counts = TrainCounts(**{**last.result.counts.model_dump(), **totals})
    write_card(spec, counts, last.result)
    training = {**spec.training.model_dump(mode="json"), "loss": spec.training.loss}
    made = last.result.model_dump(exclude={"usage", "leased", "launchpad", "counts", "history", "training", "rounds"})
    made |= {"steps": totals["steps"], "seconds": sum(one.result.seconds for one in spec.finished)}
    made |= {"base": spec.student_base.name, "resumed_from_step": 0, "training": training, "rounds": records}
    made |= {"stopped": _counted_on(last.result.stopped, totals["steps"] - last.result.steps)}
    return TrainResult(**made, counts=counts, history=thin(history)).with_launchpad(_launchpad(spec.finished))


def _reading(finished: FinishedRound) -> AbstractContextManager[None]:
    """Name the round whose files are gone."""
    return needed_of(f"student_round_{finished.record.round}")


def _launchpad(rounds: Sequence[FinishedRound]) -> dict[str, Any]:
    """The settings of the launchpad with which a round was trained."""
    return {
        f"{name} of round {finished.record.round}": value
        for finished in rounds
        for name, value in finished.result.launchpad.items()
    }


def _joined(rounds: Sequence[FinishedRound]) -> Iterator[LossPoint]:
    """The points of all rounds, their steps counted on."""
    done = 0
    for finished in rounds:
        with _reading(finished):
            text = (Path(finished.folder) / files.HISTORY_FILE).read_text(encoding="utf-8")
        yield from (point.model_copy(update={"step": point.step + done}) for point in HISTORY.validate_json(text))
        done += finished.result.steps


def _counted_on(stopped: EarlyStop | None, done: int) -> EarlyStop | None:
    """The early stop of the last round, its steps counted on from the `done` steps before that round."""
    names = ("step", "planned", "best_step", "kept_step")
    return stopped and stopped.model_copy(update={name: getattr(stopped, name) + done for name in names})


def _totals(rounds: Sequence[FinishedRound]) -> dict[str, int]:
    """Steps, the rounds after the cold start, and their rollouts by the reason for which they ended."""
    records = [finished.record for finished in rounds]
    reasons = {f"rollouts_{name}": sum(getattr(record, name) for record in records) for name in REASONS}
    counted = {name: sum(getattr(record, name) for record in records) for name in ("steps", "rollouts")}
    return {"rounds": len(records) - 1, **counted, **reasons}

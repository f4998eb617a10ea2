"""The curves of a training while it runs: TensorBoard's files, and points for whoever listens.

    store/tensorboard/student_checkpoint-3f2a9c01b7d4/events.out.tfevents…

    loss, validation_loss, learning_rate, gradient_norm, tokens_per_second, mfu      by step

Each point is on the disk before the next step begins, so a killed process loses none. A resumed training writes a
second file whose first record tells TensorBoard to forget the steps that are taken again. Of several processes the
first one writes.
"""

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from distill_dagster.progress import report_point
from distill_dagster.training.history import point_of

NAMES = ("loss", "validation_loss", "learning_rate", "gradient_norm", "tokens_per_second", "mfu")
MOST_POINTS = 50  # training losses that are reported in one training, and as many validation losses


@contextlib.contextmanager
def open_curves(tensorboard: str | None) -> Iterator[list[TrainerCallback]]:
    """Callbacks for a training inside the block: one that reports points, and one that writes TensorBoard's files."""
    files = TensorBoardFiles(Path(tensorboard)) if tensorboard else None
    try:
        yield [Points(), *([files] if files else [])]
    finally:
        if files:
            files.close()


class _Logged(TrainerCallback, ABC):
    """Turns what the Trainer logs into numbers by name."""

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **kwargs: Any) -> None:
        rate = (logs or {}).get("learning_rate", 0.0)
        point = point_of(logs or {}, state.global_step, rate) if state.is_world_process_zero else None
        if point is None:
            return
        numbers = point.model_dump(exclude={"step"})
        if "validation_loss" in numbers:
            del numbers["learning_rate"]  # it was logged with the loss of this step
        self.draw(state.global_step, numbers, control)

    @abstractmethod
    def draw(self, step: int, numbers: dict[str, float], control: Any) -> None:
        """Add the numbers of one step to the curves."""


class TensorBoardFiles(_Logged):
    """Writes the curves where TensorBoard reads them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.writer: Any = None  # torch.utils.tensorboard.SummaryWriter

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        from torch.utils.tensorboard import SummaryWriter

        if state.is_world_process_zero:
            self.writer = SummaryWriter(str(self.folder), purge_step=state.global_step + 1)

    def draw(self, step: int, numbers: dict[str, float], control: Any) -> None:
        for name, number in numbers.items():
            self.writer.add_scalar(name, number, step)
        self.writer.flush()

    def close(self) -> None:
        """Close the file."""
        if self.writer is not None:
            self.writer.close()


class Points(_Logged):
    """Reports points, at most about a hundred in a training: an instance of Dagster keeps each as an event.

    A point with a validation loss has the training loss of its step too.
    """

    def __init__(self) -> None:
        self.loss: dict[str, float] = {}
        self.apart, self.due = 1.0, {"loss": 0.0, "validation_loss": 0.0}

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.apart = max(1.0, state.max_steps / MOST_POINTS)

    def draw(self, step: int, numbers: dict[str, float], control: Any) -> None:
        kind = "validation_loss" if "validation_loss" in numbers else "loss"
        if kind == "loss":
            self.loss = numbers
            if control.should_evaluate and self._is_due("validation_loss", step):
                return  # the point with the validation loss follows
        if self._is_due(kind, step):
            self.due[kind] = step + self.apart
            together = self.loss | numbers
            report_point({"step": step} | {name: together[name] for name in NAMES if name in together})

    def _is_due(self, kind: str, step: int) -> bool:
        return step >= self.due[kind]

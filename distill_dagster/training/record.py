"""What one training did: its losses, why it ended, and the rounds of on-policy training. Parts of a worker's result.

TrainingRun(steps=800, history=[StepLoss(step=10, loss=2.1, …), ValidationLoss(step=100, …), …], kept="best", …)
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


def _is_none(value: object) -> bool:
    return value is None


class Recorded(BaseModel):
    """A part of a result."""

    model_config = ConfigDict(frozen=True)


class StepLoss(Recorded):
    """The mean training loss since the point before it; earlier versions wrote only the first three numbers."""

    step: int
    loss: float
    learning_rate: float
    gradient_norm: float | None = Field(default=None, exclude_if=_is_none)  # of the step, before it is clipped
    tokens_per_second: float | None = Field(default=None, exclude_if=_is_none)  # since the point before it
    mfu: float | None = Field(default=None, exclude_if=_is_none)  # 0 … 1; None on a CPU, see speed.py


class ValidationLoss(Recorded):
    """The mean loss of the validation answers' tokens."""

    step: int
    validation_loss: float
    learning_rate: float


LossPoint = StepLoss | ValidationLoss


class EarlyStop(Recorded):
    """A training that ended because its validation loss had no new minimum for `early_stopping_patience` evaluations.

    It was overfitting if the training loss fell meanwhile.
    """

    reason: Literal["overfitting", "no improvement"]
    step: int
    planned: int  # steps
    validation_loss: float
    best_step: int
    best_validation_loss: float
    kept_step: int  # whose weights are kept

    @property
    def words(self) -> str:
        """The stop in a sentence's part."""
        meanwhile = "fell" if self.reason == "overfitting" else "did not fall either"
        return (
            f"{self.reason}: stopped at step {self.step:,} of {self.planned:,}, where the validation loss is "
            f"{self.validation_loss:.4g}; it was lowest at step {self.best_step:,}, {self.best_validation_loss:.4g}, "
            f"and since then the training loss {meanwhile}; the weights of step {self.kept_step:,} are kept"
        )


class TrainingRun(Recorded):
    """What one training did, whether it fitted a teacher or trained the student."""

    device: str = "cpu"
    dtype: str = "float32"  # of weights and arithmetic
    steps: int
    history: list[LossPoint]
    best_validation_loss: float | None = None  # None: no validation rows
    kept: Literal["best", "last"]  # which weights were kept
    resumed_from_step: int = 0
    stopped: EarlyStop | None = Field(default=None, exclude_if=_is_none)  # None: it took all its steps
    tokens_per_second: float = 0.0
    seconds: float = 0.0
    training: dict[str, Any] = {}  # the config that made it
    trainable_parameters: int = Field(default=0, exclude_if=lambda count: count == 0)  # 0: not known


class RoundRecord(Recorded):
    """What a round of on-policy training did; round 0 is the cold start."""

    round: int
    rollouts: int = 0
    stop: int = 0  # rollouts that ended with an end token
    length: int = 0  # that reached the longest length
    repetition: int = 0  # that got into a loop
    train_rows: int
    rollout_rows: int = 0  # of the train_rows
    steps: int
    best_validation_loss: float | None
    seconds: float  # of sampling, reading and training together
    gpu_seconds: float

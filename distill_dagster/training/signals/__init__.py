"""What the student learns from. Each signal is a module here; `open_signal` makes the one that a training asks for.

text      the tokens of the teacher's answers
logits    the teacher's stored distributions as well
"""

from pathlib import Path
from typing import Any

from distill_dagster.training.signals.logits import LogitsSignal
from distill_dagster.training.signals.protocol import Signal
from distill_dagster.training.signals.text import TextSignal
from distill_dagster.training.specs import TrainSpec


def open_signal(spec: TrainSpec, student: Any, tokenizer: Any, cache: Path) -> Signal:
    """The signal of a training.

    Raises:
        TrainingError: what is stored of the teacher does not fit the student or the objective.
    """
    if spec.training.signal == "logits":
        return LogitsSignal.open(spec.training, spec.logits, student, tokenizer, cache)
    return TextSignal.of(spec.training, tokenizer.pad_token_id)

"""What the student learns from. Each signal is a module here; `open_signal` makes the one that a training asks for.

text      the tokens of the teacher's answers
logits    the teacher's stored distributions as well
on_policy the teacher's distributions over the student's own samples, and one of the others on the teacher's answers
"""

from pathlib import Path
from typing import Any

from distill_dagster.training.signals.logits import LogitsSignal
from distill_dagster.training.signals.on_policy import OnPolicySignal
from distill_dagster.training.signals.protocol import Signal
from distill_dagster.training.signals.text import TextSignal
from distill_dagster.training.specs import TrainSpec


def open_signal(spec: TrainSpec, student: Any, tokenizer: Any, cache: Path) -> Signal:
    """The signal of a training.

    Raises:
        TrainingError: what is stored of the teacher does not fit the student or the objective.
    """
    start = _start(spec, student, tokenizer, cache)
    if spec.training.signal == "on_policy":
        return OnPolicySignal.open(spec, start, student, tokenizer, cache)
    return start


def _start(spec: TrainSpec, student: Any, tokenizer: Any, cache: Path) -> TextSignal | LogitsSignal:
    """The signal of the teacher's answers."""
    config = spec.training.start
    if config.signal == "logits":
        return LogitsSignal.open(config, spec.logits, student, tokenizer, cache)
    return TextSignal.of(config, tokenizer.pad_token_id)

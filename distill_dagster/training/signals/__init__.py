"""What the student learns from. Each signal is a module here; `open_signal` makes the one that a training asks for.

text      the tokens of the teacher's answers
logits    the teacher's stored distributions as well; across tokenizers, how likely it finds each span of the text
"""

from pathlib import Path
from typing import Any

from distill_dagster.errors import TrainingError
from distill_dagster.models.ref import ModelRef
from distill_dagster.models.tokenizer import open_tokenizer
from distill_dagster.training.signals.alm import AlmSignal
from distill_dagster.training.signals.logits import LogitsSignal
from distill_dagster.training.signals.protocol import Signal
from distill_dagster.training.signals.text import TextSignal
from distill_dagster.training.specs import TrainSpec


def open_signal(spec: TrainSpec, student: Any, tokenizer: Any, cache: Path) -> Signal:
    """The signal of a training.

    Raises:
        TrainingError: what is stored of the teacher does not fit the student or the objective.
        ModelError: the student's tokenizer and the teacher's do not fit each other.
    """
    training = spec.training
    if training.signal == "text":
        return TextSignal.of(training, tokenizer.pad_token_id)
    if training.objective.across_tokenizers:
        return AlmSignal.open(training, spec.logits, _teacher_tokenizer(spec.teacher), tokenizer, cache)
    return LogitsSignal.open(training, spec.logits, student, tokenizer, cache, lambda: _teacher_tokenizer(spec.teacher))


def _teacher_tokenizer(ref: ModelRef) -> Any:
    """The teacher's tokenizer, from its folder; the stored logits say whether it is still the same."""
    folder = Path(ref.path)
    if not folder.is_dir():
        raise TrainingError(
            f"{folder} is gone, and the student's tokenizer is compared with the teacher's: restore it, or materialize "
            "teacher_model again"
        )
    return open_tokenizer(folder, ref.prompt_date)

"""What the student learns from. Each signal is a module here; `open_signal` makes the one that a training asks for.

text      the tokens of the teacher's answers
logits    the teacher's stored distributions as well; across tokenizers, how likely it finds each span of the text
hidden    the hidden states of the teacher, which runs beside the student, beside one of the two
on_policy the teacher's distributions over the student's own samples, and one of the first two on the teacher's answers
"""

from pathlib import Path
from typing import Any

from distill_dagster.errors import TrainingError
from distill_dagster.models.loading import load
from distill_dagster.models.ref import ModelRef
from distill_dagster.models.tokenizer import open_config, open_tokenizer
from distill_dagster.training.layer_pairs import with_pairs
from distill_dagster.training.signals.alm import AlmSignal
from distill_dagster.training.signals.hidden import HiddenSignal
from distill_dagster.training.signals.logits import LogitsSignal
from distill_dagster.training.signals.on_policy import OnPolicySignal
from distill_dagster.training.signals.protocol import Signal
from distill_dagster.training.signals.text import TextSignal
from distill_dagster.training.specs import TrainSpec


def written_out(spec: TrainSpec, student: Any) -> TrainSpec:
    """The spec with an objective that names every layer pair, as the card and the manifest state it.

    Raises:
        ModelError: the student or the teacher has no such layer.
    """
    training = spec.training
    if not training.reads_teacher:
        return spec
    pairs = with_pairs(training.imitation, student.config, open_config(Path(spec.taught_by.path)))
    return spec.model_copy(update={"training": training.model_copy(update={"hidden": pairs})})


def open_signal(spec: TrainSpec, student: Any, tokenizer: Any, cache: Path, device: str) -> Signal:
    """The signal of a training, from a spec that is written out.

    Raises:
        TrainingError: what is stored of the teacher does not fit the student or the objective.
        ModelError: the teacher cannot be loaded, its layers cannot be read, or the tokenizers do not fit each other.
    """
    training, base = spec.training, _of_the_answers(spec, student, tokenizer, cache)
    if training.signal == "on_policy":
        return OnPolicySignal.open(spec, base, student, tokenizer, cache, lambda: _teacher_tokenizer(spec.taught_by))
    if training.reads_teacher:
        return HiddenSignal.open(base, training, student, tokenizer, load(spec.taught_by, device))
    return base


def _of_the_answers(spec: TrainSpec, student: Any, tokenizer: Any, cache: Path) -> Any:
    """The signal of the teacher's answers, alone or beside another one."""
    training = spec.training.start
    if not spec.training.reads_logits:
        return TextSignal.of(training, tokenizer.pad_token_id)
    if training.objective.across_tokenizers:
        return AlmSignal.open(training, spec.logits, _teacher_tokenizer(spec.taught_by), tokenizer, cache)
    teacher = spec.taught_by
    return LogitsSignal.open(training, spec.logits, student, tokenizer, cache, lambda: _teacher_tokenizer(teacher))


def _teacher_tokenizer(ref: ModelRef) -> Any:
    """The teacher's tokenizer, from its folder; the stored logits say whether it is still the same."""
    folder = Path(ref.path)
    if not folder.is_dir():
        raise TrainingError(
            f"{folder} is gone, and the student's tokenizer is compared with the teacher's: restore it, or materialize "
            "teacher_model again"
        )
    return open_tokenizer(folder, ref.prompt_date)

"""What the workers that prepare, train and try a model take.

A spec holds paths and config, never data or open models.
"""

from distill_dagster.config import (
    ModelConfig,
    TeacherSource,
    TrainingConfig,
)
from distill_dagster.models.ref import ModelRef
from distill_dagster.store.result import Spec


class PrepareSpec(Spec):
    """Resolve a model, or make it, and fit it to gold answers if asked: `teacher_model` and `student_base`."""

    role: str  # teacher | student
    model: ModelConfig | None = None  # None: the teacher stands behind an endpoint, or is a mix
    sources: list[tuple[float, TeacherSource]] = []  # in place of `model`
    panel: list[TeacherSource] = []
    judge: TeacherSource | None = None
    student: ModelConfig | None = None  # of a teacher: the student that it will be paid for
    fit: TrainingConfig | None = None
    rows: list[str] = []  # raw.parquet files: the tokenizer's text, the fit's gold answers
    held_out: str | None = None  # raw.parquet of the test rows, whose prompts no fit may see
    tokenizer_of: str | None = None  # folder of the model whose tokenizer is taken
    out: str
    work: str

    @property
    def needs_device(self) -> bool:
        """Only a fit needs one: a model is pinned, or made, on the CPU."""
        return self.fit is not None


class TrainSpec(Spec):
    """Train the student on the validated set: examples.parquet in, model/ with a card and history.json out."""

    base: ModelRef
    teacher: ModelRef  # for the model card
    training: TrainingConfig
    examples: str
    name: str
    task: str
    out: str
    work: str


class TrialSpec(Spec):
    """Load a model and let it answer a few prompts: nothing is written."""

    model: ModelRef
    examples: str  # examples.parquet, of whose prompts some are asked
    prompts: int = 3
    max_new_tokens: int
    batch_tokens: int

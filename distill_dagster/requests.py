"""What is asked of a worker: one frozen, JSON-able request a kind of work.

A request holds paths and config, never data or open models, so the same request runs in the asset's process,
in a child process, or on another machine. Every worker writes into the folder `out` and returns a
`storage.Produced`; publishing is the caller's business.
"""

import json
from pathlib import Path

from distill_dagster import files
from distill_dagster.config import (
    EvaluationConfig,
    GenerationConfig,
    LogitsConfig,
    ModelConfig,
    Section,
    TrainingConfig,
)

ROLES = ("teacher", "baseline", "student")  # whom the benchmarks measure


class ModelRef(Section):
    """A model that is pinned: where its files are, and what they are called."""

    path: str  # a folder that `from_pretrained` reads
    name: str  # for people: the hub's name, the folder's, or llama-1.2M
    revision: str  # the hub's commit, or a hash of the files
    dtype: str = "auto"
    parameters: int = 0


class PrepareRequest(Section):
    """Resolve a model, or make it, and fit it to gold answers if asked: `teacher_model` and `student_base`."""

    role: str  # teacher | student
    model: ModelConfig
    fit: TrainingConfig | None = None
    rows: list[str] = []  # raw.parquet files: the tokenizer's text, the fit's gold answers
    held_out: str | None = None  # raw.parquet of the test rows, whose prompts no fit may see
    tokenizer_of: str | None = None  # folder of the model whose tokenizer is taken
    out: str
    work: str


class GenerateRequest(Section):
    """Let the teacher answer one shard: raw.parquet in, teacher.parquet out."""

    model: ModelRef
    generation: GenerationConfig
    rows: str
    labels: list[str] | None = None
    out: str


class CaptureRequest(Section):
    """Read one shard's answers for their distributions: raw.parquet and teacher.parquet in, logits.parquet out."""

    model: ModelRef
    logits: LogitsConfig
    rows: str
    answers: str
    out: str


class TrainRequest(Section):
    """Train the student on the validated set: examples.parquet in, model/ with a card and history.json out."""

    base: ModelRef
    teacher: ModelRef  # for the model card
    training: TrainingConfig
    examples: str
    name: str
    task: str
    out: str
    work: str


class BenchmarkRequest(Section):
    """Measure one model on the held-out rows: predictions.parquet and benchmark.json out."""

    role: str  # teacher | baseline | student
    model: ModelRef
    rows: str
    max_new_tokens: int
    labels: list[str] | None = None
    evaluation: EvaluationConfig
    out: str


def write_ref(folder: Path, ref: ModelRef) -> None:
    """Record in an artefact's folder which model it holds; weights inside it are named relative to it."""
    path = Path(ref.path)
    relative = str(path.relative_to(folder)) if path.is_relative_to(folder) else ref.path
    (folder / files.MODEL_FILE).write_text(ref.model_copy(update={"path": relative}).model_dump_json(indent=1) + "\n")


def read_ref(folder: Path) -> ModelRef:
    """The model that a published artefact (`teacher_model`, `student_base`, `student_checkpoint`) holds."""
    ref = ModelRef(**json.loads((folder / files.MODEL_FILE).read_text(encoding="utf-8")))
    return ref.model_copy(update={"path": str(folder / ref.path)})  # an absolute path stays as it is

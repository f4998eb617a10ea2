"""What is asked of a worker: one frozen, JSON-able request a kind of work.

A request holds paths and config, never data or open models, so the same request runs in the asset's process,
in a child process, or on another machine. Every worker writes into the folder `out` and returns a
`storage.Produced`; publishing is the caller's business.
"""

import json
from pathlib import Path

from distill_dagster import files
from distill_dagster.config import (
    SUMMARY_WORDS,
    EndpointConfig,
    EvaluationConfig,
    GenerationConfig,
    LogitsConfig,
    ModelConfig,
    Prompting,
    Section,
    SmokeConfig,
    TeacherSource,
    TrainingConfig,
)

ROLES = ("teacher", "baseline", "student")  # whom the benchmarks measure


class ModelRef(Section):
    """A model that is pinned: where its files are, or where it is asked, and what it is called."""

    path: str = ""  # a folder that `from_pretrained` reads; "" behind an endpoint
    name: str  # for people: the hub's name, the folder's, or llama-1.2M
    revision: str  # the hub's commit, or a hash of the files
    dtype: str = "auto"
    parameters: int = 0  # 0: not known
    endpoint: EndpointConfig | None = None


class Faculty(Section):
    """Who answers: each row is asked of one of `teachers` and of the whole `panel`; the judge picks among answers."""

    teachers: list[tuple[float, ModelRef]]  # with weights; the first one is what people call the teacher
    panel: list[ModelRef] = []
    judge: ModelRef | None = None

    @property
    def needs_device(self) -> bool:
        """Whether any of them runs here."""
        refs = [*(ref for _, ref in self.teachers), *self.panel, *([self.judge] if self.judge else [])]
        return any(ref.endpoint is None for ref in refs)


class PrepareRequest(Section):
    """Resolve a model, or make it, and fit it to gold answers if asked: `teacher_model` and `student_base`."""

    role: str  # teacher | student
    model: ModelConfig | None = None  # None: the teacher stands behind an endpoint, or is a mix
    sources: list[tuple[float, TeacherSource]] = []  # in place of `model`
    panel: list[TeacherSource] = []
    judge: TeacherSource | None = None
    fit: TrainingConfig | None = None
    rows: list[str] = []  # raw.parquet files: the tokenizer's text, the fit's gold answers
    held_out: str | None = None  # raw.parquet of the test rows, whose prompts no fit may see
    tokenizer_of: str | None = None  # folder of the model whose tokenizer is taken
    out: str
    work: str


class GenerateRequest(Section):
    """Let the teacher answer one shard: raw.parquet in, teacher.parquet out."""

    faculty: Faculty
    generation: GenerationConfig
    prompting: Prompting = "plain"
    summary_words: int = SUMMARY_WORDS
    choose: str | None = None  # gold | majority | judge: how one of a row's answers is chosen
    smoke: SmokeConfig = SmokeConfig()  # pyright: ignore[reportCallIssue]
    stop_failed_share: float = 0.5
    budget_usd: float | None = None
    rows: str
    labels: list[str] | None = None
    responses: str  # folder of all replies that the project has paid for
    journal: str  # name of this shard's journal in it
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
    prompting: Prompting = "plain"  # the teacher is measured as it teaches
    summary_words: int = SUMMARY_WORDS
    labels: list[str] | None = None
    evaluation: EvaluationConfig
    responses: str  # as in GenerateRequest; read where the model stands behind an endpoint
    stop_failed_share: float = 0.5
    budget_usd: float | None = None
    out: str


class TrialRequest(Section):
    """Load a model and let it answer a few prompts: nothing is written."""

    model: ModelRef
    examples: str  # examples.parquet, of whose prompts some are asked
    prompts: int = 3
    max_new_tokens: int
    batch_tokens: int


def write_ref(folder: Path, ref: ModelRef) -> None:
    """Record in an artefact's folder which model it holds; weights inside it are named relative to it."""
    (folder / files.MODEL_FILE).write_text(_relative(ref, folder).model_dump_json(indent=1) + "\n", encoding="utf-8")


def write_faculty(folder: Path, faculty: Faculty) -> None:
    """Record in the folder of `teacher_model` who answers; paths as `write_ref` does."""
    own = [(weight, _relative(ref, folder)) for weight, ref in faculty.teachers]
    faculty = faculty.model_copy(update={"teachers": own})
    (folder / files.FACULTY_FILE).write_text(faculty.model_dump_json(indent=1) + "\n", encoding="utf-8")


def read_faculty(folder: Path) -> Faculty:
    """Who answers, from the published `teacher_model`; paths as `read_ref` gives them."""
    faculty = Faculty(**json.loads((folder / files.FACULTY_FILE).read_text(encoding="utf-8")))
    teachers = [(weight, _absolute(ref, folder)) for weight, ref in faculty.teachers]
    return faculty.model_copy(update={"teachers": teachers})


def _relative(ref: ModelRef, folder: Path) -> ModelRef:
    """The ref with its path seen from the folder, where it is inside it."""
    path = Path(ref.path)
    return ref.model_copy(update={"path": str(path.relative_to(folder))}) if path.is_relative_to(folder) else ref


def _absolute(ref: ModelRef, folder: Path) -> ModelRef:
    """The ref with its path seen from the folder that it was published in; an absolute path stays as it is."""
    return ref.model_copy(update={"path": str(folder / ref.path)}) if ref.path else ref


def read_ref(folder: Path) -> ModelRef:
    """The model that a published artefact (`teacher_model`, `student_base`, `student_checkpoint`) holds."""
    ref = ModelRef(**json.loads((folder / files.MODEL_FILE).read_text(encoding="utf-8")))
    return _absolute(ref, folder)

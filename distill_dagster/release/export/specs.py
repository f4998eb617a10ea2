"""What the worker that exports the student takes, and what it says of the export."""

from pydantic import BaseModel, ConfigDict

from distill_dagster.config import ExportFormat, Section
from distill_dagster.evaluation.specs import BenchmarkSpec, Ends
from distill_dagster.store.result import Counts, Result, Spec


class ExportSpec(Spec):
    """Write the student in a format, and ask it the held-out rows; the files come into `out`.

    `asked` is how the checkpoint was measured, and `predictions` are its answers.
    """

    form: ExportFormat
    project: str
    max_length: int
    asked: BenchmarkSpec
    predictions: str
    out: str
    work: str

    @property
    def needs_device(self) -> bool:
        """Both runtimes answer on the CPU."""
        return False


class RuntimeSpec(Section):
    """Ask an exported student these prompts, in a process of its own."""

    folder: str
    prompts: list[list[dict[str, str]]]  # messages of each request
    max_new_tokens: int
    max_length: int


class ExportedAnswer(BaseModel):
    """What an exported student made of a prompt: the tokens that its own tokenizer read, and its answer."""

    model_config = ConfigDict(frozen=True)

    prompt: list[int]
    text: str
    finish_reason: str  # stop | length | error
    completion_tokens: int = 0
    latency_ms: float = 0.0


class ExportCounts(Counts):
    """The answers of the export beside those of the checkpoint."""

    rows: int
    predictions: int
    same_prompts: int  # read as the same tokens as in training
    same_answers: int  # the checkpoint's own text
    failed: int


class ExportResult(Result[ExportCounts]):
    """How large the export is, and how well it answers."""

    form: ExportFormat
    runtime: str  # with its version
    bytes_on_disk: int
    checkpoint_bytes: int
    score: float
    checkpoint_score: float
    difference: float  # export - checkpoint, over items
    interval: Ends  # of the difference, 95 %
    items: int
    modelfile: bool | None = None  # None: the format has none; False: the chat template is not turn after turn

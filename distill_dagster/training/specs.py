"""What the workers that prepare, train and try a model take, and what they give back.

    PrepareSpec  ->  prepare_model  ->  PrepareResult     teacher_model, student_base
    TrainSpec    ->  train_student  ->  TrainResult       student_checkpoint, gold_student_checkpoint, student_round_0 …
    TrySpec      ->  try_model      ->  TryResult         the check loads_and_generates

A spec holds paths and config, never data or open models. The fields of a result are the keys of the manifest.
"""

from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from distill_dagster.config import ModelConfig, StudentInitConfig, TeacherSource, TrainingConfig
from distill_dagster.config.signals import StudentTrainingConfig
from distill_dagster.models.fitness import Use
from distill_dagster.models.ref import ModelRef
from distill_dagster.store.result import ACCEPTED, Counts, Result, Spec
from distill_dagster.training.pairing import Pairing
from distill_dagster.training.record import Recorded, RoundRecord, TrainingRun

Origin = Literal["existing", "endpoint", "built", "dequantized", "fitted", "cut"]  # how a model was had


class Cut(Recorded):
    """What a student that was cut out of its teacher has of it."""

    teacher: str
    revision: str
    layers: list[int]  # counted from 1
    of: int  # layers of the teacher
    choose: Literal["spaced", "block_influence"]
    influence: list[float] | None = None  # of each of the teacher's layers, if it was measured
    feed_forward: int | None = None  # neurons that were kept; None: all

    @property
    def words(self) -> str:
        """The cut in a sentence's part."""
        how = "evenly spaced" if self.choose == "spaced" else "of the highest block influence"
        neurons = f", {self.feed_forward:,} feed-forward neurons of each" if self.feed_forward else ""
        return f"layers {', '.join(map(str, self.layers))} of the {self.of} of {self.teacher} ({how}){neurons}"


class PrepareSpec(Spec):
    """Resolve a model or build it, and fit it to gold answers if asked."""

    role: Literal["teacher", "student"]
    model: ModelConfig | None = None  # None: `sources` answer instead
    sources: list[tuple[float, TeacherSource]] = []  # an endpoint, or the weighted teachers of a mix
    panel: list[TeacherSource] = []
    judge: TeacherSource | None = None
    metrics: list[str] = []  # the project's own, tried before anything is made
    use: Use = Use()  # what the model, or each of the sources, is for
    pairing: Pairing | None = None  # of a teacher: the student, and how it will learn from it
    init: StudentInitConfig | None = None  # of a student: how it is cut out of the teacher
    cut_from: ModelRef | None = None
    fit: TrainingConfig | None = None
    rows: list[str] = []  # raw.parquet files: the tokenizer's text, the fit's gold answers
    held_out: str | None = None  # raw.parquet of the test rows, whose prompts no fit may see
    tokenizer_of: str | None = None  # folder of the model whose tokenizer is taken
    out: str
    work: str
    tensorboard: str | None = None  # the folder for the curves of the fit

    @property
    def needs_device(self) -> bool:
        """A fit needs one, and a teacher that reads prompts; a model is pinned or built on the CPU."""
        return self.fit is not None or (self.init is not None and self.init.measures)

    @property
    def uses_ranks(self) -> bool:
        """A fit is a training; the teacher that a cut measures only reads."""
        return self.fit is not None and self.init is None


class TrainSpec(Spec):
    """Train the student on a set of examples: examples.parquet in, model/ with a card and history.json out."""

    student_base: ModelRef  # the weights that training starts from
    teacher: ModelRef | None  # for the model card; None: the examples are gold answers
    training: StudentTrainingConfig
    examples: str
    cut: Cut | None = None  # how that was cut out of the teacher, for the model card
    logits: list[str] = []  # logits.parquet of every shard, for the signal of that name
    round: int = 0  # of on-policy training: 0 is the cold start
    rollouts: str | None = None  # rollouts.parquet of the round
    rollout_logits: str | None = None  # logits.parquet of the round
    finished: list["FinishedRound"] = []  # the rounds, if the last one's weights are only to be published
    trial: int | None = None  # of a sweep
    best_trial: "BestTrial | None" = None  # of a sweep, if its weights are only to be published
    name: str
    task: str
    out: str
    work: str
    tensorboard: str | None = None  # the folder for its curves

    @property
    def taught_by(self) -> ModelRef:
        """The teacher, for what reads more of it than its answers."""
        assert self.teacher is not None, "gold answers have no teacher, and are learned as text"
        return self.teacher

    @property
    def needs_device(self) -> bool:
        """Publishing weights that are trained already needs none."""
        return not self.finished and self.best_trial is None

    @property
    def uses_ranks(self) -> bool:
        """Only a training does."""
        return self.needs_device


class TrySpec(Spec):
    """Load a model and let it answer a few prompts; nothing is written."""

    model: ModelRef
    examples: str  # examples.parquet, which holds the prompts
    prompts: int = 3
    max_new_tokens: int
    batch_tokens: int


class TrainCounts(Counts):
    """Rows that trained and rows that were refused, by reason."""

    train_rows: int
    validation_rows: int
    too_long: int = 0
    E015: int = 0  # refused or rewritten by the chat template
    train_tokens: int = 0
    steps: int = 0
    parameters: int = 0


class TrainResult(Result[TrainCounts], TrainingRun):
    """The trained student."""

    base: str  # name of the model that training started from
    rounds: list[RoundRecord] = Field(default=[], exclude_if=lambda rounds: not rounds)  # of on-policy training
    found: dict[str, Any] = Field(default={}, exclude_if=lambda found: not found)  # the settings that a sweep found

    def by_reason(self) -> dict[str, int]:
        """Examples by what became of them."""
        counts = self.counts
        learned = counts.train_rows + counts.validation_rows
        return {ACCEPTED: learned, "too_long": counts.too_long, "E015": counts.E015}

    @property
    def settings(self) -> StudentTrainingConfig:
        """The settings that it was trained with."""
        return StudentTrainingConfig.model_validate({k: v for k, v in self.training.items() if k != "loss"})


class FinishedRound(Recorded):
    """A round, its training and the folder of its student."""

    record: RoundRecord
    result: TrainResult
    folder: str


class BestTrial(Recorded):
    """The best trial of a sweep, its training and the folder of its student."""

    number: int
    of: int  # trials of the sweep
    point: dict[str, Any]  # the settings that the sweep found
    result: TrainResult
    folder: str

    @property
    def training(self) -> StudentTrainingConfig:
        """The settings that it trained with."""
        return self.result.settings


class PrepareCounts(Counts):
    """Size of the model; a fit adds those of `TrainCounts`, `no_gold` and `contaminated`."""

    parameters: int


class PrepareResult(Result[PrepareCounts]):
    """A model that was pinned, built or fitted. On disk the fields of `fit` are on the same level as the others."""

    name: str
    origin: Origin
    dtype: str
    base_revision: str | None = None  # of a fitted model: the weights that the fit started from
    cut: Cut | None = None  # of a student that was cut out of the teacher
    fit: TrainingRun | None = None

    @model_validator(mode="before")
    @classmethod
    def _collect_fit(cls, said: Any) -> Any:
        return {**said, "fit": said} if isinstance(said, dict) and "history" in said else said

    @model_serializer(mode="wrap")
    def _spread_fit(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        document = dump(self)
        fit = document.pop("fit", None)
        if self.cut is None:
            document.pop("cut")
        if fit is None:
            document.pop("base_revision", None)
            return document
        return document | fit


class TryCounts(Counts):
    """Prompts, and how many of them have an answer."""

    asked: int
    answered: int  # not blank, and without an error


class TryResult(Result[TryCounts]):
    """What was found; nothing is published."""

    data_version: str = ""


TrainSpec.model_rebuild()

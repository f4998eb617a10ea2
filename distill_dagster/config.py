"""`distill.yaml`, typed: what a project says about its data, its two models, and what it expects of them.

Worked example, the smallest useful file (every field left out has the default that is described below):

    task: nli
    data: {train: data/train/*.jsonl, test: data/test.jsonl}
    teacher: {model: {name: /models/llama-3.1-8b-instruct}}
    student: {model: {name: /models/llama-3.2-1b}}

Unknown fields are errors, so that a typo never silently leaves a default in force. Secrets have no field here. How
the file is read is in config_file.py.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

TaskName = Literal["nli", "conversation", "qa", "math", "summarization", "classification"]
Prompting = Literal["plain", "chain_of_thought", "chain_of_density"]  # how the teacher is asked, see docs/prompting.md
Engine = Literal["auto", "continuous", "batched"]  # how a local teacher answers, see docs/adr/0006-local-engine.md
Learn = Literal["answer", "reasoning_and_answer"]  # what the student is taught

SUMMARY_WORDS = 80

FormatName = Literal[
    "auto", "chat", "bedrock-conversation-2024", "prompt_completion", "sharegpt", "alpaca", "input_output"
]


class Section(BaseModel):
    """A part of the config: immutable, and an unknown field in it is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DataConfig(Section):
    """Where the rows are. One file is one shard; local paths or fsspec URLs, with * patterns.

    Files end in .jsonl, .jsonl.gz, .jsonl.zst, .json or .parquet; a folder that `datasets.save_to_disk` wrote is one.
    """

    train: list[str] = Field(min_length=1, description="training files; each becomes a shard")
    validation: list[str] = Field([], description="validation files; each becomes a shard")
    test: list[str] = Field(min_length=1, description="held-out files, never seen by teacher fit or student")
    format: FormatName = Field("auto", description="the rows' format; auto looks at the first rows of each file")
    validation_share: float = Field(
        0.05, ge=0, lt=0.5, description="share of training groups held out, where no validation files are given"
    )
    require_system: bool = Field(False, description="refuse rows without a system message (E003)")
    max_row_bytes: int = Field(1_000_000, ge=1_000, description="longest row that is read (E001)")

    @field_validator("train", "validation", "test", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value


class ModelConfig(Section):
    """A causal language model: an existing one by `name`, or a new one from `architecture` and `settings`.

    A new model starts from random weights with a byte-level BPE tokenizer trained on the training rows
    (`tokenizer: train`) or taken from the teacher (`tokenizer: teacher`, students only).
    """

    name: str | None = Field(None, description="a folder, or a model's name on the Hugging Face hub")
    revision: str | None = Field(None, description="the hub commit to pin; left out, the newest is pinned and recorded")
    architecture: str | None = Field(None, description="transformers model type of a new model, such as llama or gpt2")
    settings: dict[str, int | float | bool | str] = Field(
        {}, description="the new model's config fields, such as hidden_size"
    )
    tokenizer: Literal["train", "teacher"] = Field("train", description="where a new model's tokenizer comes from")
    vocab_size: int = Field(2048, ge=300, le=262_144, description="size of a tokenizer that is trained")
    seed: int = Field(0, ge=0, description="seed of a new model's weights")
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="weights in memory; auto: bfloat16 on a GPU, float32 on a CPU"
    )

    @model_validator(mode="after")
    def _name_or_architecture(self) -> "ModelConfig":
        if (self.name is None) == (self.architecture is None):
            raise ValueError("give exactly one of `name` (an existing model) and `architecture` (a new one)")
        if self.name and self.settings:
            raise ValueError("`settings` describe a new model; an existing one brings its own")
        return self


class TrainingConfig(Section):
    """How a model is trained: full fine-tuning with AdamW, linear warm-up and cosine decay.

    The defaults are the usual ones for distilling into a pretrained student (learning rate 1e-5 to 5e-5,
    2 to 5 epochs); a model made from scratch wants a rate about a hundred times higher, and more epochs.
    """

    learning_rate: float = Field(2e-5, gt=0, le=0.1, description="peak learning rate")
    epochs: float = Field(3, gt=0, le=1000, description="passes over the training rows")
    batch_size: int = Field(
        16, ge=1, le=4096, description="rows in one optimizer step on one device, before accumulation"
    )
    gradient_accumulation: int = Field(1, ge=1, le=1024, description="batches summed into one optimizer step")
    warmup_share: float = Field(0.05, ge=0, lt=1, description="share of the steps over which the rate rises")
    weight_decay: float = Field(0.01, ge=0, le=1, description="AdamW's decoupled weight decay")
    max_grad_norm: float = Field(1.0, gt=0, description="gradients are clipped to this norm")
    max_length: int = Field(1024, ge=16, description="longest row in tokens; longer ones are refused, not cut")
    prompt_loss_weight: float = Field(0.0, ge=0, le=1, description="weight of the prompt's tokens in the loss")
    evaluations: int = Field(8, ge=1, le=1000, description="validation losses over the whole training")
    early_stopping_patience: int | None = Field(
        3, ge=1, description="stop after so many validation losses without a better one; null: never"
    )
    keep: Literal["best", "last"] = Field(
        "best", description="weights that are kept: those of the best validation loss, or those of the last step"
    )
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="share of the target that is spread over all tokens")
    seed: int = Field(0, ge=0, description="seed of the order of rows and of dropout")


class GenerationConfig(Section):
    """How the teacher answers."""

    temperature: float = Field(0.0, ge=0, le=2, description="0 is greedy decoding")
    top_p: float = Field(1.0, gt=0, le=1, description="nucleus sampling; only with a temperature above 0")
    max_new_tokens: int = Field(256, ge=1, le=131_072, description="an answer that reaches it counts as cut off")
    samples: int = Field(1, ge=1, le=64, description="answers for one prompt; more than 1 needs a temperature above 0")
    engine: Engine = Field(
        "auto",
        description="of a local teacher. continuous: a slot is filled again when its answer ends; batched: "
        "transformers' generate on batches of similar length; auto: continuous where the model can be run so",
    )
    batch_tokens: int = Field(16_384, ge=64, description="padded prompt tokens plus new tokens held at once")
    seed: int = Field(0, ge=0, description="seed of sampling")

    @model_validator(mode="after")
    def _samples_differ(self) -> "GenerationConfig":
        if self.samples > 1 and self.temperature == 0:
            raise ValueError(
                f"{self.samples} samples at temperature 0 are {self.samples} times the same answer: "
                "raise `temperature` or set `samples: 1`"
            )
        return self


class PriceConfig(Section):
    """What an endpoint charges, in US dollars for a million tokens."""

    prompt: float = Field(0.0, ge=0, description="for a million prompt tokens")
    completion: float = Field(0.0, ge=0, description="for a million completion tokens")

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        """US dollars for so many tokens."""
        return (self.prompt * prompt_tokens + self.completion * completion_tokens) / 1_000_000


class EndpointConfig(Section):
    """A model behind an HTTP endpoint that speaks OpenAI's chat completions protocol.

    The key never stands in the file: `api_key` is the name of the environment variable that holds it.
    """

    url: str = Field(
        pattern=r"^https?://[^/@\s]+(/\S*)?$", description="base URL without credentials, such as https://api.x.com/v1"
    )
    model: str = Field(min_length=1, description="the model's name at the endpoint")
    revision: str = Field("", description="what tells two versions of it apart; a change asks everything anew")
    api_key: str | None = Field(
        None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", description="environment variable with the key; left out: no key"
    )
    concurrency: int = Field(64, ge=1, le=4096, description="most requests in flight; 429s lower it for a while")
    requests_per_minute: float | None = Field(None, gt=0, description="the account's limit, if it has one")
    tokens_per_minute: float | None = Field(None, gt=0, description="the account's limit, if it has one")
    timeout_seconds: float = Field(120, gt=0, description="longest wait for one answer")
    attempts: int = Field(6, ge=1, le=100, description="most times that one request is sent")
    top_logprobs: int = Field(0, ge=0, le=20, description="log-probabilities asked for and stored a token")
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = Field(
        "max_tokens", description="how the endpoint calls the limit; OpenAI's reasoning models know only the second"
    )
    json_mode: Literal["json_schema", "json_object", "none"] = Field(
        "json_schema", description="what the endpoint understands of response_format, where a task asks for JSON"
    )
    extra_body: dict[str, Any] = Field({}, description="the provider's own fields, sent as they are")
    price: PriceConfig | None = Field(None, description="for the cost ledger, the plan and the budget")

    @field_validator("url")
    @classmethod
    def _without_slash(cls, value: str) -> str:
        return value.rstrip("/")


class TeacherSource(Section):
    """One teacher: a local model, or a model behind an endpoint."""

    model: ModelConfig | None = Field(None, description="open weights, run here")
    endpoint: EndpointConfig | None = Field(None, description="a model that is asked over HTTP")

    @model_validator(mode="after")
    def _one_source(self) -> "TeacherSource":
        if (self.model is None) == (self.endpoint is None):
            raise ValueError("give exactly one of `model` (run here) and `endpoint` (asked over HTTP)")
        if self.model and self.model.architecture:
            raise ValueError("a model made from an architecture knows nothing yet: give `model.name`")
        return self


class MixedTeacher(TeacherSource):
    """One of several teachers, each of which answers its share of the rows."""

    weight: float = Field(1.0, gt=0, description="its share of the rows is its weight over the sum of all weights")


class BestOfConfig(Section):
    """Choose one of a row's several answers; the others are kept beside it and not learned."""

    choose: Literal["gold", "majority", "judge"] = Field(
        "majority",
        description="gold: agrees most with the gold answers (a row without one: as majority); majority: agrees most "
        "with the row's other answers; judge: another teacher picks",
    )
    teachers: list[TeacherSource] = Field([], description="further teachers that answer every row too")
    judge: TeacherSource | None = Field(None, description="who picks, for `choose: judge`")

    @model_validator(mode="after")
    def _judge_is_there(self) -> "BestOfConfig":
        if (self.choose == "judge") != (self.judge is not None):
            raise ValueError(f"`choose: {self.choose}` and `judge`: name a judge for `choose: judge`, and only for it")
        return self


class SmokeConfig(Section):
    """A few rows that go through teacher, parser and filters before a new teacher or prompt gets all of them."""

    rows: int = Field(16, ge=0, le=1000, description="how many are tried first; 0: none, every row is asked at once")
    max_failed_share: float = Field(0.5, ge=0, le=1, description="share of them that may be refused")


class LogitsConfig(Section):
    """What is kept of the teacher's next-token distributions, which it is read for in a second pass.

    `lossless` keeps the float16 values; `compact` 8 bits of each, off by at most 1/255 of a token's range.
    """

    k: int = Field(64, ge=1, le=1024, description="likeliest tokens kept for each token of an answer")
    precision: Literal["lossless", "compact"] = Field("lossless", description="how log-probabilities are stored")
    batch_tokens: int = Field(16_384, ge=64, description="padded tokens of prompts and answers read in one batch")


class TeacherConfig(Section):
    """The large model whose answers the student learns; or several of them."""

    model: ModelConfig | None = Field(None, description="open weights, run here")
    endpoint: EndpointConfig | None = Field(None, description="a model that is asked over HTTP")
    mix: list[MixedTeacher] = Field([], description="several teachers in place of one, each with a share of the rows")
    best_of: BestOfConfig | None = Field(None, description="several answers to each row, of which one is chosen")
    prompting: Prompting = Field(
        "plain",
        description="plain: the rows' own messages; chain_of_thought: reasoning and answer as JSON (nli, qa, math, "
        "classification); chain_of_density: a summary made denser in rounds (summarization)",
    )
    summary_words: int = Field(
        SUMMARY_WORDS, ge=20, le=1000, description="about how long chain_of_density's summaries are"
    )
    generation: GenerationConfig = GenerationConfig()  # pyright: ignore[reportCallIssue]
    logits: LogitsConfig | None = Field(
        None, description="capture the teacher's token distributions beside its text; left out: the text alone"
    )
    fit: TrainingConfig | None = Field(
        None, description="first fit the teacher to the gold answers (teacher correction)"
    )
    smoke: SmokeConfig = SmokeConfig()  # pyright: ignore[reportCallIssue]
    stop_failed_share: float = Field(
        0.5, gt=0, le=1, description="stop a shard where more than this share of its requests failed, after 50 of them"
    )
    budget_usd: float | None = Field(
        None, gt=0, description="most that the project's answers may cost, all runs together; needs a `price`"
    )

    @property
    def sources(self) -> list[TeacherSource]:
        """Every teacher that the config names, the one that counts as *the* teacher first."""
        own = [TeacherSource(model=None, endpoint=self.endpoint)] if self.endpoint else []
        best_of = [*self.best_of.teachers, self.best_of.judge] if self.best_of else []
        return [*own, *self.mix, *(source for source in best_of if source is not None)]

    @model_validator(mode="after")
    def _can_answer(self) -> "TeacherConfig":
        if sum((self.model is not None, self.endpoint is not None, bool(self.mix))) != 1:
            raise ValueError("give exactly one of `model` (run here), `endpoint` (asked over HTTP) and `mix` (several)")
        if self.fit and self.model is None:
            raise ValueError("`fit` needs open weights: give `model`, or remove `fit`")
        if self.model and self.model.architecture and self.fit is None:
            raise ValueError("a teacher made from an architecture knows nothing yet: add `fit`, or give `model.name`")
        if self.model and self.model.architecture and self.model.tokenizer == "teacher":
            raise ValueError("the teacher's own tokenizer is `train`; `teacher` is for the student")
        return self

    @model_validator(mode="after")
    def _logits_are_open(self) -> "TeacherConfig":
        if self.logits and (self.model is None or self.best_of):
            raise ValueError("`logits` are read from one open-weights teacher: give `model`, and no `best_of`")
        if self.logits and self.prompting != "plain":
            raise ValueError(
                f"`logits` belong to the text that the student learns; with `prompting: {self.prompting}` that is not "
                "the one that the teacher wrote: use `prompting: plain`, or remove `logits`"
            )
        return self

    @model_validator(mode="after")
    def _best_of_has_a_choice(self) -> "TeacherConfig":
        if self.best_of and self.generation.samples * (1 + len(self.best_of.teachers)) < 2:
            raise ValueError("`best_of` chooses among several answers: raise `generation.samples`, or name `teachers`")
        return self

    @model_validator(mode="after")
    def _budget_has_a_price(self) -> "TeacherConfig":
        free = [source.endpoint.model for source in self.sources if source.endpoint and source.endpoint.price is None]
        if self.budget_usd is not None and (free or not any(source.endpoint for source in self.sources)):
            raise ValueError(f"`budget_usd: {self.budget_usd}` needs the `price` of {', '.join(free) or 'an endpoint'}")
        return self


class StudentConfig(Section):
    """The small model that goes to production."""

    model: ModelConfig
    learn: Learn = Field(
        "answer",
        description="answer: the teacher's answer alone; reasoning_and_answer: its chain of thought, then the answer",
    )
    training: TrainingConfig = TrainingConfig()  # pyright: ignore[reportCallIssue]


class QualityConfig(Section):
    """What a teacher row must be to train the student, and when the whole set is refused."""

    labels: list[str] | None = Field(
        None, description="the label set; left out: the task's own, or for classification the gold labels seen"
    )
    require_gold_agreement: bool = Field(False, description="drop answers that the row's gold answer scores 0")
    personal_data: Literal["keep", "flag", "redact", "reject"] = Field(
        "flag", description="what becomes of rows in which a secret or personal data is found"
    )
    near_duplicate_similarity: float | None = Field(
        0.9, ge=0.7, le=1, description="5-gram Jaccard from which two prompts are one; null: only equal ones are"
    )
    contamination: Literal["exact", "near"] = Field(
        "near", description="exact: rows that ask what a held-out row asks; near: also by 8-grams and character 5-grams"
    )
    max_label_share: float | None = Field(None, gt=0, le=1, description="cap on one label's share of the training rows")
    min_label_rows: int = Field(10, ge=0, description="a label with fewer training rows is named, its rows flagged")
    min_train_rows: int = Field(65, ge=1, description="fewest rows that may train a student (E009)")
    min_valid_share: float = Field(0.9, ge=0, le=1, description="share of a raw shard's rows that must be valid")
    min_success_share: float = Field(
        0.7, ge=0, le=1, description="share of a shard's prompts that the teacher must answer"
    )
    min_acceptance: float = Field(0.5, ge=0, le=1, description="share of teacher rows that must pass the filters")


class EvaluationConfig(Section):
    """How the three models are compared."""

    max_new_tokens: int | None = Field(None, ge=1, description="left out: as the teacher generates")
    batch_tokens: int = Field(16_384, ge=64, description="as in the teacher's generation")
    latency_requests: int = Field(32, ge=2, le=10_000, description="single requests timed one after another")
    resamples: int = Field(10_000, ge=100, le=1_000_000, description="bootstrap resamples")
    seed: int = Field(0, ge=0, description="seed of the bootstrap and of the requests that are timed")
    retention_target: float = Field(0.92, gt=0, le=1.5, description="share of the teacher's score that PASS asks for")


class Need(Section):
    """What one step asks of the machine it runs on."""

    gpus: int = Field(1, ge=0, le=64, description="whole devices leased while the step runs")
    memory_gb: float = Field(0, ge=0, description="device memory that each of them must have in total")
    cpu: bool = Field(True, description="run on the CPU where the machine has no such device")


class ComputeConfig(Section):
    """Where work runs, and what each step needs."""

    backend: Literal["inline", "subprocess"] = Field(
        "inline", description="inline: in the asset's process; subprocess: a Dagster Pipes worker with its own device"
    )
    devices: Literal["auto"] | list[str] = Field(
        "auto", description="CUDA device ids that may be leased; auto asks nvidia-smi"
    )
    fit: Need = Need()  # pyright: ignore[reportCallIssue]
    generate: Need = Need()  # pyright: ignore[reportCallIssue]
    train: Need = Need()  # pyright: ignore[reportCallIssue]
    benchmark: Need = Need()  # pyright: ignore[reportCallIssue]


class AutomationConfig(Section):
    """What Dagster does by itself."""

    observe_seconds: int = Field(30, ge=5, description="how often source files are looked at")
    enabled: bool = Field(False, description="re-make what a change made stale; off: only on request")
    cron: str | None = Field(
        None, description="when everything stale is made again, such as `0 3 * * *`; left out: never by the clock"
    )
    timezone: str = Field("UTC", description="of `cron`, such as Europe/Berlin")


class AlertsConfig(Section):
    """Whom a failed check or run is told to, see docs/alerts.md.

    The addresses never stand in the file: `urls_from` is the name of the environment variable that holds them.
    """

    enabled: bool = Field(True, description="tell, where the variable holds an address")
    urls_from: str = Field(
        "DISTILL_ALERT_URLS",
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        description="environment variable with Apprise URLs, separated by spaces, commas or line breaks",
    )
    severity: Literal["warn", "error"] = Field("warn", description="least that is told; a failed run is an error")
    repeat_hours: float = Field(
        24, ge=0, le=8760, description="the same failure of the same check and shard is told again after so long"
    )
    ui_url: str = Field(
        "http://127.0.0.1:3000",
        pattern=r"^https?://[^/@\s]+(/\S*)?$",
        description="where people reach the Dagster UI, for the link to the run",
    )

    @field_validator("ui_url")
    @classmethod
    def _without_slash(cls, value: str) -> str:
        return value.rstrip("/")


class DistillConfig(Section):
    """One distillation project."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,60}$")] = Field(
        "distillation", description="shown in reports"
    )
    task: TaskName = Field(description="the task of every row that does not name its own")
    owners: list[str] = Field(
        ["team:distillation"], description="who is asked about the assets: team:name or an e-mail"
    )
    store: str = Field("store", description="folder in which every artefact is published")
    data: DataConfig
    teacher: TeacherConfig
    student: StudentConfig
    quality: QualityConfig = QualityConfig()  # pyright: ignore[reportCallIssue]
    evaluation: EvaluationConfig = EvaluationConfig()  # pyright: ignore[reportCallIssue]
    compute: ComputeConfig = ComputeConfig()  # pyright: ignore[reportCallIssue]
    automation: AutomationConfig = AutomationConfig()  # pyright: ignore[reportCallIssue]
    alerts: AlertsConfig = AlertsConfig()  # pyright: ignore[reportCallIssue]

    @field_validator("store")
    @classmethod
    def _is_local(cls, value: str) -> str:
        if "://" in value:
            raise ValueError("the store is a local folder; mount the bucket, or give a path")
        return value

    @model_validator(mode="after")
    def _task_and_options_fit(self) -> "DistillConfig":
        if problems := _misfits(self.task, self.teacher, self.student):
            raise ValueError("E008: " + "; ".join(problems))
        return self


def _misfits(task: str, teacher: TeacherConfig, student: StudentConfig) -> list[str]:
    """The options that the task cannot be asked with, each with both values and the way out."""
    asked, problems = teacher.prompting, []
    if asked == "chain_of_thought" and task in ("conversation", "summarization"):
        problems.append(
            f"`teacher.prompting: {asked}` does not fit `task: {task}`: use `prompting: plain`, "
            "or a task of nli, qa, math and classification"
        )
    if asked == "chain_of_density" and task != "summarization":
        problems.append(
            f"`teacher.prompting: {asked}` does not fit `task: {task}`: use `prompting: plain`, "
            "or `task: summarization`"
        )
    if teacher.summary_words != SUMMARY_WORDS and (task, asked) != ("summarization", "chain_of_density"):
        problems.append(
            f"`teacher.summary_words: {teacher.summary_words}` has no effect on `task: {task}` with "
            f"`prompting: {asked}`: leave it out (then it is {SUMMARY_WORDS}), or use summarization with "
            "chain_of_density"
        )
    if student.model.tokenizer == "teacher" and teacher.model is None:
        problems.append(
            "`student.model.tokenizer: teacher` needs a teacher whose tokenizer is here, and `teacher.model` is not "
            "given: use `tokenizer: train`, or an existing student by `name`"
        )
    if student.learn == "reasoning_and_answer" and asked != "chain_of_thought":
        problems.append(
            f"`student.learn: {student.learn}` needs a teacher that gives its reasoning, and `teacher.prompting` is "
            f"{asked}: use `prompting: chain_of_thought`, or `learn: answer`"
        )
    return problems

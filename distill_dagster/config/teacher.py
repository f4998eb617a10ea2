"""`teacher:` - the model that answers, how it is prompted, what it may cost, and when it is stopped."""

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from distill_dagster.config.endpoint import HeaderName, HeaderValue, ParametersConfig, PriceConfig
from distill_dagster.config.logits import LogitsConfig
from distill_dagster.config.models import GenerationConfig, ModelConfig, TrainingConfig
from distill_dagster.config.section import SUMMARY_WORDS, Prompting, Section
from distill_dagster.tasks.misfits import tasks_with

SHAPING = {
    "url",
    "model",
    "revision",
    "top_logprobs",
    "extra_body",
    "json_mode",
}  # the endpoint's fields that shape its answers


class EndpointConfig(Section):
    """A model behind an HTTP endpoint that speaks OpenAI's chat completions protocol.

    The file never holds the key: `api_key` is the name of an environment variable that does.
    """

    url: str = Field(
        pattern=r"^https?://[^/@\s]+(/\S*)?$",
        description="Base URL without credentials, such as https://api.example.com/v1.",
    )
    model: str = Field(min_length=1, description="The model's name at the endpoint.")
    revision: str = Field(
        default="", description="Tells two versions of the model apart. A new value repeats every request."
    )
    api_key: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        description="Name of the environment variable that holds the key. If left out, no key is sent.",
    )
    concurrency: int = Field(
        default=64, ge=1, le=4096, description="Most requests in flight. A 429 lowers the number for a while."
    )
    requests_per_minute: float | None = Field(
        default=None, gt=0, description="The account's limit on requests, if it has one."
    )
    tokens_per_minute: float | None = Field(
        default=None, gt=0, description="The account's limit on tokens, if it has one."
    )
    timeout_seconds: float = Field(default=120.0, gt=0, description="Longest wait for one reply.")
    longest_wait_seconds: float = Field(
        default=300.0,
        ge=0,
        description="Longest wait that the endpoint may ask for. If it asks for more, the shard stops resumably.",
    )
    attempts: int = Field(default=6, ge=1, le=100, description="Most times that one request is sent.")
    top_logprobs: int = Field(
        default=0, ge=0, le=20, description="Log-probabilities to request and store for each token."
    )
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = Field(
        default="max_tokens",
        description="The endpoint's name for the token limit. OpenAI's reasoning models accept only the second.",
    )
    json_mode: Literal["json_schema", "json_object", "none"] = Field(
        default="json_schema",
        description="The kind of response_format that the endpoint supports, for prompts that ask for JSON.",
    )
    stream: bool = Field(default=False, description="Ask for streamed answers, for models that answer in no other way.")
    batch: bool = Field(
        default=False,
        description="Send requests through the provider's batch API (files and batches): cheaper, and answered within "
        "24 hours.",
    )
    extra_body: dict[str, Any] = Field(
        default={}, description="Fields of the provider's own, added to every request unchanged."
    )
    parameters: ParametersConfig = Field(
        default_factory=ParametersConfig, description="What the endpoint accepts instead of a parameter."
    )
    organization: HeaderValue | None = Field(
        default=None, description="OpenAI's organization, sent as the header OpenAI-Organization."
    )
    project: HeaderValue | None = Field(
        default=None, description="OpenAI's project, sent as the header OpenAI-Project."
    )
    headers: dict[HeaderName, HeaderValue] = Field(
        default={},
        description="Further headers of every request. A value `$NAME` is that of the environment variable NAME.",
    )
    price: PriceConfig | None = Field(
        default=None, description="The endpoint's prices, for the recorded cost, the plan and the budget."
    )

    def cost(self, prompt_tokens: int, completion_tokens: int, cached_tokens: int = 0) -> float:
        """US dollars for a request that is sent as this section says; 0 without a price."""
        return self.price.cost(prompt_tokens, completion_tokens, cached_tokens, self.batch) if self.price else 0.0

    @model_validator(mode="after")
    def _batch_fits(self) -> "EndpointConfig":
        if self.batch and self.stream:
            raise ValueError("a batch is not streamed: remove `stream: true` or `batch: true`")
        if self.batch and self.price and self.price.batch_discount is None:
            raise ValueError(
                "`batch: true` with a `price` needs `price.batch_discount`, the share by which a batch is cheaper: "
                "0.5 for half price, 0 for the same"
            )
        return self

    @property
    def shaping(self) -> dict[str, Any]:
        """The fields that shape the answers: what would answer differently is another teacher."""
        return self.model_dump(include=SHAPING)

    @field_validator("headers")
    @classmethod
    def _no_key(cls, value: dict[str, str]) -> dict[str, str]:
        if any(name.casefold() == "authorization" for name in value):
            raise ValueError("the header Authorization holds the key: name its environment variable in `api_key`")
        return value

    @field_validator("extra_body")
    @classmethod
    def _no_stream(cls, value: dict[str, Any]) -> dict[str, Any]:
        if own := value.keys() & {"stream", "stream_options"}:
            raise ValueError(f"`{min(own)}` cannot be an extra field: use `stream: true` of the endpoint")
        return value

    @field_validator("url")
    @classmethod
    def _without_slash(cls, value: str) -> str:
        return value.rstrip("/")


class TeacherSource(Section):
    """One teacher: a local model, or a model behind an endpoint. Give exactly one of the two."""

    model: ModelConfig | None = Field(default=None, description="A model with open weights, run on this machine.")
    endpoint: EndpointConfig | None = Field(default=None, description="A model behind an HTTP endpoint.")

    @model_validator(mode="after")
    def _one_source(self) -> "TeacherSource":
        if (self.model is None) == (self.endpoint is None):
            raise ValueError("give exactly one of `model` (run here) and `endpoint` (asked over HTTP)")
        if self.model and self.model.architecture:
            raise ValueError("a model made from an architecture has learned nothing yet: give `model.name`")
        return self


class MixedTeacher(TeacherSource):
    """One of several teachers that share the rows among them."""

    weight: float = Field(
        default=1.0, gt=0, description="This teacher's share of the rows is its weight divided by the sum of all."
    )


class BestOfConfig(Section):
    """Choose one of a row's several answers. The others are stored but not learned."""

    choose: Literal["gold", "majority", "judge"] = Field(
        default="majority",
        description="`gold`: the answer that agrees best with the gold answers (without any, as `majority`); "
        "`majority`: the one that agrees best with the row's other answers; `judge`: another teacher picks.",
    )
    teachers: list[TeacherSource] = Field(default=[], description="Further teachers that also answer every row.")
    judge: TeacherSource | None = Field(default=None, description="The teacher that picks, for `choose: judge`.")

    @model_validator(mode="after")
    def _judge_is_there(self) -> "BestOfConfig":
        if self.choose == "judge" and self.judge is None:
            raise ValueError("`choose: judge` needs a `judge`: name one, or choose by gold or majority")
        if self.choose != "judge" and self.judge is not None:
            raise ValueError(f"`judge` has no effect with `choose: {self.choose}`: remove it, or use `choose: judge`")
        return self


class SmokeConfig(Section):
    """The smoke gate: a new teacher or prompt gets a few rows first, and the rest only if most answers are usable."""

    rows: int = Field(
        default=16,
        ge=0,
        le=1000,
        description="Rows to try first; 0 skips the gate, and the probes of other parameters.",
    )
    max_failed_share: float = Field(
        default=0.5, ge=0, le=1, description="Largest share of the tried rows that parser and filters may refuse."
    )


class TeacherConfig(Section):
    """The large model whose answers the student learns, or several of them.

    Give exactly one of `model`, `endpoint` and `mix`.
    """

    model: ModelConfig | None = Field(default=None, description="A model with open weights, run on this machine.")
    endpoint: EndpointConfig | None = Field(default=None, description="A model behind an HTTP endpoint.")
    mix: list[MixedTeacher] = Field(
        default=[], description="Several teachers instead of one; each answers its share of the rows."
    )
    best_of: BestOfConfig | None = Field(
        default=None, description="Collect several answers to each row and choose one of them."
    )
    prompting: Prompting = Field(
        default="plain",
        description="`plain`: the row's own messages; `chain_of_thought`: reasoning and answer as JSON "
        f"({', '.join(tasks_with('chain_of_thought'))}); `chain_of_density`: a summary that grows denser in rounds "
        f"({', '.join(tasks_with('chain_of_density'))}).",
    )
    summary_words: int = Field(
        default=SUMMARY_WORDS, ge=20, le=1000, description="Approximate length of a `chain_of_density` summary."
    )
    generation: GenerationConfig = Field(
        default_factory=GenerationConfig, description="How the teacher generates its answers."
    )
    logits: LogitsConfig | None = Field(
        default=None, description="Capture the teacher's token distributions too. If left out, only its text is kept."
    )
    fit: TrainingConfig | None = Field(
        default=None, description="Fit the teacher to the gold answers first (teacher correction)."
    )
    smoke: SmokeConfig = Field(
        default_factory=SmokeConfig, description="The smoke gate: a new teacher or prompt tries a few rows first."
    )
    stop_failed_share: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="Stop a shard if more than this share of its requests failed, counted from 50 requests on.",
    )
    budget_usd: float | None = Field(
        default=None, gt=0, description="Most US dollars for all runs of the project together. It needs a `price`."
    )

    @property
    def sources(self) -> list[TeacherSource]:
        """Every teacher that is not a local `model`; the first one represents the teacher in the report."""
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
            raise ValueError(
                "a teacher made from an architecture has learned nothing yet: add `fit`, or give `model.name`"
            )
        if self.model and self.model.architecture and self.model.tokenizer == "teacher":
            raise ValueError("the teacher's own tokenizer is `train`; `teacher` is for the student")
        return self

    @model_validator(mode="after")
    def _logits_are_open(self) -> "TeacherConfig":
        if self.logits and (self.model is None or self.best_of):
            raise ValueError("`logits` are read from one open-weights teacher: give `model`, and no `best_of`")
        if self.logits and self.prompting != "plain":
            raise ValueError(
                f"`logits` describe the text that the teacher wrote; with `prompting: {self.prompting}` the student "
                "learns another text: use `prompting: plain`, or remove `logits`"
            )
        return self

    @model_validator(mode="after")
    def _best_of_has_a_choice(self) -> "TeacherConfig":
        if self.best_of and self.generation.samples * (1 + len(self.best_of.teachers)) < 2:
            raise ValueError(
                "`best_of` needs several answers to each row: raise `generation.samples`, or name `teachers`"
            )
        return self

    @model_validator(mode="after")
    def _sent_samples_differ(self) -> "TeacherConfig":
        fixed = [s.endpoint.model for s in self.sources if s.endpoint and s.endpoint.parameters.temperature == 0]
        if self.generation.samples > 1 and fixed:
            raise ValueError(
                f"`generation.samples: {self.generation.samples}` need a temperature above 0, and "
                f"`parameters.temperature: 0` of {fixed[0]} sends 0: remove one of the two"
            )
        return self

    @model_validator(mode="after")
    def _budget_has_a_price(self) -> "TeacherConfig":
        free = [source.endpoint.model for source in self.sources if source.endpoint and source.endpoint.price is None]
        if self.budget_usd is not None and (free or not any(source.endpoint for source in self.sources)):
            raise ValueError(f"`budget_usd: {self.budget_usd}` needs the `price` of {', '.join(free) or 'an endpoint'}")
        return self

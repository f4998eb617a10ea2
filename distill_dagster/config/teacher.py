"""`teacher:` - who answers, how it is asked, what it may cost, and when it is stopped."""

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from distill_dagster.config.models import GenerationConfig, ModelConfig, TrainingConfig
from distill_dagster.config.section import SUMMARY_WORDS, Prompting, Section

SHAPING = {
    "url",
    "model",
    "revision",
    "top_logprobs",
    "extra_body",
    "json_mode",
}  # fields of an endpoint that shape its answers


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

    @property
    def shaping(self) -> dict[str, Any]:
        """The fields that shape the answers: what would answer differently is another teacher."""
        return self.model_dump(include=SHAPING)

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

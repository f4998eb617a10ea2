"""Parts of `endpoint:` - what it charges, and which parameters it accepts."""

from typing import Annotated, Literal

from pydantic import Field

from distill_dagster.config.section import Section

Omit = Literal["omit"]
Temperature = Annotated[float, Field(ge=0, le=2)]
HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]
HeaderValue = Annotated[str, Field(pattern=r"^[\x20-\x7e]+$")]
Share = Annotated[float, Field(gt=0, le=1)]


class PriceConfig(Section):
    """What an endpoint charges, in US dollars for a million tokens."""

    prompt: float = Field(default=0.0, ge=0, description="US dollars for a million prompt tokens.")
    completion: float = Field(default=0.0, ge=0, description="US dollars for a million completion tokens.")
    cached_prompt: float | None = Field(
        default=None,
        ge=0,
        description="US dollars for a million prompt tokens that the provider read from its cache. If left out, they "
        "cost as much as others.",
    )
    batch_discount: float | None = Field(
        default=None, ge=0, le=1, description="Share that a request costs less in a batch: 0.5 is half price."
    )

    def cost(self, prompt_tokens: int, completion_tokens: int, cached_tokens: int = 0, batch: bool = False) -> float:
        """US dollars for this many tokens; `cached_tokens` are among those of the prompt."""
        cached = min(cached_tokens, prompt_tokens) if self.cached_prompt is not None else 0
        prompt = self.prompt * (prompt_tokens - cached) + (self.cached_prompt or 0.0) * cached
        full = (prompt + self.completion * completion_tokens) / 1_000_000
        return full * (1 - (self.batch_discount or 0.0)) if batch else full


class ParametersConfig(Section):
    """What the endpoint accepts instead of a parameter that would be sent: another value, or `omit`.

    It holds for every request: to teach, to measure, to judge, and in the smoke gate. Another value that is sent is
    another request; a request that stays the same is not sent again.
    """

    temperature: Temperature | Omit | None = Field(
        default=None,
        description="The only temperature that the endpoint accepts, also where a benchmark or the judge would use 0. "
        "`omit` sends none: the provider's default holds.",
    )
    top_p: Share | Omit | None = Field(
        default=None, description="The only `top_p` that the endpoint accepts, or `omit`."
    )
    seed: Omit | None = Field(default=None, description="`omit` for an endpoint that refuses `seed`.")
    n: Omit | None = Field(default=None, description="`omit` for an endpoint that refuses `n`, which is always 1.")
    stream_options: Omit | None = Field(
        default=None,
        description="`omit` for an endpoint that refuses `stream_options`. If it then counts no tokens, they are "
        "estimated.",
    )

"""`teacher.logits:` - how much to keep of a teacher's distributions."""

from typing import Literal

from pydantic import Field

from distill_dagster.config.section import Section


class LogitsConfig(Section):
    """How much to keep of the teacher's next-token distributions, which a second pass reads.

    `lossless` keeps float16 values; `compact` keeps 8 bits of each value, off by at most 1/255 of a token's range.
    """

    k: int = Field(default=64, ge=1, le=1024, description="Most likely tokens to keep for each token of an answer.")
    precision: Literal["lossless", "compact"] = Field(
        default="lossless", description="How log-probabilities are stored: as float16, or in 8 bits."
    )
    tail: Literal["bucket", "sampled"] = Field(
        default="bucket",
        description="What is kept of the tokens outside of the k: their mass, as a `bucket`, for training at a "
        "temperature of 1, 2 or 4; or tokens `sampled` from them, which at temperature 1 make the gradient of the "
        "forward KL unbiased.",
    )
    batch_tokens: int = Field(
        default=16_384, ge=64, description="Tokens read in one batch, padded prompts and answers together."
    )

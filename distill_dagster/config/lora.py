"""`lora:` - low-rank adapters in place of full fine-tuning."""

from typing import Annotated, Literal

from pydantic import Field

from distill_dagster.config.section import Section

ModuleName = Annotated[str, Field(min_length=1)]


class LoraConfig(Section):
    """LoRA (Hu et al. 2021, arXiv 2106.09685): W + alpha / rank * B A. Only B and A train."""

    rank: int = Field(default=16, ge=1, le=1024, description="Rank of an adapter: the inner size of B A.")
    alpha: float = Field(default=32.0, gt=0, le=4096, description="An adapter's output is multiplied by alpha / rank.")
    dropout: float = Field(default=0.0, ge=0, lt=1, description="Dropout on an adapter's input during training.")
    targets: Literal["all-linear"] | Annotated[list[ModuleName], Field(min_length=1)] = Field(
        default="all-linear",
        description="Layers that get an adapter, by the ends of their names, such as `[q_proj, v_proj]`; `all-linear`: "
        "every linear layer but the output head.",
    )

    def __str__(self) -> str:
        targets = self.targets if isinstance(self.targets, str) else ", ".join(self.targets)
        return f"rank {self.rank}, alpha {self.alpha:g}, dropout {self.dropout:g}, targets {targets}"

"""`student.training.hidden:` - which of the teacher's hidden states and attention relations the student imitates.

    hidden: {}                                              every student layer, evenly spaced teacher layers
    hidden: {layers: [[3, 8], [6, 16]], distance: mse}      two layer pairs
    hidden: {layers: [], relations: {heads: 12}}            attention relations alone, as in MiniLMv2

Layers count from 1; the last one is the model's number of layers.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from distill_dagster.config.section import Section

Pair = Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=2, max_length=2)]  # student layer, teacher layer
DistanceName = Literal["cosine", "mse"]


class RelationsConfig(Section):
    """Attention relations: softmax(X X^T / sqrt(d)) over queries, keys and values, each in relation heads."""

    heads: int = Field(
        ge=1,
        le=1024,
        description="Relation heads. They need not be attention heads, but have to divide the widths of queries, keys "
        "and values of both models.",
    )
    layers: list[Pair] | None = Field(
        default=None,
        min_length=1,
        description="Pairs of a student layer and a teacher layer, such as [[6, 21]]. If left out, the last of both.",
    )
    weight: float = Field(default=1.0, gt=0, le=1000, description="Weight of the relations beside the hidden states.")


class HiddenSignalConfig(Section):
    """The objective alpha * L + (1 - alpha) * (distance of hidden states + weight * relations).

    L is the cross-entropy, or with `logits` the objective of that signal.
    """

    alpha: float = Field(
        default=0.5, gt=0, lt=1, description="Weight of the cross-entropy, or of the objective of `logits`."
    )
    layers: list[Pair] | None = Field(
        default=None,
        description="Pairs of a student layer and a teacher layer, such as [[3, 8], [6, 16]]; [] for none. If left "
        "out, every student layer with evenly spaced teacher layers, the last with the last.",
    )
    distance: DistanceName = Field(
        default="cosine",
        description="Distance of a teacher's state from the student's behind its projection: 1 - cosine, or the mean "
        "squared difference (`mse`), which a few very large coordinates dominate in many models.",
    )
    relations: RelationsConfig | None = Field(
        default=None, description="Attention relations to imitate as well. If left out, none."
    )

    @model_validator(mode="after")
    def _imitates_something(self) -> "HiddenSignalConfig":
        if self.layers == [] and self.relations is None:
            raise ValueError("`layers: []` without `relations` imitates nothing: name layer pairs, or add `relations`")
        for name, pairs in (("layers", self.layers), ("relations.layers", self.relations and self.relations.layers)):
            if twice := [pair for i, pair in enumerate(pairs or []) if pair in (pairs or [])[:i]]:
                raise ValueError(f"`{name}` names the pair {twice[0]} twice: remove one")
        return self

    @property
    def formula(self) -> str:
        """What stands beside (1 - alpha)."""
        parts = []
        if self.layers != []:
            parts.append(f"{self.distance} of hidden states {_named(self.layers, 'evenly spaced')}")
        if relations := self.relations:
            weight = f"{relations.weight:g} * " if relations.weight != 1 else ""
            layers = _named(relations.layers, "last:last")
            parts.append(f"{weight}KL of Q-Q, K-K, V-V relations in {relations.heads} heads {layers}")
        return f"({' + '.join(parts)})"


def _named(pairs: list[list[int]] | None, default: str) -> str:
    """Layer pairs as `(student:teacher 1:2, 2:4)`."""
    return f"(student:teacher {default if pairs is None else ', '.join(f'{s}:{t}' for s, t in pairs)})"

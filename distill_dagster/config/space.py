"""`student.sweep.space:` - the fields of the student's training that a sweep searches, and their values.

    learning_rate: {low: 1.0e-5, high: 1.0e-3, log: true}      a range
    batch_size: [8, 16, 32]                                    choices
    lora: {rank: [4, 16]}                                      a field of a section

A point of the space is one value of each of its fields: {"learning_rate": 0.0002, "batch_size": 8, "lora.rank": 16}.
"""

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from distill_dagster.config.hidden import Pair
from distill_dagster.config.section import DivergenceName, Section

Point = Mapping[str, Any]  # a field of the space, such as `lora.rank` -> its value


class Range(Section):
    """A range of numbers, with its ends."""

    low: float = Field(description="The least value.")
    high: float = Field(description="The greatest value.")
    log: bool = Field(default=False, description="Draw on a logarithmic scale.")

    @model_validator(mode="after")
    def _is_a_range(self) -> "Range":
        if self.low >= self.high:
            raise ValueError(f"`low: {self.low:g}` is not below `high: {self.high:g}`: exchange them, or give a list")
        if self.log and self.low <= 0:
            raise ValueError(f"`log: true` needs a `low` above 0, and it is {self.low:g}: raise it, or remove `log`")
        return self


class IntRange(Range):
    """A range of whole numbers."""

    low: int = Field(description="The least value.")  # pyright: ignore[reportIncompatibleVariableOverride]
    high: int = Field(description="The greatest value.")  # pyright: ignore[reportIncompatibleVariableOverride]


def _each_once(values: list[Any]) -> list[Any]:
    if twice := [value for i, value in enumerate(values) if value in values[:i]]:
        raise ValueError(f"{twice[0]} is listed twice: remove one")
    return values


def _form(value: Any) -> str:
    return "choices" if isinstance(value, list) else "range"


_choices = (Field(min_length=1), AfterValidator(_each_once))
_either = Discriminator(_form)  # so that an error speaks of the form that was given
Floats = Annotated[Annotated[Range, Tag("range")] | Annotated[list[float], *_choices, Tag("choices")], _either]
Ints = Annotated[Annotated[IntRange, Tag("range")] | Annotated[list[int], *_choices, Tag("choices")], _either]


class LogitsSpace(Section):
    """Fields of `student.training.logits`."""

    alpha: Floats | None = Field(default=None, description="Values of `alpha`.")
    temperature: Annotated[list[Literal[1, 2, 4]], *_choices] | None = Field(
        default=None, description="Values of `temperature`, the T of both sides."
    )
    divergence: Annotated[list[DivergenceName], *_choices] | None = Field(
        default=None, description="Values of `divergence`, the D of both sides."
    )


class HiddenSpace(Section):
    """Fields of `student.training.hidden`."""

    alpha: Floats | None = Field(default=None, description="Values of `alpha`.")
    layers: Annotated[list[list[Pair]], *_choices] | None = Field(
        default=None, description="Values of `layers`: a list of lists of layer pairs."
    )


class LoraSpace(Section):
    """Fields of `student.training.lora`."""

    rank: Ints | None = Field(
        default=None, description="Values of `rank`; the adapters' outputs are scaled by alpha / rank."
    )
    alpha: Floats | None = Field(default=None, description="Values of `alpha`.")


class SpaceConfig(Section):
    """The fields of `student.training` that the trials differ in: each a list of choices, or a range {low, high, log}.

    `log: true` draws on a logarithmic scale. Values have the bounds of the field. A field that would change what the
    validation loss is measured on, such as `max_length`, cannot be searched.
    """

    learning_rate: Floats | None = Field(default=None, description="Values of `learning_rate`.")
    epochs: Floats | None = Field(default=None, description="Values of `epochs`.")
    batch_size: Ints | None = Field(default=None, description="Values of `batch_size`.")
    gradient_accumulation: Ints | None = Field(default=None, description="Values of `gradient_accumulation`.")
    warmup_share: Floats | None = Field(default=None, description="Values of `warmup_share`.")
    weight_decay: Floats | None = Field(default=None, description="Values of `weight_decay`.")
    logits: LogitsSpace | None = Field(default=None, description="Fields of `logits`.")
    hidden: HiddenSpace | None = Field(default=None, description="Fields of `hidden`.")
    lora: LoraSpace | None = Field(default=None, description="Fields of `lora`.")

    @model_validator(mode="after")
    def _searches_something(self) -> "SpaceConfig":
        if not self.dimensions:
            raise ValueError("no field is searched: name one, such as `learning_rate: [1e-5, 1e-4]`")
        return self

    @property
    def dimensions(self) -> dict[str, Range | IntRange | list[Any]]:
        """The fields that are searched, such as `lora.rank` -> its range or its choices."""
        return dict(_dimensions(self))


def _dimensions(space: Section, above: str = "") -> Iterator[tuple[str, Any]]:
    for name in type(space).model_fields:
        value = getattr(space, name)
        if isinstance(value, Section) and not isinstance(value, Range):
            yield from _dimensions(value, f"{above}{name}.")
        elif value is not None:
            yield f"{above}{name}", value


def values_of(entry: Any) -> list[Any]:
    """The choices, or the ends of the range."""
    return [entry.low, entry.high] if isinstance(entry, Range) else list(entry)


def corners_of(space: SpaceConfig) -> Iterator[Point]:
    """The corners of the space: any two values of two fields together, the others at their first value."""
    values = {name: values_of(entry) for name, entry in space.dimensions.items()}
    first = {name: found[0] for name, found in values.items()}
    if len(values) == 1:
        ((name, found),) = values.items()
        yield from ({name: value} for value in found)
    for one, other in combinations(values, 2):
        yield from (first | {one: x, other: y} for x in values[one] for y in values[other])

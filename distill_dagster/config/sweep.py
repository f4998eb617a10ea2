"""`student.sweep:` - a search for the best settings of the student's training.

    sweep:
      trials: 20
      space: {learning_rate: {low: 1.0e-5, high: 1.0e-3, log: true}, batch_size: [8, 16, 32]}

A trial trains with the settings of `student.training` and of one point of the space.
"""

from itertools import product
from typing import Literal

from pydantic import Field, ValidationError

from distill_dagster.config.section import Section
from distill_dagster.config.signals import StudentTrainingConfig
from distill_dagster.config.space import Point, SpaceConfig, corners_of, values_of


class PrunerConfig(Section):
    """When a trial is stopped early, because others had lower validation losses at the same share of their training."""

    kind: Literal["median", "successive_halving"] = Field(
        default="median",
        description="`median`: a trial stops if its best loss so far is above the median of the others'. "
        "`successive_halving`: after 1, r, r², … evaluations, only the best 1/r of the trials go on.",
    )
    startup_trials: int = Field(
        default=5, ge=1, le=1000, description="`median`: how many trials end before one is pruned."
    )
    warmup: int = Field(default=1, ge=0, le=1000, description="`median`: evaluations at which no trial is pruned.")
    reduction: int = Field(default=2, ge=2, le=16, description="`successive_halving`: the r above.")


class SweepConfig(Section):
    """Trials of the student's training; the one with the lowest validation loss becomes the student."""

    trials: int = Field(default=20, ge=1, le=1000, description="How many points are tried.")
    space: SpaceConfig = Field(description="What is searched.")
    sampler: Literal["tpe", "random"] = Field(
        default="tpe",
        description="How a point is drawn: by a tree-structured Parzen estimator from the trials before, or at random.",
    )
    startup_trials: int = Field(default=8, ge=1, le=1000, description="How many points are drawn at random first.")
    pruner: PrunerConfig | None = Field(
        default_factory=PrunerConfig, description="When a trial is stopped early; `null`: never."
    )
    seed: int = Field(default=0, ge=0, description="Seed of the points. That of the training is its own.")

    def corners(self, training: StudentTrainingConfig) -> list[StudentTrainingConfig]:
        """The trainings at all choices and ends of ranges, any two of them together.

        Raises:
            ValueError: `training` has no such settings, or does not accept one of the points.
        """
        self._require_sections(training)
        return [at(training, point) for point in corners_of(self.space)]

    def heaviest(self) -> list[Point]:
        """The points that take most memory: most rows, the highest rank, and each objective."""
        values = {name: values_of(entry) for name, entry in self.space.dimensions.items()}
        most = {name: max(values[name]) for name in ("batch_size", "lora.rank") if name in values}
        objectives = [name for name in ("logits.temperature", "logits.divergence") if name in values]
        chosen = product(*(values[name] for name in objectives))
        return [most | dict(zip(objectives, one, strict=True)) for one in chosen]

    def _require_sections(self, training: StudentTrainingConfig) -> None:
        """What the space searches is in use."""
        if training.signal == "on_policy":
            raise ValueError(
                "`sweep` searches the settings of one training, and `signal: on_policy` is a chain of several: remove "
                "`sweep`, or use another signal"
            )
        used = {
            "logits": (training.reads_logits, "the signal reads no stored distributions: use `signal: logits`"),
            "hidden": (training.reads_teacher, f"the signal is `{training.signal}`: use `signal: hidden`"),
            "lora": (training.lora is not None, "`training.lora` is not given: add `lora: {}`"),
        }
        for name, (is_used, why) in used.items():
            if getattr(self.space, name) is not None and not is_used:
                raise ValueError(f"`sweep.space.{name}` is searched, and {why}, or remove it from `space`")


def at(training: StudentTrainingConfig, point: Point) -> StudentTrainingConfig:
    """The training at a point of the space.

    Raises:
        ValueError: it does not accept the point's settings.
    """
    settings = training.model_dump()
    for name, value in point.items():
        *sections, field = name.split(".")
        inside = settings
        for section in sections:
            inside[section] = dict(inside.get(section) or {})
            inside = inside[section]
        inside[field] = value
    try:
        return StudentTrainingConfig.model_validate(settings)
    except ValidationError as e:
        raise ValueError(_refusal(e, point)) from e


def _refusal(error: ValidationError, point: Point) -> str:
    """Why a point is refused, with the field if it is one of the space's, else with the whole point."""
    details = error.errors()[0]
    message = details["msg"].removeprefix("Value error, ")
    at_field = next((name for name in point if ".".join(map(str, details["loc"])).startswith(name)), None)
    where = f"`sweep.space.{at_field}`" if at_field else f"`sweep.space` at {in_words(point)}"
    got = f" (got {details['input']})" if at_field else ""
    return f"{where}: {message}{got}"


def in_words(point: Point) -> str:
    """A point as text, such as `learning_rate 0.0002, batch_size 8`."""
    return ", ".join(f"{name} {f'{value:.3g}' if isinstance(value, float) else value}" for name, value in point.items())

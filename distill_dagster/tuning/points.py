"""Points of a space, drawn by Optuna's samplers.

    params   {"learning_rate": 0.00021, "hidden.layers": "[[1, 2], [2, 4]]"}      as Optuna stores them
    point    {"learning_rate": 0.00021, "hidden.layers": [[1, 2], [2, 4]]}        as the config has them

Each trial has a sampler of its own, seeded by the sweep's seed and the trial's number.
"""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from distill_dagster.config import SpaceConfig, SweepConfig
from distill_dagster.config.space import Range

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial


def distributions_of(space: SpaceConfig) -> "dict[str, BaseDistribution]":
    """What Optuna draws the fields of a space from."""
    return {name: _distribution(entry) for name, entry in space.dimensions.items()}


def draw(trials: Sequence["FrozenTrial"], sweep: SweepConfig) -> dict[str, Any]:
    """The params of the trial behind these, from a study in memory with a sampler of its own."""
    import optuna

    study = optuna.create_study(direction="minimize", sampler=_sampler(sweep, seed=[sweep.seed, len(trials)]))
    study.add_trials(trials)
    return study.ask(distributions_of(sweep.space)).params


def point_of(params: Mapping[str, Any], space: SpaceConfig) -> dict[str, Any]:
    """The point that params stand for: its choices as they are in the config."""
    dimensions = space.dimensions
    choices = {name: entry for name, entry in dimensions.items() if isinstance(entry, list)}
    chosen = {name: {_choice(value): value for value in entry} for name, entry in choices.items()}
    return {name: chosen[name][params[name]] if name in chosen else params[name] for name in dimensions}


def _sampler(sweep: SweepConfig, seed: list[int]) -> "optuna.samplers.BaseSampler":
    import numpy as np
    import optuna

    number = int(np.random.SeedSequence(seed).generate_state(1)[0])
    if sweep.sampler == "random":
        return optuna.samplers.RandomSampler(seed=number)
    return optuna.samplers.TPESampler(n_startup_trials=sweep.startup_trials, seed=number)


def _distribution(entry: Range | list[Any]) -> "BaseDistribution":
    """Optuna's form of a range, or of choices."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(entry, list):
        return CategoricalDistribution([_choice(value) for value in entry])
    if isinstance(entry.low, int) and isinstance(entry.high, int):
        return IntDistribution(entry.low, entry.high, log=entry.log)
    return FloatDistribution(entry.low, entry.high, log=entry.log)


def _choice(value: Any) -> Any:
    """A choice as Optuna stores it: layer pairs are text."""
    return json.dumps(value, allow_nan=False) if isinstance(value, list) else value

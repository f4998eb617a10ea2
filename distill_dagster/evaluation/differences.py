"""The difference of two models on the same items, with its interval, and the same for each task with Holm's p-values.

    task   items   first   second   difference   95 % interval    p        adjusted
    nli    240     0.950   0.942    +0.008       -0.017 … 0.035   0.69     0.69
    qa     120     0.992   0.925    -0.067       -0.13 … -0.024   0.008    0.016

A task is called changed only if its adjusted p-value is below 0.05: among ten tasks that did not change, one would else
look changed in two of five reports. Holm: Scandinavian Journal of Statistics 6, 1979.

The p-value is McNemar's exact one where the interval is a score interval. Elsewhere it is the smallest level at which
the interval does not hold 0; it is at least 2 / resamples.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate

import numpy as np
from pydantic import BaseModel

from distill_dagster.evaluation.items import Groups, join_items
from distill_dagster.evaluation.score_intervals import difference_ends
from distill_dagster.evaluation.statistics import Floats, Sample, high_end, low_end, with_unseen

SIGNIFICANT = 0.05
WORST, BEST = (0.0, 1.0), (1.0, 0.0)  # first's and second's score of the unseen item

Counts = tuple[int, int, int, int]


class Difference(BaseModel, frozen=True):
    """First minus second mean score, -1 … 1, with its 95 % interval and two-sided p-value."""

    value: float
    low: float
    high: float
    p_value: float
    items: int
    groups: int | None = None  # None: no two items belong together


class TaskDifference(BaseModel, frozen=True):
    """Two models on one task. `adjusted` is Holm's p-value over all tasks that were compared."""

    task: str
    first: float
    second: float
    difference: Difference
    adjusted: float

    @property
    def fell(self) -> bool:
        """Whether the first scores significantly less than the second."""
        return self.difference.value < 0 and self.adjusted < SIGNIFICANT


def difference(
    first: Mapping[str, float],
    second: Mapping[str, float],
    *,
    resamples: int,
    seed: int,
    groups: Groups | None = None,
) -> Difference:
    """Mean score of `first` minus that of `second`, from scores in [0, 1] by row_id.

    Raises:
        DataError: the two were not scored on the same items, or on none.
    """
    return difference_of(join_items({"first": first, "second": second}, groups), resamples=resamples, seed=seed)


def difference_of(sample: Sample, *, resamples: int, seed: int) -> Difference:
    """The same from items with two columns of scores, first and second."""
    first, second = sample.scores.T
    if sample.has_score_interval:
        counts = paired_counts(second, first)
        low, high = (float(end) for end in difference_ends(*counts))
        p_value = sign_test(*counts[1:3])
    else:
        low, high, p_value = _resampled(sample, resamples, seed)
    return Difference(
        value=float((first - second).mean()),
        low=low,
        high=high,
        p_value=p_value,
        items=len(first),
        groups=sample.group_count if sample.is_grouped else None,
    )


def _resampled(sample: Sample, resamples: int, seed: int) -> tuple[float, float, float]:
    """Both ends, and twice the share of resamples beyond 0 on the less likely side."""
    means = sample.resampled(resamples, seed)
    worst, best = (np.subtract(*with_unseen(means, sample.group_count, unseen).T) for unseen in (WORST, BEST))
    beyond = min((worst <= 0).sum(), (best >= 0).sum())
    return low_end(worst), high_end(best), min(1.0, 2 * max(int(beyond), 1) / resamples)


def paired_counts(teacher: Floats, student: Floats) -> Counts:
    """Items that both got right, only the first, only the second, and neither, from 0/1 scores (N,)."""
    both, either = int((teacher * student).sum()), int(np.maximum(teacher, student).sum())
    return both, int(teacher.sum()) - both, int(student.sum()) - both, len(teacher) - either


def sign_test(only_first: int, only_second: int) -> float:
    """The exact two-sided p-value of a split at least this uneven of the items that only one of two got right."""
    from scipy.stats import binomtest

    discordant = only_first + only_second
    return float(binomtest(only_second, discordant, 0.5).pvalue) if discordant else 1.0


def differences_by_task(
    first: Mapping[str, float],
    second: Mapping[str, float],
    tasks: Mapping[str, str],
    *,
    resamples: int,
    seed: int,
    groups: Groups | None = None,
) -> list[TaskDifference]:
    """The difference on each task, in the order in which the tasks appear; `tasks` gives the task of each row_id.

    Raises:
        DataError: the two were not scored on the same items, or on none.
    """
    found = {
        task: join_items({"first": _only(first, ids), "second": _only(second, ids)}, groups)
        for task, ids in _ids_by_task(first.keys() | second.keys(), tasks).items()
    }
    values = [difference_of(sample, resamples=resamples, seed=seed) for sample in found.values()]
    adjusted = holm([value.p_value for value in values])
    return [
        TaskDifference(task=task, first=one, second=other, difference=value, adjusted=p)
        for (task, sample), value, p in zip(found.items(), values, adjusted, strict=True)
        for one, other in [sample.scores.mean(axis=0).tolist()]
    ]


def _ids_by_task(ids: Iterable[str], tasks: Mapping[str, str]) -> dict[str, list[str]]:
    wanted, found = set(ids), dict[str, list[str]]()
    for row_id, task in tasks.items():
        if row_id in wanted:
            found.setdefault(task, []).append(row_id)
    return found


def _only(scores: Mapping[str, float], ids: Iterable[str]) -> dict[str, float]:
    return {row_id: scores[row_id] for row_id in ids if row_id in scores}


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values, in the given order: the k-th smallest of m, times m - k + 1, and never decreasing."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    scaled = [min(1.0, p_values[i] * (len(p_values) - rank)) for rank, i in enumerate(order)]
    adjusted = dict(zip(order, accumulate(scaled, max), strict=True))
    return [adjusted[i] for i in range(len(p_values))]

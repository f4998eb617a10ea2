"""Labels in proportion: a cap, a floor, and how far the filters moved them.

    counts {a: 100, b: 50, c: 50}, max_label_share 0.4      a is cut to 66: 66 / 166 <= 0.4
    counts {a: 100, b: 4}, labels {a, b, c}, floor 10       b and c are rare: named, and b's rows are flagged
    {a: 1, b: 1} before, {a: 3, b: 1} after                 total variation 0.25, Jensen-Shannon divergence 0.049 bits

The cap drops rows, because the set has more than enough of that label. The floor only reports: missing rows cannot be
made up, repeating the few rows would teach them by heart, and dropping the label would be worse.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from math import log2
from typing import Any

from distill_dagster.errors import ConfigError
from distill_dagster.quality.specs import LabelShift
from distill_dagster.store.hashing import sha256


def over_cap(examples: Sequence[Mapping[str, Any]], share: float | None) -> set[int]:
    """Positions of the training examples that the cap drops, task by task; a hash of the row id chooses them.

    Raises:
        ConfigError: a task has too few labels for such a share.
    """
    by_task: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for position, example in enumerate(examples):
        if example["split"] == "train" and example["label"] is not None:
            by_task[example["task"]][example["label"]].append(position)
    dropped: set[int] = set()
    for task, by_label in by_task.items() if share is not None else ():
        cap = largest_cap(Counter({label: len(positions) for label, positions in by_label.items()}), share, task)
        for positions in by_label.values():
            dropped.update(sorted(positions, key=lambda p: _place(examples[p]))[cap:])
    return dropped


def largest_cap(counts: Mapping[str, int], share: float | None, task: str) -> int:
    """The most rows that each label may keep so that no label has more than `share` of all kept rows.

    min(n_i, c) <= share * sum_i min(n_i, c) holds for every c from 1 to a largest one, or for none: the right side is
    concave in c. Bisection finds that c.
    """
    assert share is not None

    def holds(cap: int) -> bool:
        kept = sum(min(n, cap) for n in counts.values())
        return max(min(n, cap) for n in counts.values()) <= share * kept + 1e-9

    if not holds(1):
        raise ConfigError(
            f"quality.max_label_share is {share}, but the {task} answers have {len(counts)} label(s), so one label "
            f"has at least 1/{len(counts)} of them: raise the share, or leave it out"
        )
    low, high = 1, max(counts.values())
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if holds(middle) else (low, middle - 1)
    return low


def _place(example: Mapping[str, Any]) -> tuple[str, int, int]:
    """The sort key by which a label's rows are kept."""
    return sha256(example["row_id"]), example["sample"], example["turn"]


def rare_labels(counts: Mapping[str, int], known: Iterable[str], floor: int) -> dict[str, int]:
    """Label -> training rows, for labels with fewer than `floor` of them; labels of `known` may have 0."""
    own = {label: counts.get(label, 0) for label in {*known, *counts}}
    return {label: n for label, n in sorted(own.items(), key=lambda item: (item[1], item[0])) if n < floor}


def label_shift(before: Mapping[str, int], after: Mapping[str, int]) -> LabelShift | None:
    """How far apart two label distributions are, each measure 0 … 1; None if one of them is empty.

    Total variation is the share of rows that would have to change their label. The Jensen-Shannon divergence (Lin
    1991, in bits) gives more weight to changes of rare labels.
    """
    if not before or not after:
        return None
    labels = sorted({*before, *after})
    p, q = ([counts.get(label, 0) / sum(counts.values()) for label in labels] for counts in (before, after))
    middle = [(a + b) / 2 for a, b in zip(p, q, strict=True)]
    divergence = (_relative_entropy(p, middle) + _relative_entropy(q, middle)) / 2
    return LabelShift(
        total_variation=sum(abs(a - b) for a, b in zip(p, q, strict=True)) / 2,
        jensen_shannon=min(1.0, max(0.0, divergence)),
    )


def _relative_entropy(p: Sequence[float], q: Sequence[float]) -> float:
    return sum(a * log2(a / b) for a, b in zip(p, q, strict=True) if a > 0)

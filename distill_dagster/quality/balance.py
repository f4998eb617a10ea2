"""The label cap: no label may be more than a share of the training examples.

counts {a: 100, b: 50, c: 50}, max_label_share 0.4      a is cut to 66: 66 / 166 <= 0.4
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from distill_dagster.errors import ConfigError
from distill_dagster.records import sha256


def over_cap(examples: Sequence[Mapping[str, Any]], share: float | None) -> set[int]:
    """Positions of the training examples that the cap drops, task by task; which ones is decided by hash of row id.

    Raises:
        ConfigError: there are too few labels for such a share.
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
    """The most rows that each label may keep so that none is more than `share` of what all of them keep.

    min(n_i, c) <= share * sum_i min(n_i, c) holds for every c from 1 to a largest one, or for none: the right side is
    concave in c. A bisection finds it.
    """
    assert share is not None

    def holds(cap: int) -> bool:
        kept = sum(min(n, cap) for n in counts.values())
        return max(min(n, cap) for n in counts.values()) <= share * kept + 1e-9

    if not holds(1):
        raise ConfigError(
            f"quality.max_label_share is {share}, but the {task} answers have {len(counts)} label(s), "
            f"one of which is at least 1/{len(counts)} of them: raise the share, or leave it out"
        )
    low, high = 1, max(counts.values())
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if holds(middle) else (low, middle - 1)
    return low


def _place(example: Mapping[str, Any]) -> tuple[str, int, int]:
    """Where the example stands in the order in which a label's rows are kept."""
    return sha256(example["row_id"]), example["sample"], example["turn"]

"""Labels in proportion: a cap, a floor, and how far the filters moved them.

    counts {a: 100, b: 50, c: 50}, max_label_share 0.4      a is cut to 66: 66 / 166 <= 0.4
    counts {a: 100, b: 4}, labels {a, b, c}, floor 10       b and c are rare: named, and b's rows are flagged
    {a: 1, b: 1} before, {a: 3, b: 1} after                 total variation 0.25, Jensen-Shannon divergence 0.049 bits

The cap drops rows, because the set has more than enough of that label. The floor only reports: missing rows cannot be
made up, repeating the few rows would teach them by heart, and dropping the label would be worse.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import log2
from pathlib import Path

import pyarrow as pa

from distill_dagster.errors import ConfigError
from distill_dagster.quality.specs import LabelShift
from distill_dagster.quality.spill import Spill
from distill_dagster.store import parquet, schemas
from distill_dagster.store.hashing import sha256

_COMPARED = ["row_id", "sample", "turn", "split", "task", "label"]  # columns of an example
BALANCED = pa.schema([*(schemas.EXAMPLE.field(name) for name in _COMPARED[1:]), ("hash", pa.string())])
CAPS = pa.schema([("task", pa.string()), ("cap", pa.int64())])


def over_cap(draft: Path, counts: Mapping[str, Mapping[str, int]], share: float, spill: Spill) -> Iterator[int]:
    """Positions of the training examples that the cap drops, in order; a hash of the row id chooses them.

    `draft` holds the examples, and `counts` task -> label -> training rows.

    Raises:
        ConfigError: a task has too few labels for such a share.
    """
    caps = {task: largest_cap(by_label, share, task) for task, by_label in counts.items()}
    tables = (_balanced(table) for table in parquet.stream_tables(draft, _COMPARED))
    spill.load("balanced", tables, BALANCED)
    spill.load("caps", [pa.table([list(caps), list(caps.values())], CAPS)], CAPS)
    dropped = spill.query(
        """
        SELECT position FROM (
            SELECT position, cap, row_number() OVER
                (PARTITION BY task, label ORDER BY hash, sample, turn, position) AS place
            FROM balanced JOIN (SELECT task, cap FROM caps) USING (task) WHERE split = 'train' AND label IS NOT NULL
        ) WHERE place > cap ORDER BY position
        """
    )
    for batch in dropped:
        yield from batch.column(0).to_pylist()


def _balanced(table: pa.Table) -> pa.Table:
    hashes = [sha256(row_id) for row_id in table.column("row_id").to_pylist()]
    return table.drop_columns("row_id").append_column("hash", pa.array(hashes, pa.string()))


def largest_cap(counts: Mapping[str, int], share: float, task: str) -> int:
    """The most rows that each label may keep so that no label has more than `share` of all kept rows.

    min(n_i, c) <= share * sum_i min(n_i, c) holds for every c from 1 to a largest one, or for none: the right side is
    concave in c. Bisection finds that c.
    """

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

"""Items: what is scored once. A row is one item, and so is a conversation, whose score is the mean of its turns.

predictions                              item_scores            item_groups
row_id  turn  group  score
c       0     d-7    1.0                 {"c": 0.75,            {"c": "d-7"}
c       1     d-7    0.5                  "q": 1.0}
q       0     null   1.0
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from distill_dagster.errors import DataError
from distill_dagster.evaluation.statistics import Floats, Sample

Groups = Mapping[str, str]  # row_id -> group, of the rows that have one


def item_scores(predictions: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """row_id -> score of the item: the mean of its scored turns. Rows without a scored turn are left out."""
    turns: dict[str, list[float]] = defaultdict(list)
    for row in predictions:
        if row["score"] is not None:
            turns[row["row_id"]].append(row["score"])
    return {row_id: math.fsum(scores) / len(scores) for row_id, scores in turns.items()}


def join_scores(scores: Mapping[str, Mapping[str, float]]) -> Floats:
    """Scores by role -> one row an item, one column a role (N, roles), in the order of the first role's items.

    Raises:
        DataError: the roles were scored on different items, or on none; the message names items that differ.
    """
    (first, ids), *rest = ((role, list(items)) for role, items in scores.items())
    for role, others in rest:
        missing, extra = sorted(set(ids) - set(others)), sorted(set(others) - set(ids))
        if missing or extra:
            raise DataError(
                f"{first} and {role} were not scored on the same items: "
                f"{len(missing)} only in {first} {_some(missing)}, {len(extra)} only in {role} {_some(extra)}; "
                "materialize both benchmarks again from one eval_dataset"
            )
    if not ids:
        raise DataError(f"{' and '.join(scores)} have no scored items; give the held-out rows references")
    return np.array([[items[i] for items in scores.values()] for i in ids], dtype=np.float64)


def _some(ids: list[str]) -> str:
    return f"({', '.join(map(repr, ids[:3]))}{', …' if len(ids) > 3 else ''})" if ids else ""


def item_groups(rows: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """row_id -> group of the rows that have one; older predictions have no such column, and so no groups."""
    return {row["row_id"]: row["group"] for row in rows if row.get("group") is not None}


def group_of(row: Mapping[str, Any]) -> str:
    """The group of a prediction row; that of a row without one is the row, to which all its turns belong."""
    return f"row {row['row_id']}" if row.get("group") is None else f"group {row['group']}"


def groups_of(ids: Iterable[str], groups: Groups | None) -> list[str] | None:
    """The group of each item, in order; one without a group is a group by itself. None if none has one."""
    names = list(ids)
    if not groups or groups.keys().isdisjoint(names):
        return None
    return [group_of({"row_id": name, "group": groups.get(name)}) for name in names]


def join_items(scores: Mapping[str, Mapping[str, float]], groups: Groups | None = None) -> Sample:
    """The items with their groups and one column of scores for each role, in order; DataError as in `join_scores`."""
    return Sample(join_scores(scores), groups_of(next(iter(scores.values())), groups))

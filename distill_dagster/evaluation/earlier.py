"""A student against an earlier one on the rows that both answered: the last report's student, or a released one.

Each report keeps its items (items.parquet), so that the next one can compare row by row, whatever became of the
earlier student's benchmark:

    row_id  group  task  teacher  baseline  student
    q-17    null   qa    1.0      0.0       1.0

Rows that only one of the two answered are counted and left out. One changed training row once moved a task's exact
match from 99.2 to 92.5 % while the retention still passed. So every task has its own interval, and Holm's p-value.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from distill_dagster.config import ROLES, Role
from distill_dagster.evaluation.differences import Difference, TaskDifference, difference, differences_by_task
from distill_dagster.evaluation.items import Groups, item_groups
from distill_dagster.store import parquet, schemas

Row = Mapping[str, Any]
Items = Sequence[Row]  # schemas.ITEM


class AgainstEarlier(BaseModel, frozen=True):
    """This student minus the earlier one, over all common items and by task."""

    created_at: str  # when the earlier student was reported, or released
    student: str  # the data version of the earlier student
    common: int  # items that both answered
    only_now: int
    only_earlier: int
    difference: Difference | None  # None: no item in common
    tasks: list[TaskDifference]


def items_of(scores: Mapping[Role, Mapping[str, float]], groups: Groups, tasks: Mapping[str, str]) -> list[Row]:
    """The items of a report, from scores by role and row_id, and the group and task of each row."""
    return [
        {"row_id": row_id, "group": groups.get(row_id), "task": tasks[row_id]}
        | {role: scores[role][row_id] for role in ROLES}
        for row_id in scores["student"]
    ]


def write_items(path: Path, items: Items) -> None:
    """Write items as a parquet file."""
    parquet.write_table(path, items, schemas.ITEM)


def read_items(path: Path) -> list[Row]:
    """The items in a parquet file."""
    return list(parquet.read_table(path))


def against_earlier(
    now: Items, earlier: Items, *, created_at: str, student: str, resamples: int, seed: int
) -> AgainstEarlier:
    """Compare the students of two reports on the row ids that both have, in the task that the row has now.

    A row's groups are those that it has now. Both are scored against the gold answers of their own report: where an
    item's gold answer was corrected, its difference shows that too.
    """
    ours, theirs = ({row["row_id"]: row["student"] for row in items} for items in (now, earlier))
    shared = [row for row in now if row["row_id"] in theirs]
    groups = item_groups(shared)
    first, second = ({row["row_id"]: scores[row["row_id"]] for row in shared} for scores in (ours, theirs))
    how: dict[str, Any] = {"resamples": resamples, "seed": seed, "groups": groups}
    tasks = {row["row_id"]: row["task"] for row in shared}
    return AgainstEarlier(
        created_at=created_at,
        student=student,
        common=len(shared),
        only_now=len(now) - len(shared),
        only_earlier=len(earlier) - len(shared),
        difference=difference(first, second, **how) if shared else None,
        tasks=differences_by_task(first, second, tasks, **how),
    )

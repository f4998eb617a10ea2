"""Which held-out rows a training row copies, as the validated set records it; a part of the report leaves them out."""

from collections.abc import Sequence
from typing import Any

from distill_dagster.config import DistillConfig
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.quality.specs import SetResult

SET = "validated_synthetic_set"


def copied_come_from(_: DistillConfig) -> Sequence[str]:
    """The artefact that records the copied rows."""
    return (SET,)


def copied_of(look: Snapshot) -> list[str] | None:
    """The ids of the copied rows; None if the set was made before they were recorded."""
    return look.get(SET).read(SetResult).contamination.copied_test_rows


def copied_input(look: Snapshot, _: str | None) -> dict[str, Any]:
    """The copied rows as an input of the report; nothing where there are none, as in older stores."""
    copied = copied_of(look)
    return {"copied_test_rows": copied} if copied else {}

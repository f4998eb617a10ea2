"""The processes that share one training: how many there are, which one this is, and what one finds for all.

launcher.py starts them by torchrun, which numbers them in the environment. Without it there is one process, the first.

    launcher --- rank 0     reports to Dagster Pipes, writes the artefact
             +-- rank 1     computes its share of each batch

Every rank runs the same worker up to the end of its training, where all but the first leave.
"""

import os
from collections.abc import Callable
from typing import Any, TypeVar

LAUNCHER = "DISTILL_LAUNCHER"  # the launcher's process id, in the environment of its ranks
REPORTED = 64  # exit status of a rank that wrote the error of a user into its error file

T = TypeVar("T")


class RankEnded(BaseException):
    """Ends a rank other than the first when its training has ended: there is nothing left for it to do."""


def launcher() -> int | None:
    """The process id of the launcher that started this process; None: it is not a rank."""
    value = os.environ.get(LAUNCHER)
    return None if value is None else int(value)


def count() -> int:
    """How many ranks there are. A `WORLD_SIZE` that another launcher set counts as none of ours."""
    return int(os.environ["WORLD_SIZE"]) if launcher() is not None else 1


def number() -> int:
    """The number of this rank, from 0 on."""
    return int(os.environ["RANK"]) if launcher() is not None else 0


def is_first() -> bool:
    """Whether this rank reports and writes."""
    return number() == 0


def join(device: str) -> str:
    """Connect the ranks, over gloo on a CPU and over NCCL on GPUs; this rank's own device."""
    from accelerate import PartialState

    state = PartialState(cpu=device == "cpu")
    return device if device == "cpu" else str(state.device)


def of_first(find: Callable[[], T]) -> T:
    """What `find` returns on the first rank, on every rank; the other ranks do not call it."""
    if count() == 1:
        return find()
    from accelerate.utils import broadcast_object_list

    found: list[Any] = [find() if is_first() else None]
    broadcast_object_list(found)
    return found[0]


def wait() -> None:
    """Wait until every rank has come here."""
    if count() > 1:
        from accelerate import PartialState

        PartialState().wait_for_everyone()


def leave_to_first() -> None:
    """Return on the first rank alone.

    Raises:
        RankEnded: on every other rank.
    """
    if not is_first():
        raise RankEnded

"""What a look at a store finds: what goes, and what stays for which reason.

Lot("version", 3, 41_200_000, 2026-01-02, 2026-03-01, None, ("raw_dataset/train-a 77b0…", …))      goes
Lot("version", 1, 2_100_000, 2026-01-02, 2026-01-02, "a released student comes from it")           stays
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

Kind = Literal["version", "unnamed file", "reply", "run", "tick"]


@dataclass(frozen=True, slots=True)
class Rules:
    """How old something has to be to go, seen from `now`."""

    now: datetime
    keep: int = 1  # newest versions of an artefact that stay, however old they are
    days: float = 30.0  # since a version was replaced, a run ended, a tick took place
    reply_days: float = 90.0  # since a row was found to be gone

    def is_old(self, since: datetime, days: float | None = None) -> bool:
        """Whether it is that long ago; by default `days`."""
        return self.now - since >= timedelta(days=self.days if days is None else days)


class Dated(NamedTuple):
    """One thing: its name, its bytes if they are known, and since when it is old."""

    name: str
    size: int | None
    since: datetime


@dataclass(frozen=True, slots=True)
class Lot:
    """Things of one kind that go, or stay for one reason."""

    kind: Kind
    count: int
    size: int | None  # bytes; None: not known
    oldest: datetime | None = None
    newest: datetime | None = None
    why: str | None = None  # they stay; None: they go
    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, kind: Kind, found: Iterable[Dated], why: str | None = None) -> "Lot":
        """The lot of these things."""
        things = sorted(found, key=lambda thing: thing.since)
        sizes = [thing.size for thing in things]
        size = None if None in sizes else sum(filter(None, sizes))
        names = tuple(thing.name for thing in things)
        oldest, newest = (things[0].since, things[-1].since) if things else (None, None)
        return cls(kind, len(things), size, oldest, newest, why, names)


@dataclass(frozen=True, slots=True)
class Part:
    """What was found of some kinds, and how what goes is deleted: `delete` returns what is gone."""

    lots: list[Lot]
    delete: Callable[[], list[Lot]]


def by_reason(kind: Kind, stays: Iterable[tuple[str, Dated]]) -> list[Lot]:
    """One lot for each reason."""
    reasons: dict[str, list[Dated]] = {}
    for why, thing in stays:
        reasons.setdefault(why, []).append(thing)
    return [Lot.of(kind, things, why) for why, things in reasons.items()]

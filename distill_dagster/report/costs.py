"""What a project's artefacts cost: money by what was paid for, and the machine's time by stage.

    the teacher's answers     1.20 USD           teacher_outputs        93.1 s on cpu, 4 artefacts
    the teacher's benchmark   no price given     student_checkpoint     412.7 GPU-seconds on cuda:0
    the judge of `best_of`    not recorded: an earlier version made it

The figures are of the present artefacts, whenever they were made and paid for. An earlier version of an artefact, a
failed run, and the time of one who waits are not among them.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel

from distill_dagster.store.manifest import Manifest
from distill_dagster.store.result import NOBODY, Billing, Usage
from distill_dagster.teachers.money import NO_PRICE, usd


class Bill(NamedTuple):
    """What may cost money in a stage, and the facts that say whether and how much."""

    stage: str
    what: str
    amount: str
    billing: str = "billing"
    is_optional: bool = False  # not every project has it


PAID_FOR = (  # timed replies are the benchmark's
    Bill("teacher_outputs", "the teacher's answers", "table_cost_usd"),
    Bill("teacher_outputs", "the judge of `best_of`", "judge_cost_usd", "judge_billing", is_optional=True),
    Bill("teacher_benchmark", "the teacher's benchmark", "cost_usd"),
    Bill("answer_judgement", "the judge of student and teacher", "cost_usd"),
)
LEAST_CERTAIN: tuple[Billing | None, ...] = (None, "priced", "no price", "local")  # the first one counts
LOCAL = "no money: it ran on this machine"
NOT_RECORDED = "not recorded: an earlier version made it"


class Spent(BaseModel, frozen=True):
    """What was paid for, and how much, as far as it is known."""

    what: str
    billing: Billing | None  # None: an earlier version did not record it
    usd: float | None  # None unless it is priced
    partial: bool = False  # a part of it has no price

    @property
    def words(self) -> str:
        """The amount, or why there is none."""
        if self.billing is None:
            return NOT_RECORDED
        if self.billing == "local":
            return LOCAL
        if self.usd is None:
            return NO_PRICE
        return usd(self.usd) + (f", {NO_PRICE} for a part" if self.partial else "")


class StageTime(BaseModel, frozen=True):
    """The time of a stage on its devices, over all its artefacts."""

    stage: str
    artefacts: int
    seconds: float
    gpu_seconds: float
    devices: list[str]

    @property
    def words(self) -> str:
        """The time, and where."""
        spent = f"{self.gpu_seconds:,.1f} GPU-seconds" if self.gpu_seconds else f"{self.seconds:,.1f} s"
        return f"{spent} on {' and '.join(self.devices)}"


class Costs(BaseModel, frozen=True):
    """Money and time."""

    spent: list[Spent]
    times: list[StageTime]

    @classmethod
    def of(cls, manifests: Iterable[Manifest]) -> "Costs":
        """From what the artefacts report."""
        manifests = list(manifests)
        return cls(spent=spent_on(manifests), times=stage_times(manifests))

    @property
    def seconds(self) -> float:
        """Of all stages."""
        return sum(stage.seconds for stage in self.times)

    @property
    def gpu_seconds(self) -> float:
        """Of all stages."""
        return sum(stage.gpu_seconds for stage in self.times)

    @property
    def usd(self) -> float | None:
        """All that has a price; None if nothing has one."""
        known = [one.usd for one in self.spent if one.usd is not None]
        return sum(known) if known else None


def spent_on(manifests: Iterable[Manifest]) -> list[Spent]:
    """What each stage that may ask an endpoint has cost."""
    facts: dict[str, list[Mapping[str, Any]]] = {}
    for manifest in manifests:
        facts.setdefault(manifest.asset, []).append(manifest.facts)
    return [_spent(bill, found) for bill in PAID_FOR if (found := _billed(bill, facts.get(bill.stage, [])))]


def _billed(bill: Bill, facts: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The facts of the artefacts that the bill is for."""
    if not bill.is_optional:
        return facts
    found = [fact for fact in facts if fact.get(bill.billing) != NOBODY]
    return found if any(fact.get(bill.billing) for fact in found) else []


def _spent(bill: Bill, facts: list[Mapping[str, Any]]) -> Spent:
    """The sum of what a stage's artefacts cost; it is only as certain as the least certain of them."""
    known: list[Billing | None] = [found.get(bill.billing) for found in facts]
    billing: Billing | None = min(known, key=LEAST_CERTAIN.index)
    paid = sum(found.get(bill.amount) or 0.0 for found in facts)
    usd = paid if billing == "priced" else None
    return Spent(what=bill.what, billing=billing, usd=usd, partial=usd is not None and "no price" in known)


def stage_times(manifests: Iterable[Manifest]) -> list[StageTime]:
    """The time of each stage, where it was recorded, in the order in which the manifests come."""
    found: dict[str, list[Usage]] = {}
    for manifest in manifests:
        if said := manifest.facts.get("usage"):
            found.setdefault(manifest.asset, []).append(Usage.model_validate(said))
    return [
        StageTime(
            stage=stage,
            artefacts=len(used),
            seconds=sum(usage.seconds for usage in used),
            gpu_seconds=sum(usage.gpu_seconds for usage in used),
            devices=list(dict.fromkeys(usage.device for usage in used)),
        )
        for stage, used in found.items()
    ]


def spent_rows(costs: Costs) -> list[tuple[str, str]]:
    """Lines of (what was paid for, how much)."""
    return [(one.what, one.words) for one in costs.spent]


def time_rows(costs: Costs) -> list[tuple[str, str, str]]:
    """Lines of (stage, artefacts, time and devices), and their sum."""
    rows = [(stage.stage, f"{stage.artefacts:,}", stage.words) for stage in costs.times]
    gpu = f", {costs.gpu_seconds:,.1f} GPU-seconds among them" if costs.gpu_seconds else ""
    artefacts = sum(stage.artefacts for stage in costs.times)
    return [*rows, ("all stages", f"{artefacts:,}", f"{costs.seconds:,.1f} s{gpu}")] if rows else []

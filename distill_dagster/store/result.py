"""What a worker takes and what it says of the artefact that it wrote: a frozen `Spec` and `Result` for each worker.

    class TrainResult(Result[TrainCounts]):     # counts: train_rows, validation_rows, steps …
        kept: str                      # which weights were kept

On disk a result is part of the manifest: its counts under `counts`, everything else under `facts`. `Manifest.read`
returns the typed result, also from a manifest that an older version of the package wrote: a new field takes its
default, and a field that no longer exists is ignored.
"""

from typing import Any, Generic, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict

from distill_dagster.config import Section


class Spec(Section):
    """What a worker takes: paths and config, never data or open models, so that it can run in another process."""

    @property
    def needs_device(self) -> bool:
        """Whether the work gains from a device; where it does not, none is leased."""
        return True

    @property
    def uses_ranks(self) -> bool:
        """Whether several processes can share the work, each on a device of its own."""
        return False

    @property
    def repeats(self) -> bool:
        """Whether the next spec of its kind is likely to use the same models, as that of the next shard does."""
        return False

    @property
    def target(self) -> str | None:
        """The folder that the worker fills; None if it writes no file."""
        return getattr(self, "out", None)

    def writing_to(self, folder: str) -> Self:
        """The same work, written into another folder."""
        return self.model_copy(update={"out": folder}) if self.target else self


class Counts(BaseModel):
    """Flat counts, such as numbers of rows. A subclass names the ones that code reads; any others, such as one for each
    reject code, are kept as extra fields."""

    model_config = ConfigDict(frozen=True, extra="allow")


C = TypeVar("C", bound=Counts)
ACCEPTED = "accepted"  # of `by_reason`


Billing = Literal["local", "no price", "priced"]  # whether replies cost money, and if it is known how much
NOBODY: Literal["nobody asked"] = "nobody asked"  # in place of a billing


class Usage(BaseModel):
    """The time, memory and library versions of a worker's run."""

    model_config = ConfigDict(frozen=True)

    device: str
    seconds: float
    gpu_seconds: float
    peak_memory_bytes: int  # of torch on the GPUs of this process; on a CPU its highest resident set. Of rank 0 only
    versions: dict[str, str] = {}


class Result(BaseModel, Generic[C]):
    """The base of all results, over its kind of counts."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    data_version: str  # hash of the content: equal means that nothing downstream is stale
    counts: C
    complete: bool = True  # False: usable, and to be made again by the next run, such as after requests that failed
    usage: Usage | None = None  # set by `workers.run_worker`
    leased: list[str] = []  # the devices that `Compute` leased
    launchpad: dict[str, Any] = {}  # settings of its run that differ from those of distill.yaml

    def by_reason(self) -> dict[str, int]:
        """Rows or answers of the artefact by what became of them: `accepted`, or the slug of a refusal."""
        return {}

    def with_usage(self, usage: Usage) -> Self:
        """The same result with the usage of its run."""
        return self.model_copy(update={"usage": usage})

    def with_lease(self, devices: list[str]) -> Self:
        """The same result with the devices that its run leased."""
        return self.model_copy(update={"leased": devices})

    def with_launchpad(self, settings: dict[str, Any]) -> Self:
        """The same result with the settings in which its run differed from distill.yaml, if there are any."""
        return self.model_copy(update={"launchpad": settings}) if settings else self

    def parts(self) -> tuple[dict[str, int], dict[str, Any]]:
        """`counts` and `facts` of the manifest, as JSON-able values."""
        not_run_by_a_worker = {"usage", "leased", "launchpad"} - self.model_fields_set
        document = self.model_dump(mode="json", exclude={"data_version", "complete"} | not_run_by_a_worker)
        return document.pop("counts"), document

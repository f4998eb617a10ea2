"""What a worker says of the artefact that it wrote: one frozen `Result` subclass a worker, beside the worker's spec.

    class TrainResult(Result):
        counts: TrainCounts            # train, validation, steps …
        kept: str                      # which weights were kept

On disk a result is part of the manifest: its counts under `counts`, everything else under `facts`. `Manifest.read`
gives the typed result back, whichever version of the package wrote it: a field that is new has its default, and one
that no longer exists is ignored.
"""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict


class Counts(BaseModel):
    """Numbers of rows and the like, flat. A subclass names those that code reads; others, such as one for each reject
    code, stand beside them."""

    model_config = ConfigDict(frozen=True, extra="allow")


class Usage(BaseModel):
    """What a worker's run used."""

    model_config = ConfigDict(frozen=True)

    device: str
    seconds: float
    gpu_seconds: float
    peak_memory_bytes: int  # of a GPU the most that torch held there; of a CPU the process's highest resident set
    versions: dict[str, str] = {}


class Result(BaseModel):
    """The base of all results."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    data_version: str  # hash of the content: equal means that nothing downstream is stale
    counts: Counts = Counts()
    complete: bool = True  # False: usable, and to be made again by the next run, such as after requests that failed
    usage: Usage | None = None  # `workers.run_worker` fills it in
    leased: list[str] = []  # the devices that `Compute` leased

    def with_usage(self, usage: Usage) -> Self:
        """The same result with what it used."""
        return self.model_copy(update={"usage": usage})

    def with_lease(self, devices: list[str]) -> Self:
        """The same result with the devices that were leased for it."""
        return self.model_copy(update={"leased": devices})

    def parts(self) -> tuple[dict[str, int], dict[str, Any]]:
        """`counts` and `facts` of the manifest, as JSON-able values."""
        not_run_by_a_worker = {"usage", "leased"} - self.model_fields_set
        document = self.model_dump(mode="json", exclude={"data_version", "complete"} | not_run_by_a_worker)
        return document.pop("counts"), document

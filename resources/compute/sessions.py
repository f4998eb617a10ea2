"""A worker as a Dagster Pipes session: what it is given and what it reports, in a child or on another machine.

A backend that runs workers on other machines, such as Ray, gives `persist` a function that runs one attempt. What it
needs of the cluster is its own. These are the same for all: the files of an attempt, the watch over its progress, what
is tried again, and the result.
"""

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from distill_dagster import errors
from distill_dagster.errors import ComputeError
from distill_dagster.progress import listen_to_points, to_listeners
from distill_dagster.remote.attempt import Attempt, new_attempt, new_job
from distill_dagster.remote.order import Ended
from distill_dagster.resources.compute.inline import Context
from distill_dagster.resources.compute.points import Messages, observer
from distill_dagster.store.result import Result, Spec
from distill_dagster.workers import WORKERS

LOOK_S = 15.0  # between two looks at the files of an attempt


class Lost(Exception):
    """An attempt ended, or is of no use any more, by no fault of the worker: its node died, it made no progress."""


def extras_of(worker: str, spec: Spec, gpus: int, ranks: int) -> dict[str, Any]:
    """What workers.py reads of the Pipes context."""
    device, *more = [f"cuda:{i}" for i in range(gpus)] or ["cpu"]
    document = spec.model_dump(mode="json")
    return {"worker": worker, "device": device, "more": more if ranks == 1 else [], "spec": document}


def result_of(worker: str, messages: Sequence[Any]) -> Result | None:
    """The worker's result; None if it reported none.

    Raises:
        UserError: the worker refused the spec; the error has the class and the message that it had there.
    """
    for message in messages:
        if "result" in message:
            return WORKERS[worker].result.model_validate(message["result"])
        if "error" in message:
            raise error_of(message)
    return None


def error_of(message: Mapping[str, str]) -> errors.UserError:
    """The error that a worker or a launcher reported."""
    return getattr(errors, message["error"], errors.UserError)(message["message"])


@contextlib.contextmanager
def session_of(
    context: Context, attempt: Attempt, worker: str, spec: Spec, gpus: int, ranks: int
) -> Iterator[dg.PipesSession]:
    """The session of an attempt: its context and messages are files that the other machine sees."""
    with (
        listen_to_points(observer(context)),
        dg.open_pipes_session(
            context=context.op_execution_context,
            context_injector=dg.PipesFileContextInjector(str(attempt.context)),
            message_reader=Messages(to_listeners(), attempt.messages),
            extras=extras_of(worker, spec.writing_to(str(attempt.out)), gpus, ranks),
        ) as session,
    ):
        yield session


def nodes_of(attempt: Attempt) -> list[str]:
    """The nodes that an attempt ran on."""
    return [where.node for where in attempt.started()]


def in_words(gpus: int, ranks: int) -> str:
    """What a worker gets of one node."""
    where = f"on {gpus} GPU(s)" if gpus else "on the CPU"
    return where if ranks == 1 else f"{where} in {ranks} processes"


def persist(
    context: Context,
    worker: str,
    spec: Spec,
    store: Path,
    retries: int,
    run: Callable[[Attempt], Result],
    lost_nodes: Callable[[Attempt], Sequence[str]] = nodes_of,
) -> Result:
    """The result of the first attempt that is not lost; what it wrote is then where the spec wants it.

    `lost_nodes` are those that lost an attempt, which later ones avoid.

    Raises:
        ComputeError: every attempt was lost.
    """
    with new_job(store) as job:
        number, avoided = 1, list[str]()
        while True:
            attempt = new_attempt(job, number, avoided)
            try:
                result = run(attempt)
            except Lost as e:
                where = " and ".join(map(str, attempt.started()))
                said = f"attempt {number} of {worker}{where and f' on {where}'} is lost: {e}"
                if number > retries:
                    raise ComputeError(f"{said}; {retries} retries are used up (`retries`)") from e
                context.log.warning(f"{said}; it is started again, and replies that were paid for are kept")
                avoided += lost_nodes(attempt)
                number += 1
                continue
            if spec.target:
                attempt.hand_over(Path(spec.target))
            return result.with_lease([device for where in attempt.started() for device in where.leased])


def result_from(worker: str, ended: Ended, messages: Sequence[Any]) -> Result:
    """The result of an attempt whose process has ended.

    Raises:
        UserError: the worker refused the spec.
        Lost: its machine killed it.
        ComputeError: it ended without a result.
    """
    if (result := result_of(worker, messages)) is not None:
        return result
    if ended.was_killed:
        raise Lost(f"its process was killed by signal {-ended.code}, as by a machine that shuts down or has no memory")
    raise ComputeError(f"{worker} ended without a result (exit status {ended.code}); its log is above")


class ProgressWatch:
    """Whether an attempt makes progress: a message, or growth of what it writes."""

    def __init__(self, attempt: Attempt, spec: Spec, minutes: float) -> None:
        work = getattr(getattr(spec, "train", spec), "work", None)
        self._folders = [attempt.folder, *([Path(work)] if work else [])]
        self._job, self._limit_s = attempt.folder.parent, minutes * 60
        self._seen, self._looked, self._moved = -1, 0.0, time.monotonic()

    def look(self) -> None:
        """Look, if the last look was long enough ago; also says that the step lives.

        Raises:
            Lost: there was no progress for too long.
        """
        now = time.monotonic()
        if now - self._looked < min(LOOK_S, self._limit_s / 4 or LOOK_S):
            return
        self._looked = now
        self.keep_job()
        if (seen := _bytes_in(self._folders)) != self._seen:
            self._seen, self._moved = seen, now
        elif self._limit_s and now - self._moved > self._limit_s:
            raise Lost(f"no message and no growth of its files for {self._limit_s / 60:g} minutes (`stalled_minutes`)")

    def keep_job(self) -> None:
        """Say that the step lives: other steps remove the folder of a job that was abandoned."""
        with contextlib.suppress(OSError):
            os.utime(self._job)


def _bytes_in(folders: Sequence[Path]) -> int:
    """Bytes of all files below, plus one for each file."""
    total = 0
    for folder in folders:
        for path in folder.rglob("*"):
            with contextlib.suppress(OSError):
                total += path.stat().st_size + 1
    return total

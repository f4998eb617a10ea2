"""The files of one attempt to run a worker on another machine, on storage that both machines see.

    store/.compute/3f2a…/         a job: one run of a worker
      alive                       the step touches it while it lives
      1/context                   the Pipes context of its first attempt: the worker's name and its spec
      1/messages                  what the worker reports, a line each
      1/out/                      what the worker writes; `hand_over` moves it to where the spec wants it
      1/started-0.json            the node that runs it, or the first of several
      1/failure-0                 what failed on the first of several nodes
      1/stop                      the step has given the attempt up

Every attempt writes into folders of its own: one that was given up may still run, on a machine that hangs or has lost
its network. The step touches the job's folder while it lives, and on a cluster whose work does not end with the step's
process also the file `alive`. What a killed step left is removed after a day.
"""

import contextlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from distill_dagster.errors import ComputeError

JOBS = ".compute"  # in the store
ALIVE = "alive"  # in a job
ABANDONED_S = 86_400
SEEN_WITHIN_S = 60.0  # until a file of another machine is seen whole: NFS caches sizes for 60 s at most


@dataclass(frozen=True, slots=True)
class Where:
    """The node that runs an attempt, and the GPUs that it has there."""

    node: str  # Ray's id
    host: str
    devices: tuple[str, ...] = ()

    @property
    def leased(self) -> list[str]:
        """The devices under names that tell nodes apart."""
        return [f"{self.host}/{device}" for device in self.devices]

    def __str__(self) -> str:
        return f"{self.host} ({', '.join(f'GPU {device}' for device in self.devices) or 'the CPU'})"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt; the first has number 1."""

    folder: Path
    number: int
    avoided: tuple[str, ...] = ()  # nodes that lost earlier attempts

    @property
    def context(self) -> Path:
        """The file of the Pipes context."""
        return self.folder / "context"

    @property
    def messages(self) -> Path:
        """The file of messages."""
        return self.folder / "messages"

    @property
    def out(self) -> Path:
        """The folder that the worker fills."""
        return self.folder / "out"

    @property
    def failure(self) -> Path:
        """The file of a failure on one of several nodes; its name ends with the node's number."""
        return self.folder / "failure"

    @property
    def alive(self) -> Path:
        """The file of the job whose time of change says that the step lives."""
        return self.folder.parent / ALIVE

    def start(self, where: Where, number: int = 0) -> None:
        """Say on which node the attempt runs, or which one is the node of this number; called there."""
        part = self.folder / f"started-{number}.part"
        part.write_text(json.dumps(asdict(where), allow_nan=False), encoding="utf-8")
        part.rename(part.with_suffix(".json"))

    def started(self) -> list[Where]:
        """The nodes that run it, by their numbers; [] before it starts."""
        found = []
        for path in sorted(self.folder.glob("started-*.json"), key=lambda path: int(path.stem.rpartition("-")[2])):
            said = json.loads(path.read_text(encoding="utf-8"))
            found.append(Where(said["node"], said["host"], tuple(said["devices"])))
        return found

    def failures(self) -> list[dict[str, str]]:
        """What failed on nodes, the first one first: the name of an error, and its words."""
        found = [path for path in self.folder.glob(f"{self.failure.name}-*") if path.suffix != ".part"]
        found.sort(key=lambda path: path.stat().st_mtime_ns)
        return [json.loads(path.read_text(encoding="utf-8")) for path in found]

    def give_up(self) -> None:
        """Tell whoever runs the attempt to end."""
        with contextlib.suppress(OSError):
            (self.folder / "stop").touch()

    @property
    def is_given_up(self) -> bool:
        """Whether the step has given the attempt up, or has removed its folder.

        Storage that does not answer says neither, so the worker goes on.
        """
        try:
            return not self.context.exists() or (self.folder / "stop").exists()
        except OSError:
            return False

    def wait_for_messages(self, size: int) -> None:
        """Return when this machine sees so many bytes of messages.

        Raises:
            ComputeError: it does not within a minute.
        """
        until = time.monotonic() + SEEN_WITHIN_S
        while (seen := _size(self.messages)) < size:
            if time.monotonic() > until:
                raise ComputeError(
                    f"the worker wrote {size:,} bytes into {self.messages}, and this machine sees {seen:,}: put the "
                    "store on storage that all machines share"
                )
            time.sleep(0.05)

    def hand_over(self, target: Path) -> None:
        """Move what the worker wrote to where the spec wants it."""
        target.mkdir(parents=True, exist_ok=True)
        for path in sorted(self.out.iterdir()):
            there = target / path.name
            if there.is_dir():
                shutil.rmtree(there)
            path.replace(there)


def _size(path: Path) -> int:
    """The size of a file, looked up at its server: opening it makes NFS forget what it knew."""
    with path.open("rb") as file:
        return os.fstat(file.fileno()).st_size


@contextlib.contextmanager
def new_job(store: Path) -> Iterator[Path]:
    """The folder of a job, which is removed at the end of the block."""
    jobs = store / JOBS
    jobs.mkdir(parents=True, exist_ok=True)
    for folder in jobs.iterdir():
        with contextlib.suppress(OSError):
            if time.time() - folder.stat().st_mtime > ABANDONED_S:
                shutil.rmtree(folder, ignore_errors=True)
    job = jobs / uuid.uuid4().hex
    job.mkdir()
    try:
        yield job
    finally:
        shutil.rmtree(job, ignore_errors=True)


def new_attempt(job: Path, number: int, avoided: Sequence[str] = ()) -> Attempt:
    """An attempt of a job, with empty folders; `avoided` are the nodes that lost earlier ones."""
    attempt = Attempt(job / str(number), number, tuple(avoided))
    attempt.out.mkdir(parents=True)
    attempt.messages.touch()
    return attempt

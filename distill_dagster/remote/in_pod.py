"""The process of a pod: it runs one attempt, and ends when the worker, the step or Kubernetes says so.

    python -m distill_dagster.remote.in_pod --attempt /project/store/.compute/3f2a…/1 --step 0.2.0 --ranks 1 …

Nothing ties a pod to the step that made it. So the step touches a file of the job while it lives, and this process ends
the worker when the file no longer changes. It compares what it sees at different times by its own clock: the clocks of
two machines may differ. When Kubernetes ends the pod (SIGTERM), the worker is interrupted first, as it is by a step.
The first option that is read is the step's version, because another version may have other options.

How the worker ended is in `ended.json` of the attempt. Without that file the exit status of the pod says why there is
none.
"""

import argparse
import contextlib
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from distill_dagster.remote.attempt import Attempt, Where
from distill_dagster.remote.gpus import machine_devices
from distill_dagster.remote.node import PACKAGE
from distill_dagster.remote.order import LOOK_S, Ended, WorkOrder, carry_out

NODE = "DISTILL_NODE"  # the node's name, in the environment of a pod
UNSEEN, OTHER_VERSION = 66, 78  # exit statuses: the pod does not see the store; its image has another version
FAILED, TERMINATED = 70, 143  # the worker failed; Kubernetes ended the pod
SEEN_WITHIN_S = 30.0  # until a folder that the step has just made is seen here


class StepWatch:
    """Whether the step still lives, by the file that it touches.

    A file that is missing does not change either: the step has removed it with its job. But storage that does not
    answer (EIO, ESTALE, a mount that hangs) says nothing of the step, and may well keep the step from touching the
    file. So its time does not count, and the patience begins again when it answers. A worker whose storage stays away
    fails with its own next read or write, and at the latest by `deadline_hours`.
    """

    def __init__(self, alive: Path, limit_s: float) -> None:
        self._alive, self._limit_s = alive, limit_s
        self._seen, self._moved = 0, time.monotonic()

    @property
    def is_dead(self) -> bool:
        """Whether the file has not changed for too long."""
        began = time.monotonic()
        try:
            seen = changed_at(self._alive)
        except OSError:
            self._moved = time.monotonic()
            return False
        now = time.monotonic()
        self._moved += now - began  # for which the look hung
        if seen != self._seen:
            self._seen, self._moved = seen, now
        return now - self._moved > self._limit_s


def changed_at(path: Path) -> int:
    """When a file was changed, by the clock of its server in ns; 0 if there is none.

    Opening it makes NFS forget what it knew.

    Raises:
        OSError: the storage does not answer.
    """
    with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
        return os.fstat(file.fileno()).st_mtime_ns
    return 0


def run_attempt(attempt: Attempt, ranks: int, orphan_s: float, grace_s: float) -> Ended:
    """Run the worker of an attempt here.

    A worker that is ended because Kubernetes ends the pod, or because the step seems dead, looks as if SIGTERM had
    ended it: by no fault of its own. A step that was only frozen then starts another attempt.
    """
    terminated, watch = threading.Event(), StepWatch(attempt.alive, orphan_s)
    signal.signal(signal.SIGTERM, lambda *_: terminated.set())

    def is_over() -> bool:
        if watch.is_dead:
            terminated.set()
        return terminated.is_set()

    ended = carry_out(WorkOrder(attempt, ranks, {}), _here(), grace_s, is_over)
    return Ended(-signal.SIGTERM, ended.messages) if terminated.is_set() and ended.code else ended


def _here() -> Where:
    """This node, and all GPUs that the pod sees: its device plugin hides the others."""
    node = os.environ.get(NODE) or socket.gethostname()
    return Where(node, node, tuple(machine_devices()))


def write_ended(attempt: Attempt, ended: Ended) -> None:
    """Say how the process of an attempt ended; nothing if the step has removed its folder."""
    part = attempt.folder / "ended.part"
    with contextlib.suppress(FileNotFoundError):
        part.write_text(json.dumps(asdict(ended), allow_nan=False), encoding="utf-8")
        part.rename(attempt.folder / "ended.json")


def read_ended(attempt: Attempt) -> Ended | None:
    """How the process of an attempt ended; None: it has not said so."""
    with contextlib.suppress(FileNotFoundError):
        return Ended(**json.loads((attempt.folder / "ended.json").read_text(encoding="utf-8")))
    return None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the attempt that the command line names."""
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    early.add_argument("--step", help="the step's version of the package")
    step = early.parse_known_args(arguments)[0].step
    if step and (own := version(PACKAGE)) != step:
        print(f"the image has {PACKAGE} {own}, and the step {step}", file=sys.stderr)
        return OTHER_VERSION
    program = "python -m distill_dagster.remote.in_pod"
    parser = argparse.ArgumentParser(prog=program, description="Run one attempt.", parents=[early])
    parser.add_argument("--attempt", type=Path, required=True, help="its folder in the store")
    parser.add_argument("--ranks", type=int, default=1)
    parser.add_argument("--orphan-s", type=float, required=True)
    parser.add_argument("--grace-s", type=float, required=True)
    given = parser.parse_args(arguments)
    attempt = Attempt(given.attempt, int(given.attempt.name))
    if not _sees(attempt):
        print(f"there is no {attempt.folder} in this pod", file=sys.stderr)
        return UNSEEN
    ended = run_attempt(attempt, given.ranks, given.orphan_s, given.grace_s)
    write_ended(attempt, ended)
    return 0 if ended.code == 0 else TERMINATED if ended.code == -signal.SIGTERM else FAILED


def _sees(attempt: Attempt) -> bool:
    until = time.monotonic() + SEEN_WITHIN_S
    while not attempt.context.exists():
        if time.monotonic() > until:
            return False
        time.sleep(LOOK_S)
    return True


if __name__ == "__main__":
    sys.exit(main())

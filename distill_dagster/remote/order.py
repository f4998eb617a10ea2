"""An order to run a worker, and the process that carries it out on the machine that gets it.

The worker is a child process, as with the backend `subprocess`: it sees the GPUs that it was given and no others, it
gives their memory back at its end, and a training in several ranks has its launcher. The kernel kills it when the
process that started it dies (Linux only).
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from distill_dagster.process import ATTEMPT, PARENT
from distill_dagster.remote.attempt import Attempt, Where

LOOK_S = 0.5  # between two looks whether the step has given the attempt up
GRACE_S = 7.0  # from then to SIGKILL
KILLED = (-signal.SIGKILL, -signal.SIGTERM)  # exit statuses of a worker that its machine ended


@dataclass(frozen=True, slots=True)
class WorkOrder:
    """What the step sends to the machine that runs an attempt."""

    attempt: Attempt
    ranks: int  # on this node
    environment: Mapping[str, str]  # of the worker, beside that of its machine
    nodes: int = 1  # that share the work
    node: int = 0
    meet: str = ""  # host:port, where several nodes meet

    def variables(self, where: Where) -> dict[str, str]:
        """The environment that the worker has beside its machine's."""
        return {**self.environment, **visible(where.devices), ATTEMPT: str(self.attempt.number)}

    @property
    def command(self) -> list[str]:
        """What runs the worker, or this node's part of it."""
        if self.nodes == 1:
            return command(self.ranks)
        seat = ["--nodes", str(self.nodes), "--node", str(self.node), "--meet", self.meet]
        launcher = [sys.executable, "-m", "distill_dagster.ranks.launcher", str(self.ranks)]
        return [*launcher, *seat, "--failure", str(self.attempt.failure)]


@dataclass(frozen=True, slots=True)
class Ended:
    """How the process of an attempt ended."""

    code: int
    messages: int  # bytes

    @property
    def was_killed(self) -> bool:
        """Whether the machine ended it, as it does when memory runs out or when it shuts down."""
        return self.code in KILLED


def command(ranks: int) -> list[str]:
    """What runs a worker under Dagster Pipes, in so many processes."""
    module = ["distill_dagster.workers"] if ranks == 1 else ["distill_dagster.ranks.launcher", str(ranks)]
    return [sys.executable, "-m", *module]


def visible(devices: Sequence[str]) -> dict[str, str]:
    """The environment in which CUDA sees these devices alone, under the numbers of nvidia-smi."""
    return {"CUDA_VISIBLE_DEVICES": ",".join(devices), "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}


def carry_out(
    order: WorkOrder, where: Where, grace_s: float = GRACE_S, is_over: Callable[[], bool] = lambda: False
) -> Ended:
    """Run the worker, and return when its process has ended.

    It is interrupted when the step has given the attempt up or `is_over()` is true, and killed `grace_s` seconds later.
    """
    order.attempt.start(where, order.node)
    own = {PARENT: str(os.getpid()), **order.variables(where)}
    child = subprocess.Popen(order.command, env={**os.environ, **own})
    try:
        while True:
            try:
                code = child.wait(LOOK_S)
                break
            except subprocess.TimeoutExpired:
                if is_over() or order.attempt.is_given_up:
                    end(child, grace_s)
    except BaseException:
        child.kill()
        raise
    return Ended(code, messages_of(order.attempt))


def end(child: subprocess.Popen, grace_s: float = GRACE_S) -> None:
    """Interrupt a worker, and kill it if it does not end."""
    child.send_signal(signal.SIGINT)
    try:
        child.wait(grace_s)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def messages_of(attempt: Attempt) -> int:
    """Bytes of messages; 0 if the step has removed the attempt."""
    return attempt.messages.stat().st_size if attempt.messages.exists() else 0

"""Starts the ranks of one worker by torchrun's agent, and ends with its parent; the ranks end with it.

    python -m distill_dagster.ranks.launcher 2      runs `python -m distill_dagster.workers` as ranks 0 and 1
    python -m distill_dagster.ranks.launcher 2 --nodes 3 --node 1 --meet 10.0.0.7:41231 --failure /store/…/failure
                                                    as ranks 2 and 3 of 6; node 0 listens at the address

It runs under Dagster Pipes, and rank 0 reports there. If a rank fails, the agent ends the others, and the launcher
reports the first failure. On several nodes it leaves the failure in a file instead: a rank that only lost the others
fails too, and the step alone can tell which node failed first. A signal to the launcher goes to every rank, which may
write a checkpoint before it ends.
"""

import argparse
import json
import os
import sys
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill_dagster.process import PARENT, end_with_parent
from distill_dagster.ranks.failure import report_of
from distill_dagster.ranks.group import LAUNCHER, REPORTED

GRACE_S = 60  # for a checkpoint, from a signal to the launcher until the ranks are killed
MEET_S = 600  # until the launchers of all nodes have met
TIMEOUT_VARIABLE = "TORCH_ELASTIC_SHUTDOWN_TIMEOUT"


@dataclass(frozen=True, slots=True)
class Seat:
    """The place of this launcher among those of several nodes."""

    node: int
    nodes: int
    meet: str  # host:port at which the launcher of node 0 listens
    failure: Path  # where a failure is left

    @property
    def agent(self) -> dict[str, Any]:
        """The settings of torchrun's agent."""
        host, _, _ = self.meet.rpartition(":")
        return {
            "min_nodes": self.nodes,
            "max_nodes": self.nodes,
            "run_id": self.meet,
            "rdzv_backend": "static",
            "rdzv_endpoint": self.meet,
            "rdzv_configs": {"rank": self.node, "timeout": MEET_S},
            "local_addr": host if self.node == 0 else None,
        }


ALONE: dict[str, Any] = {
    "min_nodes": 1,
    "max_nodes": 1,
    "rdzv_backend": "c10d",
    "rdzv_endpoint": "localhost:0",
    "local_addr": "localhost",
}


def launch(ranks: int, seat: Seat | None = None) -> int:
    """Run the worker as so many processes of this machine; the exit status for Pipes."""
    from torch.distributed.elastic.multiprocessing.api import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    own = str(os.getpid())
    os.environ.update({LAUNCHER: own, PARENT: own})
    os.environ.setdefault(TIMEOUT_VARIABLE, str(GRACE_S))
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // ranks)))
    agent = seat.agent if seat else {**ALONE, "run_id": str(uuid.uuid4())}
    # torchrun would leave its own folder of error files behind, after a success too
    with tempfile.TemporaryDirectory(prefix="distill-ranks-", ignore_cleanup_errors=True) as logs:
        config = LaunchConfig(nproc_per_node=ranks, max_restarts=0, logs_specs=DefaultLogsSpecs(log_dir=logs), **agent)
        try:
            elastic_launch(config, sys.executable)("-m", "distill_dagster.workers")
        except ChildFailedError as e:
            rank, failure = e.get_first_failure()
            report = report_of(rank, failure.exitcode, failure.error_file)
            return _leave(report, seat) if seat else _report(report)
        except SignalException as e:
            return 128 + e.sigval
    return 0


def _report(message: dict[str, str]) -> int:
    """Report a failure to Pipes, whose client would drop it if the exit status were not 0."""
    from dagster_pipes import open_dagster_pipes

    with open_dagster_pipes() as pipes:
        pipes.report_custom_message(message)
    return 0


def _leave(report: dict[str, str], seat: Seat) -> int:
    """Leave a failure to the step."""
    own = seat.failure.with_name(f"{seat.failure.name}-{seat.node}")
    part = own.with_name(f"{own.name}.part")
    part.write_text(json.dumps(report, allow_nan=False), encoding="utf-8")
    part.rename(own)
    return REPORTED


def main() -> int:
    """Read the command line, and launch."""
    parser = argparse.ArgumentParser(prog="python -m distill_dagster.ranks.launcher")
    parser.add_argument("ranks", type=int, help="processes on this node")
    parser.add_argument("--nodes", type=int, default=1)
    parser.add_argument("--node", type=int, default=0)
    parser.add_argument("--meet", help="host:port")
    parser.add_argument("--failure", type=Path)
    own = parser.parse_args()
    return launch(own.ranks, Seat(own.node, own.nodes, own.meet, own.failure) if own.nodes > 1 else None)


if __name__ == "__main__":
    end_with_parent()
    sys.exit(main())

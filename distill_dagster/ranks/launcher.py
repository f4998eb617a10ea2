"""Starts the ranks of one worker by torchrun's agent, and ends with its parent; the ranks end with it.

    python -m distill_dagster.ranks.launcher 2      runs `python -m distill_dagster.workers` as ranks 0 and 1

It runs under Dagster Pipes, and rank 0 reports there. If a rank fails, the agent ends the others, and the launcher
reports the first failure. A signal to the launcher goes to every rank, which may write a checkpoint before it ends.
"""

import os
import sys
import uuid

from distill_dagster.process import PARENT, end_with_parent
from distill_dagster.ranks.failure import report_of
from distill_dagster.ranks.group import LAUNCHER

GRACE_S = 60  # for a checkpoint, from a signal to the launcher until the ranks are killed
TIMEOUT_VARIABLE = "TORCH_ELASTIC_SHUTDOWN_TIMEOUT"


def launch(ranks: int) -> int:
    """Run the worker as so many processes of this machine; the exit status for Pipes."""
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    own = str(os.getpid())
    os.environ.update({LAUNCHER: own, PARENT: own})
    os.environ.setdefault(TIMEOUT_VARIABLE, str(GRACE_S))
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // ranks)))
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=ranks,
        run_id=str(uuid.uuid4()),
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        local_addr="localhost",
        max_restarts=0,
    )
    try:
        elastic_launch(config, sys.executable)("-m", "distill_dagster.workers")
    except ChildFailedError as e:
        rank, failure = e.get_first_failure()
        return _report(report_of(rank, failure.exitcode, failure.error_file))
    except SignalException as e:
        return 128 + e.sigval
    return 0


def _report(message: dict[str, str]) -> int:
    """Report a failure to Pipes, whose client would drop it if the exit status were not 0."""
    from dagster_pipes import open_dagster_pipes

    with open_dagster_pipes() as pipes:
        pipes.report_custom_message(message)
    return 0


if __name__ == "__main__":
    end_with_parent()
    sys.exit(launch(int(sys.argv[1])))

"""Runs a worker in a Dagster Pipes child, which sees only the leased devices and dies with its run.

A training on several devices has a child that starts one process for each (ranks/launcher.py).
"""

import os

import dagster as dg

from distill_dagster.errors import ComputeError
from distill_dagster.process import PARENT
from distill_dagster.progress import listen_to_points, to_listeners
from distill_dagster.remote.order import command, visible
from distill_dagster.resources.compute.inline import Context
from distill_dagster.resources.compute.points import Messages, observer
from distill_dagster.resources.compute.sessions import extras_of, result_of
from distill_dagster.store.result import Result, Spec
from distill_dagster.telemetry import handed

GRACE_S = 90  # from the end of a run to that of its child, which may write a checkpoint; above that of the ranks


def run_subprocess(context: Context, worker: str, spec: Spec, devices: list[str], ranks: int = 1) -> Result:
    """Run a worker in a child process, or in `ranks` of them, and return its result.

    Raises:
        UserError: the worker refused the spec; the error has the class and the message that it had in the child.
        ComputeError: the child ended without a result.
    """
    with listen_to_points(observer(context)):
        reader = Messages(to_listeners())
    invocation = dg.PipesSubprocessClient(message_reader=reader, termination_timeout_seconds=GRACE_S).run(
        context=context.op_execution_context,
        command=command(ranks),
        env={**visible(devices), **handed(), PARENT: str(os.getpid())},
        extras=extras_of(worker, spec, len(devices), ranks),
    )
    result = result_of(worker, invocation.get_custom_messages())
    if result is None:
        raise ComputeError(f"{worker} ended without a result; its log is above")
    return result

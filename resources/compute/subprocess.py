"""Runs a worker in a Dagster Pipes child, which sees only the leased devices and dies with its run.

A training on several devices has a child that starts one process for each (ranks/launcher.py).
"""

import os
import sys

import dagster as dg

from distill_dagster import errors
from distill_dagster.process import PARENT
from distill_dagster.resources.compute.inline import Context
from distill_dagster.resources.compute.points import Messages, observer
from distill_dagster.store.result import Result, Spec
from distill_dagster.workers import WORKERS

GRACE_S = 90  # from the end of a run to that of its child, which may write a checkpoint; above that of the ranks


def run_subprocess(context: Context, worker: str, spec: Spec, devices: list[str], ranks: int = 1) -> Result:
    """Run a worker in a child process, or in `ranks` of them, and return its result.

    Raises:
        UserError: the worker refused the spec; the error has the class and the message that it had in the child.
        ComputeError: the child ended without a result.
    """
    module = ["distill_dagster.workers"] if ranks == 1 else ["distill_dagster.ranks.launcher", str(ranks)]
    device, *more = [f"cuda:{i}" for i in range(len(devices))] or ["cpu"]
    own = {"worker": worker, "device": device, "more": more if ranks == 1 else [], "spec": spec.model_dump(mode="json")}
    visible = {"CUDA_VISIBLE_DEVICES": ",".join(devices), "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    reader = Messages(observer(context))
    invocation = dg.PipesSubprocessClient(message_reader=reader, termination_timeout_seconds=GRACE_S).run(
        context=context.op_execution_context,
        command=[sys.executable, "-m", *module],
        env={**visible, PARENT: str(os.getpid())},
        extras=own,
    )
    for message in invocation.get_custom_messages():
        if "result" in message:
            return WORKERS[worker].result.model_validate(message["result"])
        if "error" in message:
            raise getattr(errors, message["error"], errors.UserError)(message["message"])
    raise errors.ComputeError(f"{worker} ended without a result; its log is above")

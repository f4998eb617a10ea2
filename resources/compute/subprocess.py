"""Runs a worker in a Dagster Pipes child, which sees only the leased devices and dies with its run."""

import sys

import dagster as dg

from distill_dagster import errors
from distill_dagster.resources.compute.inline import Context
from distill_dagster.resources.compute.points import Messages, observer
from distill_dagster.store.result import Result, Spec
from distill_dagster.workers import WORKERS


def run_subprocess(context: Context, worker: str, spec: Spec, devices: list[str]) -> Result:
    """Run a worker in a child process and return its result.

    Raises:
        UserError: the worker refused the spec; the error has the class and the message that it had in the child.
        ComputeError: the child ended without a result.
    """
    invocation = dg.PipesSubprocessClient(message_reader=Messages(observer(context))).run(
        context=context.op_execution_context,
        command=[sys.executable, "-m", "distill_dagster.workers"],
        env={"CUDA_VISIBLE_DEVICES": ",".join(devices), "CUDA_DEVICE_ORDER": "PCI_BUS_ID"},
        extras={"worker": worker, "device": "cuda:0" if devices else "cpu", "spec": spec.model_dump(mode="json")},
    )
    for message in invocation.get_custom_messages():
        if "result" in message:
            return WORKERS[worker].result.model_validate(message["result"])
        if "error" in message:
            raise getattr(errors, message["error"], errors.UserError)(message["message"])
    raise errors.ComputeError(f"{worker} ended without a result; its log is above")

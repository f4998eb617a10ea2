"""The backend `k8s`: one run of a worker in a pod of a Kubernetes cluster, made by the process of the step."""

from pathlib import Path
from typing import Any

from distill_dagster.config import Need
from distill_dagster.remote.attempt import Attempt
from distill_dagster.resources.compute.inline import Context
from distill_dagster.resources.compute.k8s.api import connect, patiently
from distill_dagster.resources.compute.k8s.following import run_pod
from distill_dagster.resources.compute.k8s.pod import RUN, STEP, Wanted, build_pod, ranks_of
from distill_dagster.resources.compute.k8s.settings import K8sSettings, require_fit
from distill_dagster.resources.compute.k8s.ties import owner_of, showing_life, sweep
from distill_dagster.resources.compute.sessions import ProgressWatch, in_words, persist, result_from, session_of
from distill_dagster.store.result import Result, Spec
from distill_dagster.telemetry import handed

LONGEST_LABEL = 63


def run_in_pod(context: Context, worker: str, spec: Spec, need: Need, settings: dict[str, Any]) -> Result:
    """Run a worker in a pod with the need's GPUs, again in another if that is lost, and return its result.

    Raises:
        UserError: the worker refused the spec.
        ComputeError: no cluster answers, no pod can run there, or every attempt was lost.
    """
    own = K8sSettings.model_validate(settings)
    require_fit(own)
    api = connect(own.context, own.namespace)
    if swept := patiently(lambda: sweep(api, own)):
        context.log.warning(f"deleted {', '.join(swept)}: pods whose step was killed")
    owner, labels = patiently(lambda: owner_of(api)), _labels(context)
    ranks = ranks_of(need, spec.uses_ranks)

    def run(attempt: Attempt) -> Result:
        with (
            session_of(context, attempt, worker, spec, need.gpus, ranks) as session,
            showing_life(attempt, own.orphan_s),
        ):
            wanted = Wanted(
                attempt=attempt,
                worker=worker,
                need=need,
                pod=own.pod_of(spec.needs_device),
                ranks=ranks,
                pipes={**handed(), **session.get_bootstrap_env_vars()},
                labels=labels,
                owner=owner,
                avoided=attempt.avoided,
            )
            pod = build_pod(own, wanted)
            context.log.info(f"{worker} runs in the pod {pod['metadata']['name']}, {in_words(need.gpus, ranks)}")
            watch = ProgressWatch(attempt, spec, own.stalled_minutes)
            ended = run_pod(api, pod, wanted, watch, own, context.log.warning)
            attempt.wait_for_messages(ended.messages)
        return result_from(worker, ended, session.get_custom_messages())

    return persist(context, worker, spec, Path(own.store), own.retries, run)


def _labels(context: Context) -> dict[str, str]:
    """The labels that say which run and step of Dagster made a pod."""
    step = context.op_execution_context.op.name
    return {RUN: context.op_execution_context.run_id, STEP: step[:LONGEST_LABEL].strip("_")}

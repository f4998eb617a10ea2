"""The preflight: every requirement of the steps that a run would make, looked at before anything is spent.

`plan` and unattended runs look at what this machine shows at once: keys, folders of models, packages, devices, disk.
`plan` also plans the memory of trainings. `check` and `run` look at the whole: they send one request to each endpoint
too, ask the hub, read tokenizers, sketch new models with transformers, look for CUDA, and write a test file.
With `compute.backend: ray`, all of them ask the cluster's nodes what this machine is asked otherwise; with `k8s`, they
ask the API whether it would make the pods.
"""

from collections.abc import Sequence

from distill_dagster.lineage.endpoints import endpoints_of
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.planning.plan import asks_anything
from distill_dagster.planning.steps import Step
from distill_dagster.preflight.cluster import Cluster, runs_there
from distill_dagster.preflight.devices import Here, device_requirements
from distill_dagster.preflight.endpoints import endpoint_requirements
from distill_dagster.preflight.exports import export_requirements
from distill_dagster.preflight.kubernetes import Pods
from distill_dagster.preflight.licences import licence_requirements
from distill_dagster.preflight.models import Models
from distill_dagster.preflight.packages import package_requirements
from distill_dagster.preflight.pairing import pairing_requirements
from distill_dagster.preflight.pending import Pending
from distill_dagster.preflight.places import place_requirements
from distill_dagster.preflight.publishing import publish_requirements
from distill_dagster.preflight.requirement import Requirement, errors_of
from distill_dagster.preflight.rows import row_requirements


def preflight(
    look: Snapshot,
    steps: Sequence[Step],
    *,
    whole: bool,
    plans_memory: bool | None = None,
    until: str | None = None,
    asks: bool | None = None,
) -> list[Requirement]:
    """What the steps that are not up to date need, and whether it is there; nothing if all are up to date.

    `plans_memory` says whether the memory of trainings is planned, which imports transformers; if it is None, the whole
    look does.
    `until` is the last stage that a run would make. `asks` says whether a request is new; if it is None, the stored
    replies are searched until one is. Without a new request, no key and no endpoint is needed.
    """
    pending = Pending.of(look.config, steps, until)
    if not pending.stages:
        return []
    models = Models(look, whole)
    models.inspect(pending)
    if not errors_of(models.found):
        models.found += pairing_requirements(pending, models.parameters, whole=whole)
    endpoints = pending.endpoints
    if endpoints and not (asks_anything(look, pending.steps) if asks is None else asks):
        endpoints = endpoints_of("answer_judgement", look.config) if "answer_judgement" in pending.stages else []
    cluster = _cluster(look, pending, whole) if runs_there(pending) else None
    plans = whole if plans_memory is None else plans_memory
    hardware = cluster or Here(look.config.compute)
    return [
        *place_requirements(look, pending, models.parameters, write=whole),
        *models.found,
        *licence_requirements(pending),
        *row_requirements(look, pending),
        *package_requirements(pending),
        *export_requirements(pending, whole=whole),
        *publish_requirements(pending, whole=whole),
        *(cluster.requirements() if cluster else []),
        *(device_requirements(pending, models, hardware, whole, plans) if not cluster or cluster.is_up else []),
        *endpoint_requirements(look, endpoints, ask=whole),
    ]


def _cluster(look: Snapshot, pending: Pending, whole: bool) -> Cluster | Pods:
    return Pods(look, pending) if pending.config.compute.backend == "k8s" else Cluster(look, pending, whole)

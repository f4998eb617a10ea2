"""What a backend that runs workers on other machines gets of the config: its section, the store, names of variables."""

from typing import Any

from distill_dagster.config import DistillConfig, EndpointConfig
from distill_dagster.lineage.endpoints import endpoints_of
from distill_dagster.lineage.stages import STAGES


def cluster_settings(config: DistillConfig, kind: str) -> dict[str, Any]:
    """The settings of `compute.backend` for one kind of work; {} if it runs workers on this machine."""
    compute, store, secrets = config.compute, str(config.local_root), secret_variables(config)
    if compute.backend == "ray":
        variables = list(dict.fromkeys([*compute.ray.env, *secrets]))
        return {**compute.ray.model_dump(), "store": store, "variables": variables}
    if compute.backend == "k8s":
        return {**compute.k8s.model_dump(exclude_none=True), "store": store, "kind": kind, "secrets": secrets}
    return {}


def secret_variables(config: DistillConfig) -> list[str]:
    """The environment variables with keys and header values, of every endpoint that a stage asks."""
    asked = [endpoint for name in STAGES for endpoint in endpoints_of(name, config)]
    return list(dict.fromkeys(name for endpoint in asked for name in _variables(endpoint)))


def _variables(endpoint: EndpointConfig) -> list[str]:
    values = [value for value in (endpoint.organization, endpoint.project, *endpoint.headers.values()) if value]
    keys = [endpoint.api_key] if endpoint.api_key else []
    return keys + [value[1:] for value in values if value.startswith("$")]

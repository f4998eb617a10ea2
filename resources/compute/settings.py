"""What a backend that runs workers on other machines gets of the config: its section, the store, names of variables."""

from typing import Any

from distill_dagster.config import DistillConfig, EndpointConfig
from distill_dagster.lineage.endpoints import endpoints_of
from distill_dagster.lineage.stages import STAGES


def cluster_settings(config: DistillConfig) -> dict[str, Any]:
    """The settings of `compute.backend`; {} if it runs workers on this machine."""
    if config.compute.backend != "ray":
        return {}
    handed = [*config.compute.ray.env, *secret_variables(config)]
    store, variables = str(config.local_root), list(dict.fromkeys(handed))
    return {**config.compute.ray.model_dump(), "store": store, "variables": variables}


def secret_variables(config: DistillConfig) -> list[str]:
    """The environment variables with keys and header values, of every endpoint that a stage asks."""
    asked = [endpoint for name in STAGES for endpoint in endpoints_of(name, config)]
    return list(dict.fromkeys(name for endpoint in asked for name in _variables(endpoint)))


def _variables(endpoint: EndpointConfig) -> list[str]:
    values = [value for value in (endpoint.organization, endpoint.project, *endpoint.headers.values()) if value]
    keys = [endpoint.api_key] if endpoint.api_key else []
    return keys + [value[1:] for value in values if value.startswith("$")]

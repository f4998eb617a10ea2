"""`compute.ray:` - the Ray cluster on which the backend `ray` runs workers."""

from pydantic import Field

from distill_dagster.config.cluster import retries_field, stalled_field
from distill_dagster.config.section import Section


class RayConfig(Section):
    """The Ray cluster of `compute.backend: ray`, see docs/clusters.md.

    The machine of the step is a node of the cluster, with or without resources of its own. Ray reads a token from
    variables of its own (`RAY_AUTH_MODE`, `RAY_AUTH_TOKEN`, `RAY_AUTH_TOKEN_PATH`).
    """

    address: str = Field(
        default="auto",
        pattern=r"^(auto|[A-Za-z0-9._-]+:[0-9]{1,5})$",
        description="Host and port of the head (`10.0.0.1:6379`). `auto`: `RAY_ADDRESS`, else the cluster whose node "
        "runs on this machine.",
    )
    retries: int = retries_field(after="its node died")
    stalled_minutes: float = stalled_field()
    keep_workers_s: float = Field(
        default=0.0,
        ge=0,
        le=86_400,
        description="Seconds that an idle worker of the teacher's answers and logits keeps its models and GPUs for the "
        "next shard. 0: a new process for each shard.",
    )
    env: list[str] = Field(
        default=[],
        description="Names of environment variables whose values are handed from the step to its workers, beside the "
        "keys and headers that endpoints name. Workers have the environment of their node otherwise.",
    )

"""What makes an endpoint's model the same teacher: what would answer differently is another one."""

from distill_dagster.config import EndpointConfig
from distill_dagster.records import canonical_json, sha256

SHAPING = {"url", "model", "revision", "top_logprobs", "extra_body", "json_mode"}  # fields of an endpoint that do
REVISION_CHARACTERS = 12


def revision_of(endpoint: EndpointConfig) -> str:
    """A stand-in for a revision that nobody gave: a hash of what shapes the answers."""
    return sha256(canonical_json(endpoint.model_dump(include=SHAPING)))[:REVISION_CHARACTERS]

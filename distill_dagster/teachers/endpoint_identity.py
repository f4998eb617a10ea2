"""What makes an endpoint's model the same teacher: what would answer differently is another one."""

from distill_dagster.config import EndpointConfig
from distill_dagster.config.teacher import SHAPING
from distill_dagster.store.hashing import canonical_json, sha256

REVISION_CHARACTERS = 12


def revision_of(endpoint: EndpointConfig) -> str:
    """A stand-in for a revision that nobody gave: a hash of what shapes the answers."""
    return sha256(canonical_json(endpoint.model_dump(include=SHAPING)))[:REVISION_CHARACTERS]

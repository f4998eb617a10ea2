"""What a provider says of a batch, read from the JSON of OpenAI's batch object.

    {"id": "batch_3", "status": "in_progress", "request_counts": {"total": 20, "completed": 12, "failed": 0}, …}

Only an id and a status are needed; any other field that is missing, or of another type, is as if it were not there.
"""

from dataclasses import dataclass
from typing import Any

COUNTS = ("completed", "failed", "total")


@dataclass(frozen=True, slots=True)
class BatchState:
    """A batch as its provider sees it at a moment."""

    id: str
    status: str  # in small letters
    metadata: dict[str, Any]
    errors: list[dict[str, Any]]
    input_file_id: str | None
    output_file_id: str | None
    error_file_id: str | None
    created_at: float | None  # seconds since 1970
    ended_at: float | None
    completed: int = 0
    failed: int = 0
    total: int = 0

    @property
    def milliseconds(self) -> float:
        """The time that it took, by the provider's clock; 0 if that is not known."""
        if self.ended_at is None or not self.created_at:
            return 0.0
        return max(0.0, (self.ended_at - self.created_at) * 1000.0)


def read_state(body: Any) -> BatchState:
    """The state in a body.

    Raises:
        ValueError: the body has no id or no status.
    """
    given = body if isinstance(body, dict) else {}
    name, status = _text(given, "id"), _text(given, "status")
    if name is None or status is None:
        raise ValueError("a batch without an id or a status")
    counts, errors = given.get("request_counts"), given.get("errors")
    listed = errors.get("data") if isinstance(errors, dict) else errors
    ends = (_number(given, field) for field in ("completed_at", "expired_at", "cancelled_at"))
    return BatchState(
        id=name,
        status=status.casefold(),
        metadata=given["metadata"] if isinstance(given.get("metadata"), dict) else {},
        errors=[error for error in listed if isinstance(error, dict)] if isinstance(listed, list) else [],
        input_file_id=_text(given, "input_file_id"),
        output_file_id=_text(given, "output_file_id"),
        error_file_id=_text(given, "error_file_id"),
        created_at=_number(given, "created_at"),
        ended_at=next((end for end in ends if end), None),
        **{field: int(_number(counts, field) or 0) if isinstance(counts, dict) else 0 for field in COUNTS},
    )


def _text(given: dict[str, Any], name: str) -> str | None:
    value = given.get(name)
    return value if isinstance(value, str) and value else None


def _number(given: dict[str, Any], name: str) -> float | None:
    value = given.get(name)
    return value if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 2**53 else None

"""Bytes that once ended a target with another error than a UserError."""

WHOLE = (
    b'{"asset": "a", "shard": null, "fingerprint": "f", "data_version": "d", "inputs": {}, "counts": {}, "facts": {}, '
    b'"files": {}, "version": "v", "created_at": "2026-01-01T00:00:00+00:00", %s}'
)
CASES = [
    ("manifest", b"[]"),
    ("manifest", b"{}"),
    ("manifest", b'{"version": 1, "files": {}}'),
    ("manifest", WHOLE % b'"files_at": null'),
    ("manifest", WHOLE % b'"complete": "no"'),
    ("journal", b"[]\n"),
    ("journal", b'{"no": "reply"}\n'),
    ("journal", b'{"request_hash": "\\ud800", "text": "4", "finish_reason": "a"}\n'),
    ("journal", b'{"request_hash": "a", "text": "4", "finish_reason": "a", "cost_usd": Infinity}\n'),
    ("report", b"[]"),
    ("report", b"{}"),
    ("report", b"no JSON"),
]

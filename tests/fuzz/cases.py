"""Bytes that once ended a target with another error than a UserError."""

CASES = [
    ("manifest", b"[]"),
    ("manifest", b"{}"),
    ("manifest", b'{"version": 1, "files": {}}'),
    ("journal", b"[]\n"),
    ("journal", b'{"no": "reply"}\n'),
    ("journal", b'{"request_hash": "\\ud800", "text": "4", "finish_reason": "a"}\n'),
    ("journal", b'{"request_hash": "a", "text": "4", "finish_reason": "a", "cost_usd": Infinity}\n'),
    ("report", b"[]"),
    ("report", b"{}"),
    ("report", b"no JSON"),
]

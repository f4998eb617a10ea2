"""Bytes that once ended a target with another error than a UserError."""

CASES = [
    ("manifest", b"[]"),
    ("manifest", b"{}"),
    ("manifest", b'{"version": 1, "files": {}}'),
    ("journal", b"[]\n"),
    ("journal", b'{"no": "reply"}\n'),
    ("report", b"[]"),
    ("report", b"{}"),
    ("report", b"no JSON"),
]

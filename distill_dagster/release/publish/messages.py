"""What the error of a place's client says: its first line, without secrets.

    first_line(error, secrets)    "Incorrect token: ***", of an error whose text has a token, and a trace below it

The error of a client can hold requests, with their headers. So a PublishError is raised `from None`, and quotes this.
"""

from collections.abc import Iterable

from distill_dagster.teachers.secrets import hide_key


def first_line(error: Exception, secrets: Iterable[str]) -> str:
    """The first line of an error's text, or the name of its class."""
    lines = str(error).strip().splitlines()
    return hide_key(lines[0] if lines else type(error).__name__, *secrets)

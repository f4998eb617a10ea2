"""Handing a message to Slack, Teams, mail, a webhook and the like, by Apprise URLs.

    DISTILL_ALERT_URLS="slack://TokenA/TokenB/TokenC/#ml-ops mailtos://user:password@mail.example.org?to=oncall@example.org"

    addresses(os.environ, "DISTILL_ALERT_URLS")       {"1 slack": "slack://…", "2 mailtos": "mailtos://…"}

The URLs hold secrets. An address is therefore known by its place in the variable and its scheme, which is all that is
stored, logged or shown. Before one is used, the loggers of Apprise and of what it sends with are closed, whose debug
lines hold whole URLs; what Apprise says of a failure is passed on without any part of the URL.
"""

import contextlib
import logging
import re
from collections.abc import Iterator, Mapping
from urllib.parse import unquote

from distill_dagster.alerts.message import Message
from distill_dagster.redaction import redact

SEPARATOR = re.compile(r"[\s,]+(?=[A-Za-z][A-Za-z0-9+.-]*://)")
SECRET_CHARACTERS = 4  # parts of a URL that are shorter are no secrets, and words of any sentence
WAIT_SECONDS = 15  # for one address; a sensor's tick has 60
LOGGERS = ("apprise", "urllib3", "requests_oauthlib", "oauthlib")
NOT_A_URL = "is no address that Apprise knows; see docs/alerts.md for what one looks like"


def addresses(environment: Mapping[str, str], variable: str) -> dict[str, str]:
    """Name -> URL of every address in the variable; empty where it is not set."""
    urls = SEPARATOR.split(environment.get(variable, "").strip())
    return {f"{place} {url.partition('://')[0].lower()[:20]}": url for place, url in enumerate(filter(None, urls), 1)}


def deliver(message: Message, url: str) -> str | None:
    """Send a message to one address; returns None, or why it did not arrive. Waits `WAIT_SECONDS` at most.

    The text is declared as plain, so that Apprise escapes it for whatever the service renders. A service that takes
    less text gets the beginning, unless the URL says otherwise (`overflow=split`).
    """
    import apprise

    severity = apprise.NotifyType.FAILURE if message.severity == "error" else apprise.NotifyType.WARNING
    with _warnings() as said:
        try:
            service = apprise.Apprise.instantiate(url, asset=apprise.AppriseAsset(app_id="distill-dagster"))
            if not isinstance(service, apprise.NotifyBase):
                return NOT_A_URL
            if "overflow=" not in url:
                service.overflow_mode = apprise.OverflowMode.TRUNCATE
            sender = apprise.Apprise()
            sender.add(service)
            arrived = sender.notify(
                title=message.title,
                body=message.body,
                body_format=apprise.NotifyFormat.TEXT,
                notify_type=severity,
                timeout=WAIT_SECONDS,
            )
        except Exception as e:  # noqa: BLE001 - any of a hundred services; recorded, and its text may hold the URL
            return type(e).__name__
    return None if arrived else without_secrets("; ".join(said) or "the service gave no reason", url)


def without_secrets(text: str, url: str) -> str:
    """`text` without any part of the URL, as it stands there or decoded."""
    parts = {part for form in (url, unquote(url)) for part in re.split(r"[/:@?&=#,\s]+", form)}
    scheme = url.partition("://")[0]
    for part in sorted(parts - {scheme}, key=len, reverse=True):
        if len(part) >= SECRET_CHARACTERS:
            text = text.replace(part, "…")
    return redact(text)[:300]


class _Collected(logging.Handler):
    """Warnings, as text."""

    def __init__(self, said: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._said = said

    def emit(self, record: logging.LogRecord) -> None:
        self._said.append(record.getMessage())


@contextlib.contextmanager
def _warnings() -> Iterator[list[str]]:
    """Close the loggers, for good; yields Apprise's warnings, which come in as they are said."""
    for name in LOGGERS:
        logger = logging.getLogger(name)
        logger.propagate, logger.handlers = False, [logging.NullHandler()]
        logger.setLevel(logging.WARNING)
    said: list[str] = []
    collected = _Collected(said)
    logging.getLogger("apprise").addHandler(collected)
    try:
        yield said
    finally:
        logging.getLogger("apprise").removeHandler(collected)

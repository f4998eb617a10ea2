"""Deliver a message to Slack, Teams, mail, a webhook or another service, by Apprise URLs.

    DISTILL_ALERT_URLS="slack://TokenA/TokenB/TokenC/#ml-ops mailtos://user:password@mail.example.org?to=oncall@example.org"

    addresses(os.environ, "DISTILL_ALERT_URLS")       {"1 slack": "slack://…", "2 mailtos": "mailtos://…"}

The URLs hold secrets. The name of an address is therefore its position in the variable and its scheme; nothing else of
it is stored, logged or shown. Apprise and the libraries that it sends with log whole URLs at debug level, so their
loggers are silenced before the first use. The reason of a failure is reported without any part of the URL.
"""

import contextlib
import logging
import re
from collections.abc import Iterator, Mapping
from urllib.parse import unquote

from distill_dagster.alerts.message import Message
from distill_dagster.redaction import redact

SEPARATOR = re.compile(r"[\s,]+(?=[A-Za-z][A-Za-z0-9+.-]*://)")
SECRET_CHARACTERS = 4  # shorter parts of a URL are not secrets, and occur in ordinary text
WAIT_SECONDS = 15  # for one address; a tick of a sensor may take 60
LOGGERS = ("apprise", "urllib3", "requests_oauthlib", "oauthlib")
NOT_A_URL = "not an address that Apprise knows; docs/alerts.md shows what addresses look like"


def addresses(environment: Mapping[str, str], variable: str) -> dict[str, str]:
    """Name -> URL of every address in the variable; empty if the variable is not set."""
    urls = SEPARATOR.split(environment.get(variable, "").strip())
    return {f"{place} {url.partition('://')[0].lower()[:20]}": url for place, url in enumerate(filter(None, urls), 1)}


def deliver(message: Message, url: str) -> str | None:
    """Send a message to one address; returns None, or the reason of the failure. Waits at most `WAIT_SECONDS`.

    The text is declared as plain, so that Apprise escapes it for the service's markup. A service with a shorter limit
    gets the beginning of the text, unless the URL sets `overflow`, such as `overflow=split`.
    """
    import apprise

    kinds = {"error": apprise.NotifyType.FAILURE, "warn": apprise.NotifyType.WARNING, "info": apprise.NotifyType.INFO}
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
                notify_type=kinds[message.severity],
                timeout=WAIT_SECONDS,
            )
        except Exception as e:  # noqa: BLE001 - any of a hundred services; recorded, and its text may hold the URL
            return type(e).__name__
    return None if arrived else without_secrets("; ".join(said) or "the service gave no reason", url)


def without_secrets(text: str, url: str) -> str:
    """`text` without any part of the URL, encoded or decoded."""
    parts = {part for form in (url, unquote(url)) for part in re.split(r"[/:@?&=#,\s]+", form)}
    scheme = url.partition("://")[0]
    for part in sorted(parts - {scheme}, key=len, reverse=True):
        if len(part) >= SECRET_CHARACTERS:
            text = text.replace(part, "…")
    return redact(text)[:300]


class _Collected(logging.Handler):
    """Collects the text of warnings."""

    def __init__(self, said: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._said = said

    def emit(self, record: logging.LogRecord) -> None:
        self._said.append(record.getMessage())


@contextlib.contextmanager
def _warnings() -> Iterator[list[str]]:
    """Silence the loggers for the rest of the process; yields a list that receives Apprise's warnings."""
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

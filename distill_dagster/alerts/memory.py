"""The record of alerts that were sent and that wait for delivery: `alerts.json` in the store.

    since    time of the last complete look at the runs
    runs     run id -> end time of each run that was looked at
    sent     "enough_answers on teacher_outputs[train-part-03]: error" -> time of the alert
    outbox   the messages, each with its state at every address: waiting, delivered or given up
    decisions  how many decisions about releases were read; null before the first look

The record lives in the store and not in the sensor's cursor, because Dagster drops a cursor when the sensor is renamed
or reset. The record is replaced atomically before anything is sent and after each delivery. A process that is killed
between a delivery and its record sends that one message twice; no message is lost.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

from distill_dagster.alerts.message import AlertSeverity, Failure, Message
from distill_dagster.errors import DataError
from distill_dagster.store.documents import Documents

ALERTS_FILE = "alerts.json"
FIRST_WAIT = 30.0  # seconds until the second attempt; doubles each time
ATTEMPTS = 10  # over 30 s · (2⁹ − 1), a little more than four hours
KEPT_MESSAGES = 100  # finished ones, for people to read
KEPT_DAYS = 400  # of `sent`; longer than the longest `repeat_hours`


@dataclass(slots=True)
class Attempts:
    """The state of one message at one address. Times are seconds since 1970."""

    made: int = 0
    next_at: float = 0.0
    error: str | None = None
    arrived_at: float | None = None

    @property
    def waits(self) -> bool:
        """Whether another attempt is due, now or later."""
        return self.arrived_at is None and self.made < ATTEMPTS


@dataclass(slots=True)
class Outgoing:
    """A message and its state at every address."""

    title: str
    body: str
    severity: AlertSeverity
    written_at: float
    addresses: dict[str, Attempts]

    @property
    def message(self) -> Message:
        """The text to deliver."""
        return Message(self.title, self.body, self.severity)

    @property
    def waits(self) -> bool:
        """Whether an attempt at any address is still due."""
        return any(attempts.waits for attempts in self.addresses.values())


@dataclass(slots=True)
class Memory:
    """The whole record; `save` makes it durable."""

    documents: Documents
    since: float
    runs: dict[str, float] = field(default_factory=dict)
    sent: dict[str, float] = field(default_factory=dict)
    outbox: list[Outgoing] = field(default_factory=list)
    decisions: int | None = None

    @classmethod
    def load(cls, documents: Documents, now: float) -> "Memory":
        """Read the project's record; a new one starts at `now`.

        Raises:
            DataError: the record is damaged.
        """
        text = documents.read(ALERTS_FILE)
        if text is None:
            return cls(documents, now)
        try:
            raw = json.loads(text)
            outbox = [
                Outgoing(**{**outgoing, "addresses": {k: Attempts(**v) for k, v in outgoing["addresses"].items()}})
                for outgoing in raw.pop("outbox")
            ]
            sent = raw.pop("told", {})  # the name of `sent` in version 0.1
            return cls(documents, outbox=outbox, **{"sent": sent, "decisions": 0, **raw})  # older: nothing was released
        except (ValueError, TypeError, KeyError) as e:
            raise DataError(
                f"{documents.uri(ALERTS_FILE)} is damaged ({e}); delete it: recent failures are then sent once more"
            ) from e

    def save(self) -> None:
        """Replace the record."""
        raw = {
            **{name: getattr(self, name) for name in ("since", "runs", "sent", "decisions")},
            "outbox": [asdict(outgoing) for outgoing in self.outbox],
        }
        self.documents.write(ALERTS_FILE, json.dumps(raw, ensure_ascii=False, indent=1, allow_nan=False))

    def is_news(self, failure: Failure, now: float, repeat_hours: float) -> bool:
        """Whether to send this failure: it was not sent within `repeat_hours`, or was repaired since."""
        sent = self.sent.get(failure.key)
        return sent is None or now - sent >= repeat_hours * 3600

    def repaired(self, check: str | None, place: str) -> None:
        """Note that a check passed or, without a check, that an asset was made: the next failure is news."""
        for severity in ("warn", "error"):
            self.sent.pop(f"{check or 'run'} on {place}: {severity}", None)

    def write(self, message: Message, names: list[str], now: float) -> None:
        """Queue a message for every address."""
        outgoing = Outgoing(message.title, message.body, message.severity, now, {name: Attempts() for name in names})
        self.outbox.append(outgoing)

    def due(self, now: float) -> Iterator[tuple[Outgoing, str]]:
        """Every message and address whose next attempt is due, oldest first."""
        for outgoing in self.outbox:
            for name, attempts in outgoing.addresses.items():
                if attempts.waits and attempts.next_at <= now:
                    yield outgoing, name

    def record(self, outgoing: Outgoing, name: str, error: str | None, now: float) -> Attempts:
        """Note how an attempt ended; `error` None means that the message arrived."""
        attempts = outgoing.addresses[name]
        attempts.made += 1
        attempts.error = error
        attempts.arrived_at = now if error is None else None
        attempts.next_at = now + FIRST_WAIT * 2 ** (attempts.made - 1)
        return attempts

    def forget(self, before: float, now: float) -> None:
        """Drop runs that ended `before` the window under review, old alerts, and old finished messages."""
        self.runs = {run: ended for run, ended in self.runs.items() if ended >= before}
        self.sent = {key: sent for key, sent in self.sent.items() if now - sent < KEPT_DAYS * 86_400}
        done = [outgoing for outgoing in self.outbox if not outgoing.waits][:-KEPT_MESSAGES]
        self.outbox = [outgoing for outgoing in self.outbox if not any(outgoing is old for old in done)]

"""Deliver each waiting message to each of its addresses, and record every attempt.

An address that fails is tried ten times over about four hours, with doubling waits, and then given up for that message.
Other addresses do not wait for it. The log and the record hold the reason of every failure.
"""

import time
from collections.abc import Mapping
from logging import Logger

from distill_dagster.alerts.delivery import deliver
from distill_dagster.alerts.memory import ATTEMPTS, Memory, Outgoing

BUSY_SECONDS = 25.0  # no attempt starts after that; a tick of the sensor may take 60
GONE = "the address is no longer in the variable"


def deliver_due(memory: Memory, urls: Mapping[str, str], now: float, log: Logger) -> int:
    """Make every attempt that is due; returns the number of successful deliveries."""
    started, arrived = time.monotonic(), 0
    for outgoing, name in list(memory.due(now)):
        if time.monotonic() - started > BUSY_SECONDS:
            break
        error = deliver(outgoing.message, urls[name]) if name in urls else GONE
        _record(memory, outgoing, name, error, now, log)
        arrived += error is None
    return arrived


def _record(memory: Memory, outgoing: Outgoing, name: str, error: str | None, now: float, log: Logger) -> None:
    attempts = memory.record(outgoing, name, error, now)
    memory.save()
    if error is None:
        log.info(f"{outgoing.title!r} arrived at address {name}")
    elif attempts.waits:
        log.warning(f"{outgoing.title!r} did not arrive at address {name}, attempt {attempts.made}: {error}")
    else:
        log.error(f"{outgoing.title!r} is given up for address {name} after {ATTEMPTS} attempts: {error}")


def state_of(memory: Memory) -> str:
    """The failed deliveries that wait for another attempt, in one line; empty if there are none.

    Example: "2 deliveries wait, the last one for address 2 mailtos (attempt 3: Connection error …)"
    """
    waiting = [(name, a) for outgoing in memory.outbox for name, a in outgoing.addresses.items() if a.waits and a.error]
    if not waiting:
        return ""
    name, last = waiting[-1]
    return f"{len(waiting)} deliveries wait, the last one for address {name} (attempt {last.made}: {last.error})"

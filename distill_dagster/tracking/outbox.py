"""What is to be sent to a server, in order, by a thread: the work goes on meanwhile, and never fails with it.

    outbox = Outbox(connect)            # the first thing that the thread does
    outbox.put("losses", send)
    outbox.close(10)                    # None, or Unsent(kinds={"losses": 12}, reason="ConnectionError: …")

If `connect` fails, nothing is sent. Something that fails later is lost alone. What was not sent in time is lost too.
"""

import queue
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

Describe = Callable[[Exception], str]


@dataclass(frozen=True, slots=True)
class Unsent:
    """What was not sent, by kind, and why."""

    kinds: dict[str, int]
    reason: str

    def __str__(self) -> str:
        return f"{', '.join(f'{count:,} {kind}' for kind, count in self.kinds.items())} not sent ({self.reason})"


class Outbox:
    """The queue and its thread."""

    def __init__(self, connect: Callable[[], None], describe: Describe, say: Callable[[str], None]) -> None:
        self._jobs: queue.SimpleQueue[tuple[str, Callable[[], None]] | None] = queue.SimpleQueue()
        self._waiting, self._lost, self._reason = Counter[str](), Counter[str](), ""
        self._lock, self._describe, self._say, self._is_closed = threading.Lock(), describe, say, False
        self._thread = threading.Thread(target=self._work, args=(connect,), name="tracking", daemon=True)
        self._thread.start()

    def put(self, kind: str, send: Callable[[], None]) -> None:
        """Send this after what was put before; `kind` names it if it is lost."""
        with self._lock:
            self._waiting[kind] += 1
        self._jobs.put((kind, send))

    def close(self, seconds: float) -> Unsent | None:
        """Wait for at most so long until all is sent; what is lost."""
        self._jobs.put(None)
        self._thread.join(seconds)
        with self._lock:
            lost = self._lost + self._waiting
            self._is_closed = True
            late = f"the server took longer than {seconds:g} s" if self._waiting.total() else ""
            return Unsent(dict(lost), self._reason or late) if lost.total() else None

    def _work(self, connect: Callable[[], None]) -> None:
        is_connected = self._try(connect)
        while (job := self._jobs.get()) is not None:
            kind, send = job
            was_sent = is_connected and self._try(send)
            with self._lock:
                self._waiting[kind] -= 1
                self._lost[kind] += not was_sent

    def _try(self, action: Callable[[], None]) -> bool:
        try:
            action()
        except Exception as e:  # noqa: BLE001 - of a client, requests, sockets: the training goes on without them
            with self._lock:
                is_news, self._reason = not (self._reason or self._is_closed), self._describe(e)
            if is_news:
                self._say(self._reason)
            return False
        return True


def now_ms() -> int:
    """The time, as MLflow counts it."""
    return int(time.time() * 1000)

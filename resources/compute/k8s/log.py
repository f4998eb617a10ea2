"""The log of a pod in that of the step, as it grows."""

import math
import re
import threading
import time
from collections import deque
from collections.abc import Iterator

from distill_dagster.resources.compute.k8s.api import ApiRefusal, PodApi, Unanswered

LAST_LINES = 15
AGAIN_S = 2.0
STAMP = re.compile(r"\d{4}-\d\d-\d\dT\S+")  # 2026-11-27T17:08:13.000000000Z, all of one length


class PodLog:
    """Follows the log in a thread, and prints it. A log that cannot be read changes nothing else.

    A stream may end before the pod does, as where a proxy closes what was silent for a minute. So the log is read again
    until the pod is over, from a little before the break, and lines that were printed are left out by their times.
    """

    def __init__(self, api: PodApi, name: str) -> None:
        self._api, self._name = api, name
        self._last: deque[str] = deque(maxlen=LAST_LINES)
        self._thread: threading.Thread | None = None
        self._over = threading.Event()
        self._stamp = ""  # of the last line, by its node
        self._heard: float | None = None  # when it came, by this machine

    def start(self) -> None:
        """Begin, unless it has begun."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._follow, daemon=True)
            self._thread.start()

    def close(self, seconds: float) -> None:
        """Read what is left now that the pod is over, for this long at most."""
        self._over.set()
        if self._thread is not None:
            self._thread.join(seconds)

    @property
    def last_lines(self) -> str:
        """The last lines that were read."""
        return "\n".join(self._last)

    def _follow(self) -> None:
        while True:
            is_last = self._over.is_set()  # then the pod has ended, and this stream is whole
            try:
                for line in self._lines(is_last):
                    self._last.append(line)
                    print(line, flush=True)
            except ApiRefusal as e:
                self._last.append(f"(its log cannot be read: {e})")
                return
            except Unanswered:
                pass
            if is_last:
                return
            self._over.wait(AGAIN_S)

    def _lines(self, is_last: bool) -> Iterator[str]:
        """The lines of one stream that no earlier one had."""
        ago = None if self._heard is None else math.ceil(time.monotonic() - self._heard + AGAIN_S)
        for line in self._stamped(ago, is_last):
            self._heard = time.monotonic()
            stamp, _, rest = line.partition(" ")
            if not STAMP.fullmatch(stamp):  # the node's own words
                yield line
            elif stamp > self._stamp:
                self._stamp = stamp
                yield rest

    def _stamped(self, ago: int | None, is_last: bool) -> Iterator[str]:
        """Whole lines: one that was cut off comes again with the next stream."""
        rest = b""
        for chunk in self._api.log(self._name, ago):
            *lines, rest = (rest + chunk).split(b"\n")
            yield from (line.decode(errors="replace") for line in lines)
        if rest and is_last:
            yield rest.decode(errors="replace")

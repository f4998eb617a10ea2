"""The log of a pod in that of the step, as it grows."""

import math
import threading
import time
from collections import deque
from collections.abc import Iterator

from distill_dagster.resources.compute.k8s.api import ApiRefusal, PodApi, Unanswered

LAST_LINES = 15
AGAIN_S = 2.0


class PodLog:
    """Follows the log in a thread, and prints it. A log that cannot be read changes nothing else."""

    def __init__(self, api: PodApi, name: str) -> None:
        self._api, self._name = api, name
        self._last: deque[str] = deque(maxlen=LAST_LINES)
        self._thread: threading.Thread | None = None
        self._over = threading.Event()

    def start(self) -> None:
        """Begin, unless it has begun."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._follow, daemon=True)
            self._thread.start()

    def close(self, seconds: float) -> None:
        """Read what is left, for this long at most."""
        self._over.set()
        if self._thread is not None:
            self._thread.join(seconds)

    @property
    def last_lines(self) -> str:
        """The last lines that were read."""
        return "\n".join(self._last)

    def _follow(self) -> None:
        since: float | None = None  # when the connection broke
        while True:
            try:
                for line in self._lines(since):
                    since = None
                    self._last.append(line)
                    print(line, flush=True)
                return
            except ApiRefusal as e:
                self._last.append(f"(its log cannot be read: {e})")
                return
            except Unanswered:
                since = time.monotonic() if since is None else since
            if self._over.wait(AGAIN_S):
                return

    def _lines(self, since: float | None) -> Iterator[str]:
        ago = None if since is None else math.ceil(time.monotonic() - since + AGAIN_S)
        rest = b""
        for chunk in self._api.log(self._name, ago):
            *lines, rest = (rest + chunk).split(b"\n")
            yield from (line.decode(errors="replace") for line in lines)
        if rest:
            yield rest.decode(errors="replace")

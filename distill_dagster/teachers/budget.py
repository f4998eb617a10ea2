"""When to stop asking: the budget is spent, or too many requests fail.

Both stop a shard between two replies. The journal keeps the replies so far, and the next run continues from there.
"""

import time
from collections import Counter

from distill_dagster.errors import BudgetError, TeacherError
from distill_dagster.teachers.protocol import Reply
from distill_dagster.teachers.responses import Responses

REREAD_S = 5.0  # how often the other shards' spending is read from disk
FEWEST = 50  # requests before their failures are judged


class Budget:
    """The project's spending on its teachers, over all runs and processes.

    The budget can be overrun by what concurrent shards spend within `REREAD_S` and by the requests in flight.
    """

    def __init__(self, limit_usd: float | None, responses: Responses) -> None:
        self.limit_usd, self._responses = limit_usd, responses
        self._spent, self._read_at = 0.0, float("-inf")

    def check(self) -> None:
        """Raise BudgetError if the budget is spent."""
        if self.limit_usd is None:
            return
        if time.monotonic() - self._read_at > REREAD_S:
            self._read()
        if self._spent >= self.limit_usd:
            raise BudgetError(
                f"the teacher's answers have cost {self._spent:.4f} USD of teacher.budget_usd {self.limit_usd:.4f}: "
                "raise it and run again; the answers so far are kept and not paid for twice"
            )

    def afford(self, most_usd: float, under_way_usd: float) -> None:
        """Raise BudgetError if a batch of at most `most_usd` may overrun the budget: once sent, it runs to its end.

        `under_way_usd` is the most that the batches under way may still cost; read it before this is called, so that
        what they have answered since is in the spending.
        """
        if self.limit_usd is None:
            return
        self._read()
        self.check()
        if self._spent + under_way_usd + most_usd > self.limit_usd:
            left = max(0.0, self.limit_usd - self._spent - under_way_usd)
            raise BudgetError(
                f"the batch may cost {most_usd:.4f} USD, if every answer is as long as max_new_tokens allows, and "
                f"{left:.4f} of teacher.budget_usd {self.limit_usd:.4f} are left: {self._spent:.4f} are spent, and "
                f"batches under way may cost {under_way_usd:.4f}. Raise it, lower teacher.generation.max_new_tokens, "
                "set `batch: false`, or run again when those batches have ended"
            )

    def _read(self) -> None:
        self._spent, self._read_at = self._responses.spent(), time.monotonic()

    def charge(self, reply: Reply) -> None:
        """Add the cost of a reply that is in the journal; raises as `check` does."""
        self._spent += reply.cost_usd
        self.check()


class FailureWatch:
    """Stops a shard if too large a share of its requests fails."""

    def __init__(self, most_share: float) -> None:
        self._most, self._asked, self._codes = most_share, 0, Counter[str]()
        self._last = ""  # what the last failed request was told

    def see(self, reply: Reply) -> None:
        """Count a reply; raise TeacherError if more than the allowed share of at least `FEWEST` requests failed."""
        self._asked += 1
        if not reply.ok:
            self._codes[reply.error_code or "unknown"] += 1
            self._last = reply.error or self._last
        failed = self._codes.total()
        if self._asked >= FEWEST and failed > self._most * self._asked:
            by_code = ", ".join(f"{code} {count}" for code, count in self._codes.most_common())
            raise TeacherError(
                f"{failed} of {self._asked} requests failed ({by_code}), more than teacher.stop_failed_share "
                f"{self._most:.0%} (the last: {self._last}); the answers so far are kept: fix the cause and run again"
            )

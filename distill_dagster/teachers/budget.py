"""When to stop asking: the money is spent, or too many requests fail.

Both stop a shard between two replies. What was answered is in the journal, so the next run goes on from there.
"""

import time
from collections import Counter

from distill_dagster.errors import BudgetError, TeacherError
from distill_dagster.teachers.protocol import Reply
from distill_dagster.teachers.responses import Responses

REREAD_S = 5.0  # how often the other shards' spending is read from disk
FEWEST = 50  # requests before their failures are judged


class Budget:
    """The project's spending on its teachers, of all runs and processes together.

    Concurrent shards know of one another's spending after `REREAD_S`, and requests in flight are still paid: by so
    much a budget can be overrun.
    """

    def __init__(self, limit_usd: float | None, responses: Responses) -> None:
        self.limit_usd, self._responses = limit_usd, responses
        self._spent, self._read_at = 0.0, float("-inf")

    def check(self) -> None:
        """Raise BudgetError where nothing is left."""
        if self.limit_usd is None:
            return
        if time.monotonic() - self._read_at > REREAD_S:
            self._spent, self._read_at = self._responses.spent(), time.monotonic()
        if self._spent >= self.limit_usd:
            raise BudgetError(
                f"the teacher's answers have cost {self._spent:.4f} USD of teacher.budget_usd {self.limit_usd:.4f}: "
                "raise it and run again; what was answered is kept and not paid for twice"
            )

    def charge(self, reply: Reply) -> None:
        """Count a reply that is in the journal; raises as `check` does."""
        self._spent += reply.cost_usd
        self.check()


class FailureWatch:
    """Stops a shard whose teacher mostly fails."""

    def __init__(self, most_share: float) -> None:
        self._most, self._asked, self._codes = most_share, 0, Counter()

    def see(self, reply: Reply) -> None:
        """Count a reply; TeacherError where more than the allowed share of at least `FEWEST` has failed."""
        self._asked += 1
        if not reply.ok:
            self._codes[reply.error_code or "unknown"] += 1
        failed = self._codes.total()
        if self._asked >= FEWEST and failed > self._most * self._asked:
            by_code = ", ".join(f"{code} {count}" for code, count in self._codes.most_common())
            raise TeacherError(
                f"{failed} of {self._asked} requests failed ({by_code}), more than teacher.stop_failed_share "
                f"{self._most:.0%} (the last: {reply.error}); what was answered is kept: mend the cause and run again"
            )

"""What was sent as a batch and not yet recorded, on disk: a killed run waits for it again and sends nothing twice.

    store/responses/batches/5c1f….json
      {"key": "5c1f…", "hashes": ["9c01…", …], "attempt": 1, "input_file_id": "file-7", "batch_id": "batch_3", …}

The file is written before each step: before the upload (without ids), before the batch is created (with the file's
id), and before it is polled (with the batch's id). A run that finds no batch's id asks the provider for a batch with
this key in its metadata, or of this input file. The file is removed when every result is recorded.

A record also holds the most that each answer may cost. Until the answer is stored, that amount counts against the
budget; the lock over all records keeps two shards from taking the same dollars.
"""

import json
import math
import time
import uuid
from collections.abc import Callable, Container, Iterable
from dataclasses import asdict, dataclass, field

from distill_dagster.errors import DataError
from distill_dagster.store.documents import Documents


@dataclass(slots=True)
class BatchRecord:
    """One batch: its requests in the order of its file, and how far it got."""

    hashes: list[str]
    attempt: int = 1  # 2, 3, …: a batch of requests that failed in the batches before
    key: str = field(default_factory=lambda: uuid.uuid4().hex)
    saved_at: float = 0.0  # seconds since 1970
    input_file_id: str | None = None
    batch_id: str | None = None
    most_usd: list[float] = field(default_factory=list)  # that the answer to each request may cost, in their order

    def keep(self, hashes: Container[str]) -> None:
        """Drop all requests but these."""
        costs = self.most_usd if len(self.most_usd) == len(self.hashes) else [0.0] * len(self.hashes)
        left = [(key, cost) for key, cost in zip(self.hashes, costs, strict=True) if key in hashes]
        self.hashes, self.most_usd = [key for key, _ in left], [cost for _, cost in left]


@dataclass(frozen=True, slots=True)
class Batching:
    """Where a project keeps its records, and who says whether a batch can be afforded."""

    documents: Documents
    afford: Callable[[float, float], None]  # BudgetError if the budget does not hold a batch beside those under way
    find: Callable[[Iterable[str]], Container[str]]  # the requests among these whose replies are stored

    def save(self, record: BatchRecord) -> None:
        """Write a record; it is on disk when this returns.

        Raises:
            DataError: the store is full or cannot be written.
        """
        record.saved_at = time.time()
        self.documents.write(_name(record), json.dumps(asdict(record), allow_nan=False))

    def reserve(self, record: BatchRecord, most_usd: float) -> None:
        """Save the record of a batch that is about to be sent, if the budget holds `most_usd` for it and what follows.

        Raises:
            BudgetError: it does not, beside what is spent and the batches under way.
            DataError: as `save`.
        """
        with self.documents.locked("budget.lock"):
            self.afford(most_usd, self._under_way_usd())
            self.save(record)

    def _under_way_usd(self) -> float:
        """The most that the answers may cost that are in a record and not yet stored."""
        records = [record for record in self._records() if record.most_usd]
        stored = self.find([key for record in records for key in record.hashes]) if records else ()
        for record in records:
            record.keep({key for key in record.hashes if key not in stored})
        return math.fsum(cost for record in records for cost in record.most_usd)

    def recorded(self, record: BatchRecord, hashes: Container[str]) -> None:
        """Forget these requests of a batch; its record stays for those that another call will ask for."""
        others = [key for key in record.hashes if key not in hashes]
        stored = self.find(others) if others else ()
        left = [key for key in others if key not in stored]
        if left and left != record.hashes:
            record.keep(set(left))
            self.save(record)
        elif not left:
            self.remove(record)

    def remove(self, record: BatchRecord) -> None:
        """Forget a batch whose results are recorded, or that will give none."""
        self.documents.remove(_name(record))

    def of(self, hashes: Iterable[str]) -> list[BatchRecord]:
        """The batches that hold any of these requests. Records whose replies are all stored are removed.

        Raises:
            DataError: a record is damaged.
        """
        wanted = set(hashes)
        records = self._records()
        for record in records:
            if wanted.isdisjoint(record.hashes):
                self.recorded(record, ())
        return [record for record in records if not wanted.isdisjoint(record.hashes)]

    def _records(self) -> list[BatchRecord]:
        return [self._read(name) for name in self.documents.names() if name.endswith(".json")]

    def _read(self, name: str) -> BatchRecord:
        text = self.documents.read(name)
        if text is None:
            return BatchRecord([])  # another process has just recorded the results
        try:
            return BatchRecord(**json.loads(text))
        except (ValueError, TypeError) as e:
            raise DataError(
                f"{self.documents.uri(name)} is damaged ({e}); delete it: its requests are sent again"
            ) from e


def _name(record: BatchRecord) -> str:
    return f"{record.key}.json"

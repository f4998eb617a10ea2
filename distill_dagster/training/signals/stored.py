"""The teacher's stored distributions as the training reads them: found by row, checked against the student's tokens.

    examples   row_id "d-17", sample 0, turn 0    input_ids [3, 41, 4,  640, 95, 1], answer_start 3
    stored     row_id "d-17", sample 0, turn 0    token_ids [640, 95, 1]             ids, logprobs (3, k)
    joined     stored 8112, matched 3             the row's place among the stored ones; 3 tokens have a distribution

A distribution belongs to a token of the student's answer as long as the answers agree up to and with this token. Where
the set holds another text than the teacher wrote (a label in the task's spelling, an answer without its reasoning), the
rest of the answer has no distribution, and its tokens are learned as text. A row without any is refused.

Rows are joined by their keys, never by position.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset

from distill_dagster.errors import TrainingError
from distill_dagster.logits.distributions import LOWEST, NO_DRAW, Tail
from distill_dagster.logits.table import LogitsRow, unpack_row
from distill_dagster.models.quiet import quietly

KEYS = ("row_id", "sample", "turn")
REFUSED = "no_logits"  # the reason of rows without any distribution


class StoredLogits:
    """The `logits.parquet` files of all shards, memory-mapped.

    Example:
        >>> stored = StoredLogits(["shard-00/logits.parquet", "shard-01/logits.parquet"], Path("work"), 151_936)
        >>> stored.row(8112).logprobs.shape
        (3, 64)
    """

    def __init__(self, paths: Sequence[str], cache: Path, vocab_size: int, of: str = "teacher_logits") -> None:
        """Map the files; their columns are unpacked row by row. `vocab_size` is that of the student's logits.

        `of` names the asset that they are of.

        Raises:
            TrainingError: there are none, or the files do not belong together.
        """
        self._of = of
        with quietly():
            self._rows: Any = Dataset.from_parquet(list(paths), cache_dir=str(cache))
        if not len(self._rows):
            raise TrainingError(f"the {len(paths)} files of {of} hold no distribution; see its rejects for the reasons")
        self.common = min(self._constant("vocab_size"), vocab_size)  # tokens from this id on, only one of the two has
        self.k: int = self._constant("k")
        if self.k > self.common:
            raise TrainingError(f"teacher.logits.k is {self.k}, and the student has {vocab_size} tokens: lower `k`")
        self.tokenizer_hash = self._constant("tokenizer_hash")
        self.tail: Tail = "bucket" if self._rows[0]["tail_draws"] is None else "sampled"
        self._places = {key: i for i, key in enumerate(zip(*(self._rows[name] for name in KEYS), strict=True))}

    def row(self, place: int) -> LogitsRow:
        """One answer's distributions over the tokens that the student has too."""
        row = unpack_row(self._rows[place])
        return row if row.vocab_size <= self.common else without_others(row, self.common)

    @property
    def has_logsums(self) -> bool:
        """Whether the tail's sums at other temperatures than 1 are stored."""
        return self._rows[0]["tail_logsums"] is not None

    def join(self, rows: Dataset) -> tuple[Dataset, dict[str, int]]:
        """Add `stored` and `matched` to tokenized rows, without those that have no distribution."""

        def find(row: dict[str, Any]) -> dict[str, int]:
            place = self._places.get(tuple(row[name] for name in KEYS), -1)
            answer = np.asarray(row["input_ids"][row["answer_start"] :])
            return {"stored": place, "matched": 0 if place < 0 else _agreement(answer, self.row(place).token_ids)}

        with quietly():
            joined = rows.map(find, keep_in_memory=True)
            kept = [i for i, matched in enumerate(joined["matched"]) if matched]
            return joined.select(kept).flatten_indices(keep_in_memory=True), {REFUSED: len(rows) - len(kept)}

    def _constant(self, name: str) -> Any:
        values = self._rows.unique(name)
        if len(values) > 1:
            raise TrainingError(
                f"the shards of {self._of} differ in {name} ({', '.join(map(str, values[:3]))}): "
                "materialize all of them again"
            )
        return values[0]


def without_others(row: LogitsRow, common: int) -> LogitsRow:
    """The distributions without the tokens from `common` on; their mass goes to the others in proportion.

    Their places among the k get any other token, at a probability of 0.
    """
    ids, logprobs = row.ids.copy(), row.logprobs.copy()
    outside = ids >= common
    lost = np.where(outside, np.exp(logprobs), 0).sum(axis=1)  # (T,)
    logprobs -= np.log1p(-lost)[:, None]
    logprobs[outside] = LOWEST
    for t in np.flatnonzero(outside.any(axis=1)):
        free = np.setdiff1d(np.arange(min(2 * ids.shape[1], common)), ids[t])
        ids[t, outside[t]] = free[: outside[t].sum()]
    draws = None if row.draws is None else np.where(row.draws >= common, NO_DRAW, row.draws)
    tail = row.tail_logmass - np.log1p(-lost)
    return dataclasses.replace(row, ids=ids, logprobs=logprobs, tail_logmass=tail, draws=draws)


def _agreement(one: np.ndarray, other: np.ndarray) -> int:
    """How many tokens two answers have in common before they differ."""
    length = min(len(one), len(other))
    differ = np.flatnonzero(one[:length] != other[:length])
    return int(differ[0]) if len(differ) else length

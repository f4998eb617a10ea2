"""The teacher's stored distributions as the training reads them: found by row, checked against the student's tokens.

    examples   row_id "d-17", sample 0, turn 0    input_ids [3, 41, 4,  640, 95, 1], answer_start 3
    stored     row_id "d-17", sample 0, turn 0    token_ids [640, 95, 1]             ids, logprobs (3, k)
    joined     stored 8112, matched 3             the row's place among the stored ones; 3 tokens have a distribution

A distribution belongs to a token of the student's answer as long as the answers agree up to and with this token. Where
the set holds another text than the teacher wrote (a label in the task's spelling, an answer without its reasoning), the
rest of the answer has no distribution, and its tokens are learned as text. A row without any is refused.

Rows are joined by their keys, never by position.

Teacher and student may pad their vocabularies to different sizes. The student's logits of tokens that only it has are
masked, and so is the teacher's mass of stored tokens that only it has: each distribution is one over the tokens that
both have. A row is refused too if nothing remains of one of its tokens.
"""

import dataclasses
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from datasets import Dataset

from distill_dagster.errors import TrainingError
from distill_dagster.logits.distributions import LOWEST, NO_DRAW, TEMPERATURES, Tail
from distill_dagster.logits.table import ADDED, LogitsRow, unpack_row
from distill_dagster.logits.tokenizer import tokenizer_hash
from distill_dagster.models.quiet import quietly

KEYS = ("row_id", "sample", "turn")
COLUMNS = ("stored", "matched")  # a row's place among the stored ones, and how many of its tokens have a distribution
REFUSED = "no_logits"  # the reason of rows without any distribution
NOT_SHARED = "no_shared_token"  # of rows with a distribution that has no mass on tokens of both vocabularies
EMPTY = LOWEST / 2  # a sum of stored numbers below this is of numbers that were too small to be stored
TAILS_DIFFER = "the shards of {} differ in their tails ({}): materialize all of them again"


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
        _require_same_columns(paths, of)
        with quietly():
            self._rows: Any = Dataset.from_parquet(list(paths), cache_dir=str(cache))
        if not len(self._rows):
            raise TrainingError(f"the {len(paths)} files of {of} hold no distribution; see its rejects for the reasons")
        self._require_same()
        self._teachers: int = self._constant("vocab_size")
        self.common = min(self._teachers, vocab_size)  # tokens from this id on, only one of the two has
        self.k: int = self._constant("k")
        if self.k > self.common:
            raise TrainingError(f"teacher.logits.k is {self.k}, and the student has {vocab_size} tokens: lower `k`")
        self.tokenizer_hash = self._constant("tokenizer_hash")
        self.tail: Tail = "sampled" if self._holds("tail_draws") else "bucket"
        self._places = {key: i for i, key in enumerate(zip(*(self._rows[name] for name in KEYS), strict=True))}

    def row(self, place: int) -> LogitsRow:
        """One answer's distributions over the tokens that the student has too."""
        row = unpack_row(self._rows[place])
        return row if row.vocab_size <= self.common else without_others(row, self.common)

    def place_of(self, example: Mapping[str, Any]) -> int:
        """The place of the answer that an example teaches; -1 if nothing is stored of it."""
        return self._places.get(tuple(example[name] for name in KEYS), -1)

    def require_tokenizer(self, teacher: Any) -> None:
        """Refuse a tokenizer of the teacher's folder that is not the one whose tokens are stored."""
        own = tokenizer_hash(teacher)
        if own != self.tokenizer_hash:
            raise TrainingError(
                f"the teacher's tokenizer is {own[:12]} now, and that of the stored logits {self.tokenizer_hash[:12]}: "
                "restore the teacher's folder, or materialize teacher_model and teacher_logits again"
            )

    @property
    def has_fillers(self) -> bool:
        """Whether rows may have a filler in the place of a token that only the teacher has; see `without_others`."""
        return self._teachers > self.common

    @property
    def has_logsums(self) -> bool:
        """Whether the tail's sums at other temperatures than 1 are stored."""
        return self._holds("tail_logsums")

    def join(self, rows: Dataset) -> tuple[Dataset, dict[str, int]]:
        """Add `stored` and `matched` to tokenized rows, without those that cannot train, counted by reason."""

        def find(row: dict[str, Any]) -> dict[str, Any]:
            place = self.place_of(row)
            answer = np.asarray(row["input_ids"][row["answer_start"] :])
            if place < 0 or not (matched := _agreement(answer, (given := self.row(place)).token_ids)):
                return {"stored": place, "matched": 0, "refused": REFUSED}
            empty = (left_mass(given.logprobs, given.tail_logmass)[:matched] <= EMPTY).any()
            return {"stored": place, "matched": matched, "refused": NOT_SHARED if empty else ""}

        return matched_rows(rows, find, (REFUSED, NOT_SHARED))

    def _require_same(self) -> None:
        """Refuse shards of several teachers, or that were captured with different settings."""
        for name in ("teacher_revision", "k", "precision", "vocab_size", "temperature", "tokenizer_hash"):
            self._constant(name)
        for name in ADDED:
            if self._holds(name) and (without := self._rows.data.column(name).null_count):
                rows = f"{without:,} of {len(self._rows):,} rows have no {name}"
                raise TrainingError(TAILS_DIFFER.format(self._of, rows))

    def _holds(self, name: str) -> bool:
        """Whether some rows have a column that files of an older version, or of another tail, lack."""
        return name in self._rows.column_names and self._rows.data.column(name).null_count < len(self._rows)

    def _constant(self, name: str) -> Any:
        values = self._rows.unique(name)
        if len(values) > 1:
            raise TrainingError(
                f"the shards of {self._of} differ in {name} ({', '.join(map(str, values[:3]))}): "
                "materialize all of them again"
            )
        return values[0]


def matched_rows(
    rows: Dataset, find: Callable[[dict[str, Any]], dict[str, Any]], reasons: Sequence[str]
) -> tuple[Dataset, dict[str, int]]:
    """The rows with what `find` adds to each, without those that it refuses; how many those are, by reason.

    The column `refused` holds the reason of a row that cannot train, and "" for the others.
    """
    with quietly():
        joined = rows.map(find, keep_in_memory=True, new_fingerprint=uuid.uuid4().hex)  # hashes no function
        refused = joined["refused"]
        kept = [i for i, reason in enumerate(refused) if not reason]
        left_out = {reason: sum(r == reason for r in refused) for reason in reasons}
        return joined.remove_columns("refused").select(kept).flatten_indices(keep_in_memory=True), left_out


def without_others(row: LogitsRow, common: int) -> LogitsRow:
    """The distributions over the tokens below `common` alone, as if the logits of the others were minus infinity.

    Let m be the mass that remains. Then p becomes p / m, so that log p falls by log m, and at temperature T the sum
    over the tail of p**(1/T) is multiplied by m**(-1/T). Among the k, a token that is gone gives its place to a filler:
    any token of the tail, marked by LOWEST, whose own mass stays in the tail's, as the student's has to. A draw that is
    gone takes its part of the tail's mass with it. The tail's own tokens are not known one by one: in a `bucket`, what
    it has from `common` on stays in it.
    """
    ids, logprobs, tail, draws = row.ids.copy(), row.logprobs.copy(), row.tail_logmass, row.draws
    outside = ids >= common
    logprobs[outside] = LOWEST
    if draws is not None:
        kept = (draws < common) & (draws != NO_DRAW)
        share = kept.sum(axis=1) / np.maximum((draws != NO_DRAW).sum(axis=1), 1)  # (T,)
        tail = np.where(share > 0, tail + np.log(np.maximum(share, 1e-9)), LOWEST)
        draws = np.where(kept, draws, NO_DRAW)
    changed = outside.any(axis=1) | (tail < row.tail_logmass)
    left = left_mass(logprobs, tail)  # (T,)
    left = np.where(changed & (left > EMPTY), left, 0)
    for t in np.flatnonzero(outside.any(axis=1)):
        free = np.setdiff1d(np.arange(min(2 * ids.shape[1], common)), ids[t])
        ids[t, outside[t]] = free[: outside[t].sum()]
    sums = None if row.tail_logsums is None else row.tail_logsums - left[:, None] / np.asarray(TEMPERATURES)
    logprobs = np.where(logprobs <= LOWEST, LOWEST, logprobs - left[:, None])
    tail = np.where(tail <= LOWEST, LOWEST, tail - left)
    return dataclasses.replace(row, ids=ids, logprobs=logprobs, tail_logmass=tail, tail_logsums=sums, draws=draws)


def left_mass(logprobs: np.ndarray, tail: np.ndarray) -> np.ndarray:
    """Logarithm of the mass of the k and the tail (T,): 0 as captured, and less if some of the k are masked."""
    return np.logaddexp(np.logaddexp.reduce(logprobs, axis=1), tail)


def _require_same_columns(paths: Sequence[str], of: str) -> None:
    """Refuse files of version 0.1.0, which lack columns, beside newer ones."""
    columns = {path: set(pq.read_schema(path).names) for path in paths}
    for name in ADDED:
        if 0 < len(without := [path for path, names in columns.items() if name not in names]) < len(paths):
            raise TrainingError(TAILS_DIFFER.format(of, f"{len(without)} of {len(paths)} files have no {name}"))


def _agreement(one: np.ndarray, other: np.ndarray) -> int:
    """How many tokens two answers have in common before they differ."""
    length = min(len(one), len(other))
    differ = np.flatnonzero(one[:length] != other[:length])
    return int(differ[0]) if len(differ) else length

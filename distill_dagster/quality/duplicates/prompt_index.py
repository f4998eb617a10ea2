"""The prompts of the raw rows, compared before any answer: equal ones, held-out ones, and ids of two different rows.

    raw rows   a "My PIN?"   a "My PIN?" (another shard)   b "my  pin?"   c "Cancel it"   d "x", and d "y" elsewhere
    number     0             -                             1              2               3
    same       0             -                             0              1               2
    conflicts                                                                             {3: both shards}

The index has one entry for each row id, numbered in the order of row ids. It keeps numbers and hashes, not texts.
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

import numpy as np
import pyarrow as pa

from distill_dagster.config import QualityConfig
from distill_dagster.quality.columns import BLOCK, RAW_ORDER, Rows, blocks, ordered, pc, walk
from distill_dagster.quality.duplicates.contamination import HeldOut, Match, template_sample
from distill_dagster.quality.duplicates.near import NearDuplicates
from distill_dagster.quality.duplicates.prompt_keys import (
    bare,
    contamination_key,
    duplicate_key,
    setting_of,
    user_text_of,
)
from distill_dagster.quality.duplicates.shingles import BANDS, NO_TEMPLATE, bands_of
from distill_dagster.store.hashing import canonical_json

SAMPLE = 2_000  # rows of a task from which its template is taken


class PromptIndex:
    """The prompts of a table of raw rows (RAW_USED), compared with one another and with the held-out rows.

    `test` holds the test rows; training rows are also compared with the validation rows of `raw`.
    """

    def __init__(self, raw: pa.Table, test: Rows, quality: QualityConfig) -> None:
        self.raw = raw
        self.conflicts: dict[int, set[str]] = {}  # number -> shards
        self.contaminated: dict[int, Match] = {}
        self.near = NearDuplicates(quality.near_duplicate_similarity) if quality.near_duplicate_similarity else None
        self._compares = self.near is not None or quality.contamination == "near"
        order = ordered(raw, RAW_ORDER)
        self._template = _template(raw, order) if self._compares else NO_TEMPLATE
        self.held_out = [
            HeldOut(rows, what, near=quality.contamination == "near", template=self._template)
            for rows, what in ((_dicts(test), "test"), (_dicts(raw.filter(_validation(raw))), "validation"))
        ]
        self._keys: list[bytes] = []  # blocks of 16 bytes for each entry
        self.places = self._read(order)  # number -> row of `raw`
        for held_out in reversed(self.held_out):  # a match with a test row wins
            self.contaminated |= {n: match for n, match in held_out.matches().items() if n not in self.conflicts}
        keys, self.same = np.unique(np.frombuffer(b"".join(self._keys), "V16"), return_inverse=True)
        self.owners = np.full(len(keys), -1, np.int64)  # same -> number of the row that is in the set, else -1
        del self._keys
        if self.near:
            self.near.close()

    def row_id(self, number: int) -> str:
        """The row id with that number."""
        return self.raw.column("row_id")[self.places[number].as_py()].as_py()

    def _read(self, order: pa.Array) -> pa.Array:
        """Read all raw rows once and compare them a block at a time; returns the first row of each id."""
        places: list[int] = []
        block: list[dict[str, Any]] = []
        last: dict[str, Any] | None = None
        for place, row in zip(order.to_numpy(), walk(self.raw, order), strict=True):
            if last is not None and last["row_id"] == row["row_id"]:
                if _content(last) != _content(row):
                    self.conflicts.setdefault(len(places) - 1, {last["shard"]}).add(row["shard"])
                continue
            if len(block) == BLOCK:
                self._compare(block, len(places) - len(block))
                block = []
            last = row
            block.append(row)
            places.append(place)
        self._compare(block, len(places) - len(block))
        return pa.array(places, pa.int64())

    def _compare(self, rows: Sequence[Mapping[str, Any]], first: int) -> None:
        """Compare a block of rows, whose numbers start at `first`."""
        self._keys.append(b"".join(_digest("\0".join(duplicate_key(row))) for row in rows))
        user_texts = [user_text_of(row) for row in rows] if self._compares else [""] * len(rows)
        texts = [bare(text) for text in user_texts]
        bands = bands_of(texts, self._template) if self._compares else np.empty((len(rows), BANDS), np.uint64)
        if self.near:
            self.near.add(user_texts, [setting_of(row) for row in rows], bands)
        keys = [contamination_key(row, text) for row, text in zip(rows, texts, strict=True)]
        training = np.array([row["split"] != "validation" for row in rows], bool)
        for held_out, chosen in zip(self.held_out, (np.full(len(rows), True), training), strict=True):
            own = np.flatnonzero(chosen).tolist()
            held_out.enter(
                [first + i for i in own],
                [rows[i]["task"] for i in own],
                [keys[i] for i in own],
                [texts[i] for i in own],
                bands[own],
            )


def _template(raw: pa.Table, order: pa.Array) -> frozenset[str]:
    """The template shingles of all tasks, from rows at even steps in the order of row ids."""
    samples: list[dict[str, Any]] = []
    tasks = raw.column("task").combine_chunks().take(order)
    for task in tasks.unique():
        own = order.filter(pc.equal(tasks, task))
        step = max(1, len(own) // SAMPLE)
        samples += [row for block in blocks(raw, own.take(pa.array(range(0, len(own), step)))) for row in block]
    return template_sample(samples)


def _digest(text: str) -> bytes:
    return sha256(text.encode("utf-8", "surrogatepass")).digest()[:16]


def _validation(raw: pa.Table) -> Any:
    return pc.equal(raw.column("split"), "validation")


def _dicts(rows: Rows) -> list[dict[str, Any]]:
    return list(rows) if isinstance(rows, Sequence) else rows.to_pylist()


def _content(row: Mapping[str, Any]) -> str:
    """Equal for copies of one raw row."""
    return canonical_json([row["task"], row["messages"], list(row["reference"] or ())])

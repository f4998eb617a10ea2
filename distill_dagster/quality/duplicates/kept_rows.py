"""The rows of the set so far that a later row may repeat: who has its prompt, or nearly its prompt.

    slots  [7, 120, -1, …]     the places of the row's prompt and of each of its bands; -1: no other row has it
    state  [… 2, 31, 40 …]     at a place the number of rows that are kept there, and then these rows

The rows' texts are in a file, and the state in another that is mapped into memory. Of a row that shares its prompt or a
band, memory itself holds 12 bytes.
"""

import mmap
import os
from array import array
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson

from distill_dagster.quality.duplicates.near import Answered, near_duplicate
from distill_dagster.quality.duplicates.prompt_keys import duplicate_key, user_text_of
from distill_dagster.quality.duplicates.shared_slots import COMPARED
from distill_dagster.store.hashing import sha256

ENTRY = 4  # bytes of an entry of the state
ZEROS = 1 << 20  # entries that are written at a time


class AskedPrompt:
    """The prompt of a row, as it is compared with those of kept rows."""

    def __init__(self, row: Mapping[str, Any]) -> None:
        self.row = row

    @cached_property
    def key(self) -> str:
        """Equal for equal prompts."""
        return sha256("\0".join(duplicate_key(self.row)))

    @cached_property
    def text(self) -> str:
        """What near duplicates are searched in."""
        return user_text_of(self.row)


class KeptRows:
    """Rows are entered in the order in which they are judged; `room` is the number of entries of all slots.

    The first of a row's slots is that of its prompt, and the others those of its bands.
    """

    def __init__(self, folder: Path, room: int, threshold: float | None) -> None:
        self.threshold = threshold
        self._texts = os.open(folder / "kept.texts", os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        self._ends = array("q", [0])  # of each row's text in the file
        self._answers = array("i")  # beginnings of hashes, which rule most rows out without a look at their texts
        with (folder / "kept.slots").open("w+b") as file:
            for start in range(0, max(room, 1), ZEROS):  # a disk that is full fails here, and not as a signal later
                file.write(bytes(ENTRY * min(ZEROS, max(room, 1) - start)))
            file.flush()
            self._map = mmap.mmap(file.fileno(), 0)
        self._state = memoryview(self._map).cast("i")

    def close(self) -> None:
        """Close the files."""
        self._state.release()
        self._map.close()
        os.close(self._texts)

    def owner(self, slots: Sequence[int], prompt: AskedPrompt) -> str | None:
        """The id of the kept row with the same prompt."""
        for other in self._at(slots[0]):
            row_id, key, *_ = self._read(other)
            if key == prompt.key:
                return row_id
        return None

    def alike(self, slots: Sequence[int], prompt: AskedPrompt, own: Answered) -> str | None:
        """The id of the first kept row with nearly the same prompt."""
        if self.threshold is None:
            return None
        answer = _beginning(own)
        for other in sorted({row for slot in slots[1:] for row in self._at(slot)}):
            if self._answers[other] == answer:
                row_id, _, text, said, gold = self._read(other)
                if own.agrees(Answered(said, tuple(gold))) and near_duplicate(text, prompt.text, self.threshold):
                    return row_id
        return None

    def keep(self, slots: Sequence[int], prompt: AskedPrompt, own: Answered) -> None:
        """Enter a row."""
        if max(slots) < 0:
            return
        key = prompt.key if slots[0] >= 0 else None
        record = orjson.dumps([prompt.row["row_id"], key, prompt.text, own.answer, own.gold])
        _write(self._texts, record, self._ends[-1])
        self._ends.append(self._ends[-1] + len(record))
        self._answers.append(_beginning(own))
        for slot in slots:
            if slot >= 0 and (count := self._state[slot]) < COMPARED:
                self._state[slot + 1 + count] = len(self._answers) - 1
                self._state[slot] = count + 1

    def _at(self, slot: int) -> list[int]:
        return self._state[slot + 1 : slot + 1 + self._state[slot]].tolist() if slot >= 0 else []

    def _read(self, row: int) -> tuple[str, str | None, str, str | None, list[str]]:
        """The row's id, its key, its text, its answer, and its gold answers."""
        begin, end = self._ends[row], self._ends[row + 1]
        return orjson.loads(os.pread(self._texts, end - begin, begin))


def _write(file: int, record: bytes, place: int) -> None:
    while record:  # a full disk takes a part, and then raises
        done = os.pwrite(file, record, place)
        record, place = record[done:], place + done


def _beginning(own: Answered) -> int:
    return hash(own.answer) % 2**31

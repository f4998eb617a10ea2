"""Capture one shard: teacher.parquet and raw.parquet in, logits.parquet and rejects.parquet out.

Every teacher row that was answered has either a logits row or a reject with its reason:

    requests == failed + captured + rejected

The texts of a shard are held in memory, the distributions never: answers are taken by the window, a window's
sequences are read in batches of similar length, and the window is packed, written as one row group, and forgotten.

    window of 262,144 tokens ─ sorted by length ─> batches of `batch_tokens` ─> (T, 64) each ─> one row group
"""

import hashlib
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from distill_dagster.config import LogitsConfig
from distill_dagster.errors import DataError
from distill_dagster.logits.distributions import Distributions, encode
from distill_dagster.logits.prefill import Reader
from distill_dagster.logits.sequences import COLUMNS, Refusal, Sequence, may_be_learned, sequences_of
from distill_dagster.logits.specs import CaptureSpec
from distill_dagster.logits.table import LogitsWriter
from distill_dagster.logits.tokenizer import tokenizer_hash
from distill_dagster.models.decoding import cut_batches
from distill_dagster.models.loading import load
from distill_dagster.progress import track
from distill_dagster.store import files, parquet, schemas
from distill_dagster.store.manifest import Produced

WINDOW_TOKENS = 2**18  # prompts and answers of one row group; at k=64 at most 60 MB of packed columns
SNIPPET = 200  # characters
TEMPERATURE = 1.0  # of the softmax; another one can be had from these log-probabilities, not the reverse


@dataclass(slots=True)
class Tally:
    """What has been captured so far."""

    digest: Any = field(default_factory=hashlib.sha256)
    captured: int = 0
    retokenized: int = 0
    tokens: int = 0
    kept_mass: float = 0.0  # of the k tokens, summed over all tokens
    seconds: float = 0.0

    def add(self, sequence: Sequence, given: Distributions) -> None:
        """Count one answer."""
        self.captured += 1
        self.retokenized += sequence.retokenized
        self.tokens += sequence.answer_tokens
        self.kept_mass += float(np.exp(given.logprobs.astype(np.float64)).sum())

    def hash(self, rows: Iterable[dict[str, Any]]) -> None:
        """Take the content hash over the rows and not over the parquet file, whose bytes depend on pyarrow."""
        for row in rows:
            for value in row.values():
                self.digest.update(value if isinstance(value, bytes) else f"{value}\n".encode("utf-8", "surrogatepass"))


def capture_logits(request: CaptureSpec, device: str) -> Produced:
    """Write `logits.parquet` and `rejects.parquet` into `request.out`.

    Raises:
        DataError: a table cannot be read, or every answer is another teacher's.
        ModelError: the teacher cannot be loaded, or says NaN, or has fewer tokens than `k`.
    """
    rows = {row["row_id"]: row for row in parquet.read_table(Path(request.rows))}
    answers = parquet.read_table(Path(request.answers), COLUMNS)
    loaded = load(request.model, device)
    reader, tally, refusals = Reader(loaded, request.logits.k), Tally(), list[Refusal]()
    constants, made = _constants(reader, request.logits), sequences_of(answers, rows, loaded)
    ok = sum(may_be_learned(answer) for answer in answers)
    with LogitsWriter(Path(request.out) / files.LOGITS_FILE) as writer, track("capture logits", ok) as advance:
        for window in _windows(made, refusals):
            started = time.perf_counter()
            table = _read_window(window, reader, request.logits, constants, tally)
            writer.write(table)
            tally.hash(table)
            tally.seconds += time.perf_counter() - started
            advance(len(window))
        advance(len(refusals))
    _require_own(refusals, ok)
    rejects = [_reject(refusal, rows.get(refusal.key[0])) for refusal in refusals]
    parquet.write_table(Path(request.out) / files.REJECTS_FILE, rejects, schemas.REJECT)
    counts = {"requests": len(answers), "not_learned": len(answers) - ok, "captured": tally.captured}
    counts["rejected"] = len(refusals)
    return Produced(tally.digest.hexdigest(), counts, _facts(tally, refusals, reader, constants))


def _constants(reader: Reader, config: LogitsConfig) -> dict[str, Any]:
    """What every row of the file says alike."""
    return {
        "k": config.k,
        "vocab_size": reader.vocab_size,
        "precision": config.precision,
        "temperature": TEMPERATURE,
        "tokenizer_hash": tokenizer_hash(reader.loaded.tokenizer),
        "teacher_revision": reader.loaded.ref.revision,
    }


def _windows(made: Iterable[Sequence | Refusal], refusals: list[Refusal]) -> Iterator[list[Sequence]]:
    """Sequences in windows of at most `WINDOW_TOKENS` tokens and a row group's rows; refusals go to their list."""
    window, tokens = list[Sequence](), 0
    for one in made:
        if isinstance(one, Refusal):
            refusals.append(one)
            continue
        if window and (tokens + len(one.ids) > WINDOW_TOKENS or len(window) == parquet.ROWS_PER_GROUP):
            yield window
            window, tokens = [], 0
        window.append(one)
        tokens += len(one.ids)
    if window:
        yield window


def _read_window(
    window: list[Sequence], reader: Reader, config: LogitsConfig, constants: dict[str, Any], tally: Tally
) -> list[dict[str, Any]]:
    """Rows of `records.LOGITS`, in the order of the window; only packed ones outlive their batch."""
    table: dict[int, dict[str, Any]] = {}
    for batch in cut_batches({i: len(one.ids) for i, one in enumerate(window)}, 0, config.batch_tokens):
        sequences = [window[i] for i in batch]
        for i, sequence, given in zip(batch, sequences, reader.read(sequences), strict=True):
            tally.add(sequence, given)
            packed = encode(given, reader.vocab_size, config.precision)
            row_id, sample, turn = sequence.key
            keys = {"row_id": row_id, "sample": sample, "turn": turn, "tokens": sequence.answer_tokens}
            table[i] = {**keys, **packed, **constants}
    return [table[i] for i in range(len(window))]


def _require_own(refusals: list[Refusal], ok: int) -> None:
    """Refuse a shard in which nothing was answered by this teacher: its answers are those of an earlier one."""
    if ok and sum(refusal.code == "other_teacher" for refusal in refusals) == ok:
        raise DataError(f"all {ok:,} answers: {refusals[0].message}; materialize teacher_outputs again first")


def _reject(refusal: Refusal, row: Mapping[str, Any] | None) -> dict[str, Any]:
    """One line of `records.REJECT`."""
    row_id, sample, turn = refusal.key
    return {
        "shard": row["shard"] if row else None,
        "line": row["source_line"] if row else None,
        "row_id": row_id,
        "stage": "teacher_logits",
        "code": refusal.code,
        "message": f"sample {sample}, turn {turn}: {refusal.message}",
        "snippet": refusal.text[:SNIPPET],
    }


def _facts(tally: Tally, refusals: list[Refusal], reader: Reader, constants: dict[str, Any]) -> dict[str, Any]:
    """What people read: size, speed, how much the k tokens hold, and why answers were refused."""
    return {
        **constants,
        "tokens": tally.tokens,
        "tokens_per_second": tally.tokens / tally.seconds if tally.seconds else 0.0,
        "kept_mass": tally.kept_mass / tally.tokens if tally.tokens else 0.0,
        "retokenized": tally.retokenized,
        "errors": dict(sorted(Counter(refusal.code for refusal in refusals).items())),
        "head_apart": reader.head_apart,
        "device": reader.loaded.device,
        "dtype": reader.loaded.dtype,
    }

"""Capture one shard: teacher.parquet and raw.parquet in, logits.parquet and rejects.parquet out.

Every answer that the student may learn has either a logits row or a reject with its reason:

    requests == not_learned + captured + rejected

The texts of a shard stay in memory, its distributions do not: the sequences of one window at a time are read in batches
of similar length, packed, and written as one row group.

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
from distill_dagster.logits.sequences import COLUMNS, Refusal, TokenSequence, may_be_learned, sequences_of
from distill_dagster.logits.specs import CaptureCounts, CaptureResult, CaptureSpec
from distill_dagster.logits.table import LogitsWriter
from distill_dagster.logits.tokenizer import tokenizer_hash
from distill_dagster.models.decoding import cut_batches
from distill_dagster.models.loading import load
from distill_dagster.progress import track
from distill_dagster.store import files, parquet, schemas

WINDOW_TOKENS = 2**18  # prompts and answers of one row group; at k=64 at most 60 MB of packed columns
SNIPPET = 200  # characters
TEMPERATURE = 1.0  # of the softmax


@dataclass(slots=True)
class CaptureTally:
    """Totals of the answers captured so far."""

    digest: Any = field(default_factory=hashlib.sha256)
    captured: int = 0
    retokenized: int = 0
    tokens: int = 0
    kept_mass: float = 0.0  # of the k tokens, summed over all tokens
    seconds: float = 0.0

    def add(self, sequence: TokenSequence, given: Distributions) -> None:
        """Count one answer."""
        self.captured += 1
        self.retokenized += sequence.retokenized
        self.tokens += sequence.answer_tokens
        self.kept_mass += float(np.exp(given.logprobs.astype(np.float64)).sum())

    def hash(self, rows: Iterable[dict[str, Any]]) -> None:
        """Add rows to the content hash. A hash of the parquet file would depend on the version of pyarrow."""
        for row in rows:
            for value in row.values():
                self.digest.update(value if isinstance(value, bytes) else f"{value}\n".encode("utf-8", "surrogatepass"))


def capture_logits(spec: CaptureSpec, device: str) -> CaptureResult:
    """Write `logits.parquet` and `rejects.parquet` into `spec.out`.

    Raises:
        DataError: a table cannot be read, or another teacher gave all the answers.
        ModelError: the teacher cannot be loaded, returns NaN, or has fewer tokens than `k`.
    """
    rows = {row["row_id"]: row for row in parquet.read_table(Path(spec.rows))}
    answers = parquet.read_table(Path(spec.answers), COLUMNS)
    loaded = load(spec.model, device)
    reader, ok = Reader(loaded, spec.logits.k, spec.logits.tail), sum(may_be_learned(answer) for answer in answers)
    captured = write_distributions(sequences_of(answers, rows, loaded), ok, reader, spec.logits, Path(spec.out))
    _require_own(captured.refusals, ok)
    places = {row_id: (row["shard"], row["source_line"]) for row_id, row in rows.items()}
    write_rejects(captured.refusals, places, "teacher_logits", Path(spec.out))
    return captured.result(requests=len(answers), not_learned=len(answers) - ok)


@dataclass(frozen=True, slots=True)
class Captured:
    """What was written, and the answers that were refused."""

    tally: CaptureTally
    refusals: list[Refusal]
    constants: dict[str, Any]
    facts: dict[str, Any]

    def result(self, *, requests: int, not_learned: int) -> CaptureResult:
        """What the worker returns."""
        counts = CaptureCounts(
            requests=requests,
            not_learned=not_learned,
            captured=self.tally.captured,
            rejected=len(self.refusals),
        )
        return CaptureResult(data_version=self.tally.digest.hexdigest(), counts=counts, **self.constants, **self.facts)


def write_distributions(
    made: Iterable[TokenSequence | Refusal], total: int, reader: Reader, config: LogitsConfig, out: Path
) -> Captured:
    """Write `logits.parquet` of `total` sequences and refusals into `out`; ModelError as `Reader.read`."""
    tally, refusals, constants = CaptureTally(), list[Refusal](), _constants(reader, config)
    with LogitsWriter(out / files.LOGITS_FILE) as writer, track("capture logits", total) as advance:
        for window in _windows(made, refusals):
            started = time.perf_counter()
            table = read_window(window, reader, config, constants, tally)
            writer.write(table)
            tally.hash(table)
            tally.seconds += time.perf_counter() - started
            advance(len(window))
        advance(len(refusals))
    return Captured(tally, refusals, constants, _facts(tally, refusals, reader))


def write_rejects(
    refusals: Iterable[Refusal], places: Mapping[str, tuple[str, int | None]], stage: str, out: Path
) -> None:
    """Write `rejects.parquet` into `out`; `places` maps a row id to its shard and its line there."""
    rejects = [_reject(refusal, stage, places.get(refusal.key[0], (None, None))) for refusal in refusals]
    parquet.write_table(out / files.REJECTS_FILE, rejects, schemas.REJECT)


def _constants(reader: Reader, config: LogitsConfig) -> dict[str, Any]:
    """The columns that are the same in every row of the file."""
    return {
        "k": reader.kept,
        "vocab_size": reader.vocab_size,
        "precision": config.precision,
        "temperature": TEMPERATURE,
        "tokenizer_hash": tokenizer_hash(reader.loaded.tokenizer),
        "teacher_revision": reader.loaded.ref.revision,
    }


def _windows(made: Iterable[TokenSequence | Refusal], refusals: list[Refusal]) -> Iterator[list[TokenSequence]]:
    """Sequences in windows of at most `WINDOW_TOKENS` tokens and a row group's rows; refusals go to their list."""
    window, tokens = list[TokenSequence](), 0
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


def read_window(
    window: list[TokenSequence], reader: Reader, config: LogitsConfig, constants: dict[str, Any], tally: CaptureTally
) -> list[dict[str, Any]]:
    """Rows of `schemas.LOGITS`, in the order of the window. Distributions are packed at once, batch by batch."""
    table: dict[int, dict[str, Any]] = {}
    for batch in _batches(window, reader, config.batch_tokens):
        sequences = [window[i] for i in batch]
        for i, sequence, given in zip(batch, sequences, reader.read(sequences), strict=True):
            tally.add(sequence, given)
            packed = encode(given, reader.vocab_size, config.precision)
            row_id, sample, turn = sequence.key
            keys = {"row_id": row_id, "sample": sample, "turn": turn, "tokens": sequence.answer_tokens}
            table[i] = {**keys, **packed, **constants}
    return [table[i] for i in range(len(window))]


def _batches(window: list[TokenSequence], reader: Reader, batch_tokens: int) -> Iterator[list[int]]:
    """Positions in the window, in batches of like length that the model reads with the same angles."""
    for side in (False, True):
        lengths = {i: len(one.ids) for i, one in enumerate(window) if reader.limits.side(len(one.ids) - 1) == side}
        yield from cut_batches(lengths, 0, batch_tokens)


def _require_own(refusals: list[Refusal], ok: int) -> None:
    """Raise DataError if this teacher gave none of the answers: they are an earlier teacher's."""
    if ok and sum(refusal.code == "other_teacher" for refusal in refusals) == ok:
        raise DataError(f"all {ok:,} answers: {refusals[0].message}; materialize teacher_outputs again first")


def _reject(refusal: Refusal, stage: str, place: tuple[str | None, int | None]) -> dict[str, Any]:
    """One line of `schemas.REJECT`."""
    row_id, sample, turn = refusal.key
    return {
        "shard": place[0],
        "line": place[1],
        "row_id": row_id,
        "stage": stage,
        "code": refusal.code,
        "message": f"sample {sample}, turn {turn}: {refusal.message}",
        "snippet": refusal.text[:SNIPPET],
    }


def _facts(tally: CaptureTally, refusals: list[Refusal], reader: Reader) -> dict[str, Any]:
    """The fields of `CaptureResult` that are read off the tally, the refusals and the model."""
    return {
        "tokens": tally.tokens,
        "tokens_per_second": tally.tokens / tally.seconds if tally.seconds else 0.0,
        "kept_mass": tally.kept_mass / tally.tokens if tally.tokens else 0.0,
        "retokenized": tally.retokenized,
        "errors": dict(sorted(Counter(refusal.code for refusal in refusals).items())),
        "head_apart": reader.head_apart,
        "device": reader.loaded.device,
        "dtype": reader.loaded.dtype,
    }

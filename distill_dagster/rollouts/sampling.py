"""Sample the student on training prompts: `examples.parquet` in, `rollouts.parquet` and `rejects.parquet` out.

    row_id  sample  turn  prompt_ids        token_ids       finish_reason
    d-17    0       0     [3, 41, …, 4]     [590, 13, 1]    stop
    d-18    0       0     [3, 77, …, 4]     [8, 8, …, 8]    repetition     cut where the loop was seen

The tokens are stored, not only their text: another split of the same text would not be what the student sampled. Each
rollout is in a journal as soon as it has ended, so a killed run loses only those that had not. A rollout's draws follow
from seed, round, key and prompt.
"""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from distill_dagster.config import OnPolicyConfig
from distill_dagster.errors import DataError
from distill_dagster.logits.sequences import Key, Refusal
from distill_dagster.logits.shard import write_rejects
from distill_dagster.logits.tokenizer import tokenizer_hash
from distill_dagster.models.decoding import Completion, Repetition, Row, Sampling, answer_rows, rows_of, text_of
from distill_dagster.models.frames import opening_of
from distill_dagster.models.loading import LoadedModel, load
from distill_dagster.progress import track
from distill_dagster.quality.columns import pc, value_counts
from distill_dagster.rollouts.specs import SampleCounts, SampleResult, SampleSpec
from distill_dagster.store import files, hashing, parquet, schemas
from distill_dagster.tasks.prompts import without_answer
from distill_dagster.teachers.journal import open_journal, read_journal

COLUMNS = ("row_id", "sample", "turn", "shard", "split", "messages")
JOURNAL = "rollouts.jsonl"
REASONS = {"E010": "prompt and max_new_tokens do not fit the student's context", "E015": "it cannot be rendered"}
Prompt = Mapping[str, Any]


def sample_rollouts(spec: SampleSpec, device: str) -> SampleResult:
    """Write `rollouts.parquet` and `rejects.parquet` into `spec.out`.

    Raises:
        DataError: there is no prompt that the student can answer, or a table or the journal cannot be read or written.
        ModelError: the student cannot be loaded.
    """
    prompts = draw_prompts(Path(spec.examples), spec.rounds, spec.round)
    loaded = load(spec.student, device)
    keys = [f"{spec.round}:{':'.join(map(str, key_of(prompt)))}" for prompt in prompts]
    rows, refused = rows_of(loaded, [prompt["messages"] for prompt in prompts], spec.max_new_tokens, keys)
    if not rows:
        errors = ", ".join(f"{count:,} {code}" for code, count in _codes(refused).items())
        raise DataError(f"the student can answer 0 of {len(prompts):,} training prompts: {errors}")
    path = Path(spec.work) / JOURNAL
    found = _resume(path, rows, prompts, spec)
    started = time.perf_counter()
    _sample(loaded, [row for row in rows if not row.ended], prompts, spec, path, len(found))
    seconds = time.perf_counter() - started
    table = [_line(loaded, prompts[row.position], row) for row in rows]
    parquet.write_table(Path(spec.out) / files.ROLLOUTS_FILE, table, schemas.ROLLOUT)
    refusals = [_refusal(prompts[i], str(refused[i].error_code)) for i in sorted(refused)]
    places = {prompt["row_id"]: (prompt["shard"], None) for prompt in prompts}
    write_rejects(refusals, places, f"student_rollouts_{spec.round}", Path(spec.out))
    new = sum(len(row.answer) for row in rows if row.position not in found)
    ends = Counter(row.finish for row in rows)
    return SampleResult(
        data_version=hashing.rows_hash(table),
        counts=SampleCounts(
            prompts=len(prompts),
            rollouts=len(rows),
            stop=ends["stop"],
            length=ends["length"],
            repetition=ends["repetition"],
            rejected=len(refused),
        ),
        tokens=sum(len(row.answer) for row in rows),
        tokens_per_second=new / seconds if new else 0.0,
        resumed=len(found),
        errors=_codes(refused),
        tokenizer_hash=tokenizer_hash(loaded.tokenizer),
        device=device,
        dtype=loaded.dtype,
    )


def draw_prompts(examples: Path, rounds: OnPolicyConfig, number: int) -> list[Prompt]:
    """The training prompts of a round, in the order of the examples; no other rows are held.

    Raises:
        DataError: no example is for training, or the table cannot be read.
    """
    splits = Counter[str]()
    for table in parquet.stream_tables(examples, ["split"]):
        splits += value_counts(table.column("split"))
    training = splits["train"]
    if not training:
        raise DataError(f"0 of {splits.total():,} examples are for training, so that nothing can be sampled: add rows")
    wanted = min(rounds.prompts or training, training)
    chosen = np.random.default_rng([rounds.seed, number]).permutation(training)[:wanted]
    return [{**row, "messages": without_answer(row["messages"])} for row in _training_rows(examples, np.sort(chosen))]


def _training_rows(examples: Path, chosen: NDArray[np.int64]) -> Iterator[Prompt]:
    """The training rows with these numbers, which ascend."""
    start = 0
    for table in parquet.stream_tables(examples, COLUMNS):
        training = table.filter(pc.equal(table.column("split"), "train"))
        first, end = np.searchsorted(chosen, [start, start + len(training)])
        yield from training.take(pa.array(chosen[first:end] - start)).to_pylist()
        start += len(training)


def key_of(row: Mapping[str, Any]) -> Key:
    """The key that joins a rollout to its example and to its distributions."""
    return row["row_id"], row["sample"], row["turn"]


def _resume(path: Path, rows: Sequence[Row], prompts: Sequence[Prompt], spec: SampleSpec) -> set[int]:
    """Give rows the answers that an unfinished run of the same student has sampled; returns their positions."""
    stored = {entry.get("made_from"): entry for entry in read_journal(path)}
    found = set[int]()
    for row in rows:
        entry = stored.get(_made_from(spec, prompts[row.position], row))
        if entry is not None:
            row.answer, row.finish = entry["token_ids"], entry["finish_reason"]
            found.add(row.position)
    return found


def _made_from(spec: SampleSpec, prompt: Prompt, row: Row) -> str:
    """Hash of all that a rollout follows from."""
    shaped = [spec.student.version, spec.round, spec.rounds.sampled, spec.max_new_tokens]
    return hashing.sha256(hashing.canonical_json([*shaped, key_of(prompt), row.prompt]))


def _sample(
    loaded: LoadedModel, rows: Sequence[Row], prompts: Sequence[Prompt], spec: SampleSpec, path: Path, done: int
) -> None:
    """Answer the rows; each is in the journal as soon as it has ended."""
    with open_journal(path) as journal, track("sample rollouts", len(rows) + done, done) as advance:
        for row in _ended(loaded, rows, spec):
            made_from = _made_from(spec, prompts[row.position], row)
            journal.append({"made_from": made_from, "token_ids": row.answer, "finish_reason": row.finish})
            advance(1)


def _ended(loaded: LoadedModel, rows: Sequence[Row], spec: SampleSpec) -> Iterator[Row]:
    rounds = spec.rounds
    repetition = Repetition(rounds.repetition.ngram, rounds.repetition.times)
    sampling = Sampling(spec.max_new_tokens, rounds.temperature, seed=rounds.seed, repetition=repetition)
    for ended in answer_rows(loaded, rows, sampling, rounds.batch_tokens):
        yield from ended


def _line(loaded: LoadedModel, prompt: Prompt, row: Row) -> dict[str, Any]:
    """One line of `schemas.ROLLOUT`."""
    kept = {name: prompt[name] for name in ("row_id", "sample", "turn", "shard", "messages")}
    text = hashing.storable(text_of(loaded, row, opening_of(loaded.tokenizer)))
    return {**kept, "prompt_ids": row.prompt, "token_ids": row.answer, "text": text, "finish_reason": row.finish}


def _refusal(prompt: Prompt, code: str) -> Refusal:
    return Refusal(key_of(prompt), code, REASONS[code], prompt["messages"][-1]["content"])


def _codes(refused: Mapping[int, Completion]) -> dict[str, int]:
    return dict(sorted(Counter(str(one.error_code) for one in refused.values()).items()))

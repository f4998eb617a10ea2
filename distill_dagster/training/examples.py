"""What is learned, as token ids: rows of messages and an answer, tokenized once with `datasets`.

    {"row_id": "7", "sample": 0, "turn": 0, "messages": [user "Great film."], "answer": "positive"}
    ->  row_id "7", sample 0, turn 0                       the keys, by which a signal finds what is stored for the row
        input_ids  [3, 812, 95, 14, 1, 4,  640, 1]         prompt, answer, end token
        answer_start                       6               the loss begins here
        length     8

The answer is the whole target text: with `student.learn: reasoning_and_answer` it opens with the reasoning.
A row that is too long is refused and not cut, because half an answer teaches to stop in the middle.
"""

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset

from distill_dagster.config import TrainingConfig
from distill_dagster.errors import TrainingError
from distill_dagster.models.quiet import quietly
from distill_dagster.models.rendering import RenderError, encode_example
from distill_dagster.models.row_limits import NO_LIMITS, RowLimits, longest_row
from distill_dagster.tasks.prompts import prompts_of, without_answer

SPLITS = ("train", "validation")
KEYS = ("row_id", "sample", "turn")  # which example it is
TOKENS = ("input_ids", "answer_start", "length")
REFUSALS = ("too_long", "E015")


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """Tokenized rows (`KEYS`, `TOKENS` and a signal's own columns), and why others were refused."""

    train: Dataset
    validation: Dataset
    counts: dict[str, int]

    def joined(self, join: Callable[[Dataset], tuple[Dataset, dict[str, int]]]) -> "TrainingSet":
        """The set with what a signal adds to its training rows; the validation loss is that of the text.

        Raises:
            TrainingError: no training row is left.
        """
        train, left_out = join(self.train)
        if not len(train):
            reasons = ", ".join(f"{count:,} {reason}" for reason, count in left_out.items())
            raise TrainingError(f"0 of {len(self.train):,} rows can train with this signal: {reasons}")
        return TrainingSet(train, self.validation, {**self.counts, **left_out, "train_rows": len(train)})

    @property
    def train_tokens(self) -> int:
        """Tokens in one pass over the training rows, prompts included."""
        return sum(self.train["length"])


def gold_examples(rows: Iterable[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], int]:
    """The gold answers of raw rows as examples, and the number of prompts without one.

    A single-turn row teaches its first reference, a conversation each of its own assistant turns.
    """
    examples, without = [], 0
    for row in rows:
        for prompt in prompts_of(row):
            if prompt.reference:
                keys = {"row_id": row["row_id"], "sample": 0, "turn": prompt.turn, "split": row["split"]}
                examples.append({**keys, "messages": prompt.messages, "answer": prompt.reference[0]})
            else:
                without += 1
    return examples, without


def read_examples(path: Path, cache: Path) -> Dataset:
    """The validated set (`schemas.EXAMPLE`) as a memory-mapped dataset."""
    columns = [*KEYS, "split", "messages", "answer"]
    with quietly():
        return Dataset.from_parquet(str(path), cache_dir=str(cache), columns=columns)  # pyright: ignore[reportReturnType]


def most_tokens(config: TrainingConfig, model: Any) -> int:
    """The longest row that may train: `max_length`, or less if the model cannot read so long a row."""
    return min(config.max_length, longest_row(model.config) or config.max_length)


def tokenize(
    examples: Dataset, tokenizer: Any, ends: Sequence[int], max_length: int, limits: RowLimits = NO_LIMITS
) -> TrainingSet:
    """Tokenize `examples` (`KEYS`, `split`, `messages`, `answer`; other columns are kept) and part them by split.

    A row with a token that has no embedding, by the model's `limits`, is refused too.

    Raises:
        TrainingError: no training row is left.
    """

    reasons: list[str] = []

    def encode_row(row: dict[str, Any]) -> dict[str, Any]:
        try:
            encoded = encode_example(tokenizer, without_answer(row["messages"]), row["answer"], ends)
        except RenderError as e:
            reasons.append(str(e))
            return {"input_ids": [], "answer_start": 0, "length": 0, "refused": "E015"}
        length = len(encoded.ids)
        refused = "too_long" if length > max_length else "" if limits.reads(encoded.ids) else "E015"
        return {"input_ids": encoded.ids, "answer_start": encoded.answer_start, "length": length, "refused": refused}

    with quietly():
        encoded = examples.map(
            encode_row,
            remove_columns=["messages", "answer"],
            keep_in_memory=True,
            new_fingerprint=uuid.uuid4().hex,  # nothing is cached, and hashing a tokenizer takes longer than most sets
        )
    refused, splits = encoded["refused"], encoded["split"]
    kept = {
        split: [i for i, (code, own) in enumerate(zip(refused, splits, strict=True)) if not code and own == split]
        for split in SPLITS
    }
    counts = {f"{split}_rows": len(kept[split]) for split in SPLITS}
    counts |= {code: sum(c == code for c in refused) for code in REFUSALS}
    if not kept["train"]:
        why = f", such as: {reasons[0]}" if reasons else ""
        raise TrainingError(
            f"0 of {len(splits):,} rows can train: {counts['too_long']:,} are longer than max_length {max_length}, "
            f"{counts['E015']:,} are refused or rewritten by the chat template (E015{why}), and "
            f"{sum(s == 'validation' for s in splits):,} are for validation; raise `max_length`, add training rows, or "
            "use a model with another template"
        )
    rows = encoded.remove_columns(["split", "refused"])
    with quietly():
        train, validation = (rows.select(kept[s]).flatten_indices(keep_in_memory=True) for s in SPLITS)
    return TrainingSet(train, validation, counts)

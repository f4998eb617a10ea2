"""Read the rollouts with the teacher: `rollouts.parquet` in, `logits.parquet` and `rejects.parquet` out.

The teacher reads the prompt as its own chat template renders it, and behind it the very tokens that the student
sampled. For a divergence that weighs tokens by the student's probabilities, the student reads the rollouts too, and its
k likeliest tokens are kept beside the teacher's. A rollout is refused with one of these codes:

    E015            the teacher's chat template refuses the messages
    E010            prompt and rollout are longer than the teacher's context
    unknown_token   the student sampled a token that the teacher does not have
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from distill_dagster.logits.distributions import Distributions
from distill_dagster.logits.prefill import Reader
from distill_dagster.logits.sequences import Key, Refusal, TokenSequence
from distill_dagster.logits.shard import write_distributions, write_rejects
from distill_dagster.logits.specs import CaptureResult
from distill_dagster.logits.tokenizer import tokenizer_hash
from distill_dagster.models.loading import LoadedModel, load
from distill_dagster.models.ref import ModelRef
from distill_dagster.models.rendering import RenderError, encode, render_prompt
from distill_dagster.models.row_limits import RowLimits
from distill_dagster.models.same_tokens import common_ids
from distill_dagster.models.tokenizer import open_tokenizer
from distill_dagster.rollouts.sampling import key_of
from distill_dagster.rollouts.specs import CaptureRolloutsSpec
from distill_dagster.store import parquet

Rollout = Mapping[str, Any]


class UnitedReader(Reader):
    """Keeps the k likeliest tokens of the teacher and of the student at each position: 2k, or all that there are."""

    def __init__(self, loaded: LoadedModel, k: int, student: LoadedModel, sampled: Mapping[Key, TokenSequence]) -> None:
        """`sampled` are the sequences as the student reads them, by key."""
        super().__init__(loaded, k)
        self._student, self._sampled = Reader(student, k), sampled
        self.kept = min(2 * k, self.vocab_size)

    def read(self, batch: list[TokenSequence], others: np.ndarray | None = None) -> list[Distributions]:
        """See `Reader.read`; the others are the student's."""
        assert others is None, "the student's tokens are kept already"
        sampled = [self._sampled[sequence.key] for sequence in batch]
        alone = self._student.limits.switch is not None  # its lengths need not be the teacher's
        given = [self._student.read([one])[0] for one in sampled] if alone else self._student.read(sampled)
        ids = np.concatenate([one.ids for one in given])  # (N, k), the true token among them
        true = np.concatenate([one.token_ids for one in given])[:, None]
        return super().read(batch, np.where(ids < self.vocab_size, ids, true))


def capture_rollouts(spec: CaptureRolloutsSpec, device: str) -> CaptureResult:
    """Write `logits.parquet` and `rejects.parquet` into `spec.out`.

    Raises:
        DataError: the table cannot be read.
        ModelError: a model cannot be loaded, returns NaN, or has fewer tokens than `k`; or the teacher has another
            tokenizer than the student.
    """
    rollouts = parquet.read_table(Path(spec.rollouts))
    teacher = load(spec.teacher, device)
    common = _common_ids(teacher, spec.sampled_by)
    reader = Reader(teacher, spec.logits.k, spec.logits.tail)
    if spec.student is not None:
        sampled = {key_of(row): _sampled(row) for row in rollouts}
        reader = UnitedReader(teacher, spec.logits.k, load(spec.student, device), sampled)
    captured = write_distributions(
        _sequences(rollouts, teacher, common), len(rollouts), reader, spec.logits, Path(spec.out)
    )
    places = {row["row_id"]: (row["shard"], None) for row in rollouts}
    write_rejects(captured.refusals, places, spec.stage, Path(spec.out))
    return captured.result(requests=len(rollouts), not_learned=0)


def _common_ids(teacher: LoadedModel, sampled_by: ModelRef) -> int:
    """The number of ids, from 0 on, that hold all tokens which both have; ModelError if they tokenize differently."""
    student = open_tokenizer(Path(sampled_by.path), sampled_by.prompt_date)
    if tokenizer_hash(student) == tokenizer_hash(teacher.tokenizer):
        return sys.maxsize
    return common_ids(teacher.tokenizer, student)


def _sampled(row: Rollout) -> TokenSequence:
    """A rollout as the student reads it."""
    return TokenSequence(key_of(row), [*row["prompt_ids"], *row["token_ids"]], len(row["prompt_ids"]))


def _sequences(rollouts: Sequence[Rollout], teacher: LoadedModel, common: int) -> Iterator[TokenSequence | Refusal]:
    """One sequence or one refusal for each rollout, in their order."""
    limits, context = RowLimits.of(teacher.model.config), getattr(teacher.model.config, "max_position_embeddings", None)
    for row in rollouts:
        try:
            prompt = encode(teacher.tokenizer, render_prompt(teacher.tokenizer, row["messages"]))
        except RenderError as e:
            yield Refusal(key_of(row), "E015", str(e), row["text"])
            continue
        ids = [*prompt, *row["token_ids"]]
        if not limits.reads(ids) or max(row["token_ids"]) >= common:
            yield Refusal(key_of(row), "unknown_token", f"token {max(ids):,} is unknown to the teacher", row["text"])
        elif context is not None and len(ids) > context + 1:  # the last token is only predicted
            yield Refusal(key_of(row), "E010", f"{len(ids):,} tokens, the context has {context:,}", row["text"])
        else:
            yield TokenSequence(key_of(row), ids, len(prompt))

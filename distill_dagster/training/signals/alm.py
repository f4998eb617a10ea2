"""Approximate likelihood matching: the signal `logits` for a student with another tokenizer than its teacher's.

Two tokenizers have no distribution in common, but both models give a probability to the same bytes. For each span of
an answer (alignment.py), with p and q the probabilities that teacher and student give its own tokens,

    a = sum log p / tau        b = sum log q / tau
    ALM = -[e^a b + (1 - e^a) log(1 - e^b)]                    (arXiv 2503.20083; the paper calls a span a chunk)
    L = (alpha sum_t CE_t + (1 - alpha) tau sum_c ALM_c) / tokens

It is smallest where b = a, and the gradient is 0 there. With a large tau it follows the ratio of the log-probabilities,
and its gradient falls as 1 / tau; the factor tau undoes that, as T^2 does at temperature T. A token outside of all
spans is learned with CE alone at full weight. Only the teacher's log-probabilities of its own tokens are read, which
any `teacher.logits` holds.

    teacher    "Gre" "en"  <end>    log p  -0.9 -0.1 -0.2        span_of           [0, 1]
    student    "Green" <eos>        log q  -2.0 -0.4             teacher_logprobs  [-1.0, -0.2]

N positions, S of them in a chunk of the kernel.
"""

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from datasets import Dataset

from distill_dagster.config.signals import LogitsSignalConfig, StudentTrainingConfig
from distill_dagster.training.alignment import Spelling, align
from distill_dagster.training.signals.kernel import LogProbs
from distill_dagster.training.signals.protocol import Example, StudentAlone, TensorBatch
from distill_dagster.training.signals.stored import REFUSED, StoredLogits, matched_rows
from distill_dagster.training.signals.text import TextSignal

NO_SPAN = -1
APART = "no_span"  # the reason of rows whose answer has no span with the teacher's
LOG_HALF = math.log(0.5)


class AlmBatch(TensorBatch):
    """A text batch with the spans of its N tokens that have a weight."""

    groups: torch.Tensor  # (N,) int64, ascending: a number for each span, and for each token outside of all
    in_span: torch.Tensor  # (N,) bool: the token is in a span
    closes: torch.Tensor  # (N,) bool: it is the last one of its span
    logprobs: torch.Tensor  # (N,) float32 where `closes`: the span's log-probability to the teacher


@dataclass(frozen=True, slots=True)
class Matching:
    """A term of the kernel: the matching of spans, and the cross-entropy."""

    ids: torch.Tensor  # (N, 1)
    groups: torch.Tensor  # (N,)
    closes: torch.Tensor  # (N,)
    logprobs: torch.Tensor  # (N,)
    by_token: torch.Tensor  # (N,) weights of the cross-entropy
    by_span: float  # weight of a span
    tau: float
    temperature: ClassVar[float] = 1.0
    drawn: ClassVar[None] = None
    vocab_size: ClassVar[None] = None
    needs_mean: ClassVar[bool] = False

    def loss(self, chunk: slice, seen: LogProbs) -> torch.Tensor:
        """See `kernel.Term`; a span's loss is that of its last position."""
        own, closes = own_logprobs(seen), self.closes[chunk]
        local = self.groups[chunk] - self.groups[chunk][:1]  # (S,)
        sums = own.new_zeros(len(own)).index_add(0, local, own)  # by span; there are no more than positions
        matching = binary_cross_entropy(
            self.logprobs[chunk][closes].to(own.dtype) / self.tau, sums[local[closes]] / self.tau
        )
        loss = -self.by_token[chunk] * own
        return loss.index_add(0, closes.nonzero()[:, 0], self.by_span * matching)


def own_logprobs(seen: LogProbs) -> torch.Tensor:
    """The student's log-probability (S,) of each true token, with all its digits where it is near 0.

    There it is log(1 - rest): of 1 - 1e-9, float32 keeps 1.
    """
    kept, rest = seen.kept[:, 0], seen.rest
    return torch.where(rest < LOG_HALF, torch.log1p(-rest.clamp(max=LOG_HALF).exp()), kept)


def binary_cross_entropy(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """-[e^a b + (1 - e^a) log(1 - e^b)] for a, b ≤ 0; a b of 0 counts as the number next to it."""
    b = b.clamp(max=-torch.finfo(b.dtype).tiny)
    return -(a.exp() * b - torch.expm1(a) * log1mexp(b))


def log1mexp(x: torch.Tensor) -> torch.Tensor:
    """log(1 - e^x) for x < 0, by the one of two formulas that loses no digits (Mächler 2012, note of package Rmpfr)."""
    near = x > LOG_HALF
    close, far = torch.where(near, x, -1.0), torch.where(near, -1.0, x)
    return torch.where(near, torch.log(-torch.expm1(close)), torch.log1p(-torch.exp(far)))


@dataclass(frozen=True, slots=True)
class AlmSignal(StudentAlone):
    """Learns how likely each span is to the teacher, and by the share `alpha` its tokens."""

    text: TextSignal
    stored: StoredLogits
    objective: LogitsSignalConfig
    teacher: Spelling
    student: Spelling

    name: ClassVar[str] = "logits across tokenizers"

    @classmethod
    def open(cls, config: StudentTrainingConfig, paths: Sequence[str], teacher: Any, student: Any, cache: Path) -> Self:
        """The signal over these `logits.parquet` files; `teacher` and `student` are tokenizers.

        Raises:
            TrainingError: there are no distributions, or the teacher's tokenizer is not the one that they are of.
            ModelError: the tokens of one of them cannot be told apart by their bytes.
        """
        stored = StoredLogits(paths, cache, vocab_size=sys.maxsize)  # the student's ids are never looked up in it
        stored.require_tokenizer(teacher)
        text = TextSignal.of(config, student.pad_token_id)
        return cls(text, stored, config.objective, Spelling.of_tokenizer(teacher), Spelling.of_tokenizer(student))

    @property
    def columns(self) -> tuple[str, ...]:
        """The span of each of a row's tokens, and the teacher's log-probability of each span."""
        return "span_of", "teacher_logprobs"

    def join(self, rows: Dataset) -> tuple[Dataset, dict[str, int]]:
        """Find the spans of every row; rows without stored logits, or without a span, are left out."""
        return matched_rows(rows, self._spans, (REFUSED, APART))

    def _spans(self, row: dict[str, Any]) -> dict[str, Any]:
        answer = row["input_ids"][row["answer_start"] :]
        span_of, sums = [NO_SPAN] * len(answer), list[float]()
        place = self.stored.place_of(row)
        if place >= 0:
            given = self.stored.row(place)
            logprobs = np.where(given.ids == given.token_ids[:, None], given.logprobs, 0).sum(axis=1)  # (T,)
            for i, span in enumerate(align(self.teacher.of(given.token_ids.tolist()), self.student.of(answer))):
                span_of[span.student] = [i] * len(span_of[span.student])
                sums.append(float(logprobs[span.teacher].sum()))
        refused = REFUSED if place < 0 else "" if sums else APART
        return {"span_of": span_of, "teacher_logprobs": sums, "refused": refused}

    def collate(self, rows: Sequence[Example]) -> AlmBatch:
        """The batch of the text signal, and the spans of its counted tokens, row by row."""
        batch = self.text.collate(rows)
        counted = batch["weights"].numpy() > 0
        numbers = [_span_numbers(row, np.flatnonzero(own)) for row, own in zip(rows, counted, strict=True)]
        parts = [_marks(own, row["teacher_logprobs"]) for own, row in zip(numbers, rows, strict=True)]
        starts, closes, logprobs = (torch.from_numpy(np.concatenate(part)) for part in zip(*parts, strict=True))
        in_span = torch.from_numpy(np.concatenate(numbers) != NO_SPAN)
        return AlmBatch(**batch, groups=starts.cumsum(0), in_span=in_span, closes=closes, logprobs=logprobs)

    def loss(self, model: Any, batch: AlmBatch, divisor: float) -> torch.Tensor:
        """The objective's sum over the batch, divided by `divisor`."""
        ids, weights, objective = batch["input_ids"], batch["weights"], self.objective
        counted = weights > 0
        each = weights[counted] / divisor  # (N,)
        term = Matching(
            ids=ids[counted][:, None],
            groups=batch["groups"],
            closes=batch["closes"],
            logprobs=batch["logprobs"],
            by_token=torch.where(batch["in_span"], objective.alpha * each, each),
            by_span=(1 - objective.alpha) * objective.tau / divisor,
            tau=objective.tau,
        )
        return model(input_ids=ids, counted=counted, terms=[term], groups=batch["groups"])


def _span_numbers(row: Example, positions: np.ndarray) -> np.ndarray:
    """The span (N,) of each counted position of a row, NO_SPAN for those outside of all."""
    place, span_of = positions - row["answer_start"], np.asarray(row["span_of"])
    return np.where(place >= 0, span_of[np.maximum(place, 0)], NO_SPAN)


def _marks(numbers: np.ndarray, logprobs: Sequence[float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each of a row's N counted positions: whether it starts a group, closes a span, and this span's log p."""
    apart = numbers[1:] != numbers[:-1]
    starts = np.concatenate([[True], apart]) | (numbers == NO_SPAN)
    closes = np.concatenate([apart, [True]]) & (numbers != NO_SPAN)
    own = np.asarray(logprobs, dtype=np.float32)[np.maximum(numbers, 0)]
    return starts, closes, np.where(closes, own, np.float32(0))

"""The logits signal: the teacher's stored distributions beside the text of its answers.

    L = sum_t w_t (alpha CE_t + (1 - alpha) T^2 D_t) / sum_t w_t        (Hinton et al., arXiv 1503.02531, section 2)

CE is the cross-entropy on the teacher's token. D is a divergence between teacher and student at temperature T over the
k stored tokens and the tail (divergence.py). A token without a stored distribution is learned with CE alone at full
weight, as if the teacher had been sure of it.

Where the tail is sampled, D is the forward KL with the m draws in the tail's place, each with the m-th part of its mass
r. Over many draws its gradient is that of the whole distribution (arXiv 2503.16870, section 4):

    sum_k p log(p / q) + r log r - r/m sum_draws log q

Where teacher and student pad their vocabularies to different sizes, or have other added tokens, D leaves out the tokens
that only one of them has (models/same_tokens.py). For students with another tokenizer there is alm.py.
N positions, k stored tokens, M draws.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from datasets import Dataset

from distill_dagster.config.signals import LogitsSignalConfig, StudentTrainingConfig
from distill_dagster.errors import TrainingError
from distill_dagster.logits.distributions import LOWEST, NO_DRAW, TEMPERATURES
from distill_dagster.logits.table import LogitsRow
from distill_dagster.logits.tokenizer import tokenizer_hash
from distill_dagster.models.same_tokens import WAYS_OUT, common_ids
from distill_dagster.training.signals.divergence import Divergence, divergence_of
from distill_dagster.training.signals.kernel import LogProbs
from distill_dagster.training.signals.protocol import Example, StudentAlone, TensorBatch
from distill_dagster.training.signals.stored import COLUMNS, StoredLogits
from distill_dagster.training.signals.text import CrossEntropy, TextSignal


class LogitsBatch(TensorBatch):
    """A text batch with the distributions of its N tokens that have a weight."""

    stored: dict[str, torch.Tensor]


@dataclass(frozen=True, slots=True)
class Distillation:
    """A term of the kernel: the divergence, and the cross-entropy if `by_token` is given."""

    ids: torch.Tensor  # (N, k)
    p: torch.Tensor  # (N, k+1) the teacher's log-probabilities at `temperature`, the tail's last
    by_divergence: torch.Tensor  # (N,) weights
    divergence: Divergence
    temperature: float = 1.0
    ranks: torch.Tensor | None = None  # (N,) the true token's place among `ids`
    by_token: torch.Tensor | None = None  # (N,) weights of the cross-entropy
    drawn: torch.Tensor | None = None  # (N, M)
    share: torch.Tensor | None = None  # (N, M) of the teacher's mass that each draw has
    vocab_size: int | None = None
    has_fillers: bool = False  # some `ids` take the place of a token that only the teacher has; their log p is LOWEST
    needs_mean: ClassVar[bool] = False

    def loss(self, chunk: slice, seen: LogProbs) -> torch.Tensor:
        """See `kernel.Term`."""
        p = self.p[chunk]
        if seen.drawn is None or self.share is None:
            q = torch.cat([seen.kept, seen.rest[:, None]], dim=-1)
            diverges = self.divergence(p, _in_the_tail(q, p[:, :-1] <= LOWEST) if self.has_fillers else q)
        else:
            kept, tail = p[:, :-1], p[:, -1]
            diverges = self.divergence(kept, seen.kept) + tail.exp() * tail
            diverges = diverges - (self.share[chunk] * seen.drawn).sum(dim=-1)
        loss = self.by_divergence[chunk] * diverges
        if self.ranks is not None and self.by_token is not None:
            loss = loss - self.by_token[chunk] * seen.kept.gather(1, self.ranks[chunk][:, None])[:, 0]
        return loss


@dataclass(frozen=True, slots=True)
class LogitsSignal(StudentAlone):
    """Learns the teacher's distributions, and by the share `alpha` its tokens."""

    text: TextSignal
    stored: StoredLogits
    config: StudentTrainingConfig
    vocab_size: int  # of the student's logits

    name: ClassVar[str] = "logits"

    @classmethod
    def open(
        cls,
        config: StudentTrainingConfig,
        paths: Sequence[str],
        student: Any,
        tokenizer: Any,
        cache: Path,
        open_teacher: Callable[[], Any] | None = None,
        of: str = "teacher_logits",
    ) -> Self:
        """The signal over these `logits.parquet` files of the asset `of`.

        `open_teacher` opens the teacher's tokenizer, if the student's files are others.

        Raises:
            TrainingError: the student has another tokenizer than the teacher, or what is stored does not suffice.
        """
        vocab_size = student.get_output_embeddings().weight.shape[0]
        stored = StoredLogits(paths, cache, vocab_size, of)
        stored.common = min(stored.common, _shared_ids(stored, tokenizer, open_teacher))
        _require_tail(stored, config.objective)
        return cls(TextSignal.of(config, tokenizer.pad_token_id), stored, config, vocab_size)

    @property
    def columns(self) -> tuple[str, ...]:
        """The place of a row's distributions, and how many of its tokens have one."""
        return COLUMNS

    def join(self, rows: Dataset) -> tuple[Dataset, dict[str, int]]:
        """Find the distributions of every row."""
        return self.stored.join(rows)

    def collate(self, rows: Sequence[Example]) -> LogitsBatch:
        """The batch of the text signal, and the distributions of its counted tokens, row by row."""
        batch = self.text.collate(rows)
        return LogitsBatch(**batch, stored=self.targets(rows, batch, [True] * len(rows)))

    def targets(self, rows: Sequence[Example], batch: TensorBatch, is_own: Sequence[bool]) -> dict[str, torch.Tensor]:
        """The teacher's side of a batch's N counted tokens; of rows that are not the signal's own there is none."""
        parts, counted, ids = [], batch["weights"].numpy() > 0, batch["input_ids"].numpy()
        for i, (row, own) in enumerate(zip(rows, is_own, strict=True)):
            positions = np.flatnonzero(counted[i])
            tokens, place = ids[i][positions], positions - row["answer_start"]
            given = self.stored.row(row["stored"]) if own else None
            parts.append(self._targets(given, tokens, place, row["matched"]) if given else self._nothing(tokens))
        return {name: torch.from_numpy(_stacked([part[name] for part in parts])) for name in parts[0]}

    def _targets(self, given: LogitsRow, tokens: np.ndarray, place: np.ndarray, matched: int) -> dict[str, np.ndarray]:
        """The teacher's side of one row's N tokens; those without a distribution get any k ids and no weight."""
        has = (place >= 0) & (place < matched)  # (N,)
        at = np.clip(place, 0, matched - 1)
        logprobs, tail = at_temperature(given, self.config.objective.temperature)
        ids, ranks = given.ids[at].astype(np.int64), np.argmax(given.ids[at] == tokens[:, None], axis=1)
        _put_token(ids, ranks, tokens, ~has)
        targets = {"ids": ids, "p": np.concatenate([logprobs, tail[:, None]], axis=1)[at], "ranks": ranks, "has": has}
        if given.draws is not None:
            drawn = given.draws[at].astype(np.int64)  # (N, M)
            each = np.exp(given.tail_logmass[at]) / np.maximum((drawn != NO_DRAW).sum(axis=1), 1)  # (N,)
            targets |= {"drawn": np.maximum(drawn, 0), "share": np.where(drawn == NO_DRAW, 0, each[:, None])}
        return targets

    def _nothing(self, tokens: np.ndarray) -> dict[str, np.ndarray]:
        """The same of a row without distributions."""
        count, k = len(tokens), self.stored.k
        ids, ranks = np.zeros((count, k), dtype=np.int64), np.zeros(count, dtype=np.int64)
        _put_token(ids, ranks, tokens, np.ones(count, dtype=bool))
        no_mass = np.full((count, k + 1), LOWEST, dtype=np.float32)  # 0 times it stays finite
        targets = {"ids": ids, "p": no_mass, "ranks": ranks, "has": np.zeros(count, dtype=bool)}
        if self.stored.tail == "sampled":
            targets |= {"drawn": np.zeros((count, 1), np.int64), "share": np.zeros((count, 1), np.float32)}
        return targets

    def loss(self, model: Any, batch: LogitsBatch, divisor: float) -> torch.Tensor:
        """The objective's sum over the batch, divided by `divisor`."""
        ids, weights = batch["input_ids"], batch["weights"]
        counted = weights > 0
        terms = self.terms(ids[counted], batch["stored"], weights[counted] / divisor)
        return model(input_ids=ids, counted=counted, terms=terms)

    def terms(
        self, tokens: torch.Tensor, stored: dict[str, torch.Tensor], each: torch.Tensor
    ) -> Sequence[CrossEntropy | Distillation]:
        """The objective over N tokens with the weights `each` (N,), given the teacher's side of `targets`."""
        objective = self.config.objective
        by_token = torch.where(stored["has"], objective.alpha * each, each)
        by_divergence = torch.where(stored["has"], (1 - objective.alpha) * objective.temperature**2 * each, 0.0)
        divergence = divergence_of(objective.divergence, skew=objective.skew, beta=objective.beta)
        masked = self.stored.common if self.vocab_size > self.stored.common else None
        is_one = objective.temperature == 1 and masked is None
        term = Distillation(
            ids=stored["ids"],
            p=stored["p"],
            by_divergence=by_divergence,
            divergence=divergence,
            temperature=float(objective.temperature),
            ranks=stored["ranks"] if is_one else None,
            by_token=by_token if is_one else None,
            drawn=stored.get("drawn"),
            share=stored.get("share"),
            vocab_size=masked,
            has_fillers=self.stored.has_fillers,
        )
        return [term] if is_one else [CrossEntropy(tokens[:, None], by_token), term]


def _shared_ids(stored: StoredLogits, tokenizer: Any, open_teacher: Callable[[], Any] | None) -> int:
    """How many ids, from 0 on, hold all tokens that the student and its teacher have in common."""
    own = tokenizer_hash(tokenizer)
    if own == stored.tokenizer_hash:
        return stored.common
    if open_teacher is None:
        raise TrainingError(
            f"the student's tokenizer ({own[:12]}) is not the one whose tokens the stored logits are of "
            f"({stored.tokenizer_hash[:12]}): {WAYS_OUT}"
        )
    teacher = open_teacher()
    stored.require_tokenizer(teacher)
    shared, k = common_ids(teacher, tokenizer), stored.row(0).ids.shape[1]
    if k > shared:
        raise TrainingError(f"teacher.logits.k is {k}, and {shared} tokens belong to both models: lower `k`")
    return shared


def _require_tail(stored: StoredLogits, objective: LogitsSignalConfig) -> None:
    if stored.tail == "sampled" and (objective.temperature, objective.divergence) != (1, "forward_kl"):
        raise TrainingError(
            f"`teacher.logits.tail: sampled` serves the forward KL at temperature 1, and the objective is "
            f"{objective.divergence} at temperature {objective.temperature}: set `tail: bucket`, which captures again"
        )
    if objective.temperature != 1 and not stored.has_logsums:
        raise TrainingError(
            f"`temperature: {objective.temperature}` needs sums over the tail that version 0.1.0 did not store: delete "
            "the folders of teacher_logits and materialize them again, or set `temperature: 1`"
        )


def at_temperature(given: LogitsRow, temperature: int) -> tuple[np.ndarray, np.ndarray]:
    """The teacher's log-probabilities (T, k) and the tail's log-mass (T,) at a temperature of `TEMPERATURES` or 1."""
    if temperature == 1:
        return given.logprobs, given.tail_logmass
    assert given.tail_logsums is not None, "checked before the training"
    logs, tail = given.logprobs / temperature, given.tail_logsums[:, TEMPERATURES.index(temperature)]
    norm = np.logaddexp(np.logaddexp.reduce(logs, axis=1), tail)  # (T,)
    return np.where(given.logprobs <= LOWEST, LOWEST, logs - norm[:, None]), tail - norm


def _in_the_tail(q: torch.Tensor, fillers: torch.Tensor) -> torch.Tensor:
    """log q (S, k+1) with the mass of the fillers, marked in (S, k), added to that of the tail.

    Where nothing has a mass in the tail, the gradient of a log-sum of minus infinities would be NaN.
    """
    apart = q[:, :-1].masked_fill(fillers, float("-inf"))
    moved = q[:, :-1].masked_fill(~fillers, float("-inf"))
    rest = q[:, -1:].clamp(min=torch.finfo(q.dtype).min)
    return torch.cat([apart, torch.cat([moved, rest], dim=-1).logsumexp(dim=-1, keepdim=True)], dim=-1)


def _put_token(ids: np.ndarray, ranks: np.ndarray, tokens: np.ndarray, where: np.ndarray) -> None:
    """Give the rows in `where` k different ids, the true token among them; both arrays are changed in place."""
    k = ids.shape[1]
    ids[where] = np.arange(k)
    outside = where & (tokens >= k)
    ids[outside, 0] = tokens[outside]
    ranks[where] = np.where(tokens[where] < k, tokens[where], 0)


def _stacked(parts: list[np.ndarray]) -> np.ndarray:
    """The rows of all parts; narrower ones are padded with zeros, which are draws without a share."""
    width = max(part.shape[-1] for part in parts) if parts[0].ndim > 1 else 0
    padded = [np.pad(part, ((0, 0), (0, width - part.shape[1]))) if width else part for part in parts]
    return np.concatenate(padded)

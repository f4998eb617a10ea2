"""The on-policy signal: the teacher's distributions over the student's own samples, and beside them its answers.

    L = (sum over rollouts' tokens of D_t  +  sum over the texts' tokens of w_t L_t) / sum of all weights

D is the divergence between teacher and student at T = 1 over the tokens that the student of the round before sampled
(GKD, Agarwal et al., arXiv 2306.13649): there is no cross-entropy on them. L is the loss of the cold start, `text` or
`logits`, on the teacher's answers. `share` of a round's rows are rollouts: as many rows are taken as keep the share
without taking one twice.

    share 0.5     400 rollouts, 1,000 texts  ->  400 and 400
    share 0.25    400 rollouts, 600 texts    ->  200 and 600

A rollout is refused if one of its tokens has no distribution, because no token of it must be learned as text.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from datasets import Dataset, concatenate_datasets

from distill_dagster.models.quiet import quietly
from distill_dagster.store import parquet
from distill_dagster.training.examples import KEYS, TOKENS, most_tokens
from distill_dagster.training.signals.logits import LogitsSignal
from distill_dagster.training.signals.protocol import Example, StudentAlone, TensorBatch
from distill_dagster.training.signals.stored import COLUMNS
from distill_dagster.training.signals.text import TextSignal
from distill_dagster.training.specs import TrainSpec


class MixedBatch(TensorBatch):
    """A text batch of rollouts and texts, N of whose tokens have a weight."""

    is_rollout: torch.Tensor  # (N,)
    rollouts: dict[str, torch.Tensor]  # the teacher's side of the rollouts' tokens
    texts: dict[str, torch.Tensor]  # of the texts' tokens; empty if they are learned as text


@dataclass(frozen=True, slots=True)
class OnPolicySignal(StudentAlone):
    """Learns rollouts by divergence and the teacher's text as the cold start did."""

    start: TextSignal | LogitsSignal
    rollouts: LogitsSignal
    rows: Dataset  # the rollouts: KEYS, TOKENS
    share: float
    seed: tuple[int, int]
    max_length: int

    name: ClassVar[str] = "on_policy"

    @classmethod
    def open(
        cls,
        spec: TrainSpec,
        start: TextSignal | LogitsSignal,
        student: Any,
        tokenizer: Any,
        cache: Path,
        open_teacher: Callable[[], Any],
    ) -> Self:
        """The signal of a round; `open_teacher` opens the teacher's tokenizer, if the student's files are others.

        Raises:
            TrainingError: the rollouts' distributions do not fit the student.
        """
        assert spec.rollouts is not None, "a round has rollouts"
        assert spec.rollout_logits is not None, "a round has distributions over its rollouts"
        config, of = spec.training.on_rollouts, f"rollout_logits_{spec.round}"
        rollouts = LogitsSignal.open(config, [spec.rollout_logits], student, tokenizer, cache, open_teacher, of)
        longest = most_tokens(spec.training, student)
        seed = spec.training.seed, spec.round
        return cls(start, rollouts, _read_rollouts(spec.rollouts), spec.training.rounds.share, seed, longest)

    @property
    def columns(self) -> tuple[str, ...]:
        """The place of a row's distributions, how many of its tokens have one, and whether it is a rollout."""
        return *COLUMNS, "is_rollout"

    def join(self, rows: Dataset) -> tuple[Dataset, dict[str, int]]:
        """Mix the round's rollouts with the texts in `rows`."""
        texts, left_out = self.start.join(rows)
        own, refused = self._own()
        if not len(own) or (not len(texts) and self.share < 1):
            return rows.select([]), {**left_out, **refused}
        chosen, random = mixture(len(own), len(texts), self.share), np.random.default_rng(self.seed)
        with quietly():
            parts = zip(_alike(own, texts), chosen, strict=True)
            drawn = [part.select(np.sort(random.permutation(len(part))[:count])) for part, count in parts]
            joined = concatenate_datasets(drawn).flatten_indices(keep_in_memory=True)
        counts = {"rollout_rows": chosen[0], "text_rows": chosen[1], "rollouts_not_drawn": len(own) - chosen[0]}
        return joined, {**left_out, **refused, **counts, "texts_not_drawn": len(texts) - chosen[1]}

    def _own(self) -> tuple[Dataset, dict[str, int]]:
        """The rollouts that can train, and how many cannot, by reason."""
        short = [i for i, length in enumerate(self.rows["length"]) if length <= self.max_length]
        found, missing = self.rollouts.stored.join(self.rows.select(short))
        tokens = np.subtract(found["length"], found["answer_start"])
        whole = np.flatnonzero(np.equal(found["matched"], tokens))
        without = sum(missing.values()) + len(found) - len(whole)
        refused = {"rollouts_too_long": len(self.rows) - len(short), "rollouts_without_logits": without}
        return found.select(whole), refused

    def collate(self, rows: Sequence[Example]) -> MixedBatch:
        """The batch of the text signal, and the distributions of its counted tokens."""
        text = self.start if isinstance(self.start, TextSignal) else self.start.text
        batch, own = text.collate(rows), [bool(row["is_rollout"]) for row in rows]
        for i, row in enumerate(rows):
            if own[i]:
                batch["weights"][i, : row["answer_start"]] = 0.0  # prompts are learned from the texts
        batch["weight"] = float(batch["weights"].sum())
        counts = (batch["weights"] > 0).sum(dim=1)
        others = [not is_rollout for is_rollout in own]
        return MixedBatch(
            **batch,
            is_rollout=torch.tensor(own).repeat_interleave(counts),
            rollouts=self.rollouts.targets(rows, batch, own),
            texts=self.start.targets(rows, batch, others) if isinstance(self.start, LogitsSignal) else {},
        )

    def loss(self, model: Any, batch: MixedBatch, divisor: float) -> torch.Tensor:
        """The objective's sum over the batch, divided by `divisor`."""
        ids, weights, own = batch["input_ids"], batch["weights"], batch["is_rollout"]
        counted = weights > 0
        tokens, each = ids[counted], weights[counted] / divisor  # (N,)
        if isinstance(self.start, LogitsSignal):
            terms = [
                *self.start.terms(tokens, batch["texts"], torch.where(own, 0.0, each)),
                *self.rollouts.terms(tokens, batch["rollouts"], torch.where(own, each, 0.0)),
            ]
        else:  # a text has no distribution among those of the rollouts, so that its tokens are learned as text
            terms = self.rollouts.terms(tokens, batch["rollouts"], each)
        return model(input_ids=ids, counted=counted, terms=terms)


def mixture(rollouts: int, texts: int, share: float) -> tuple[int, int]:
    """How many rollouts and texts a round trains on: the most in which `share` are rollouts; of both, at least one."""
    if share == 1:
        return rollouts, 0
    most = min(rollouts / share, texts / (1 - share))
    return min(rollouts, max(1, round(most * share))), min(texts, max(1, round(most * (1 - share))))


def _read_rollouts(path: str) -> Dataset:
    """A `rollouts.parquet` as tokenized rows."""
    table = parquet.read_table(Path(path), [*KEYS, "prompt_ids", "token_ids"])
    tokens = {
        "input_ids": [[*row["prompt_ids"], *row["token_ids"]] for row in table],
        "answer_start": [len(row["prompt_ids"]) for row in table],
        "length": [len(row["prompt_ids"]) + len(row["token_ids"]) for row in table],
    }
    return Dataset.from_dict({**{key: [row[key] for row in table] for key in KEYS}, **tokens})


def _alike(rollouts: Dataset, texts: Dataset) -> tuple[Dataset, Dataset]:
    """Both with the same columns and types, and marked."""
    for name, value in zip(COLUMNS, (-1, 0), strict=True):
        if name not in texts.column_names:
            texts = _with_constant(texts, name, value)
    columns = [*KEYS, *TOKENS, *COLUMNS]
    marked = _with_constant(texts.select_columns(columns), "is_rollout", False)
    own = _with_constant(rollouts.select_columns(columns), "is_rollout", True)
    return own.cast(marked.features), marked


def _with_constant(rows: Dataset, name: str, value: int | bool) -> Dataset:
    return rows.add_column(name, np.full(len(rows), value))  # pyright: ignore[reportCallIssue]

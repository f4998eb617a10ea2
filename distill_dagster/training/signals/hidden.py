"""The hidden signal: the teacher runs beside the student, which imitates its hidden states and attention relations.

    L = sum_t w_t (alpha CE_t + (1 - alpha) (mean over layer pairs of D(W s_t, h_t) + weight R_t)) / sum_t w_t

s_t and h_t are the outputs of a student layer and of a teacher layer at the position that predicts token t. W is a
projection of the pair's own, learned with the student and kept outside its files; it starts as the identity where both
widths are equal, else with orthogonal rows or columns. D is 1 - cosine, or the mean squared difference. R_t are the
relations of queries, keys and values added up, and their mean over layer pairs (relations.py). With `logits`, that
signal's objective takes the place of CE.

The teacher reads the student's tokens, so both need the same ones (models/same_tokens.py). It has no gradient, and its
head does not run. N tokens that have a weight.
"""

import contextlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Self

import torch
from datasets import Dataset

from distill_dagster.config.hidden import HiddenSignalConfig
from distill_dagster.config.signals import StudentTrainingConfig
from distill_dagster.models.layers import QKV, Recorder, Seen
from distill_dagster.models.loading import LoadedModel
from distill_dagster.models.quiet import quietly
from distill_dagster.models.row_limits import RowLimits, longest_row
from distill_dagster.models.same_tokens import common_ids
from distill_dagster.training.layer_pairs import require_readable
from distill_dagster.training.signals.imitation import state_loss
from distill_dagster.training.signals.protocol import Example, Signal, TensorBatch
from distill_dagster.training.signals.relations import relation_loss

PROJECTIONS = "distillation"  # the student's submodule while it trains
UNREAD = "teacher_cannot_read"  # the reason of rows that are too long for the teacher, or have a token that it lacks


@dataclass(slots=True)
class HiddenSignal:
    """Learns what the teacher computes between its first and last layer, beside the signal `base`."""

    base: Signal
    config: HiddenSignalConfig  # with all layer pairs written out
    teacher: LoadedModel
    seed: int  # of the projections
    longest: int | None = None  # row that the teacher reads
    common: int = sys.maxsize  # tokens from this id on, only one of the two has
    _attached: "Attached | None" = None  # during a training

    name: ClassVar[str] = "hidden"

    @classmethod
    def open(
        cls, base: Signal, training: StudentTrainingConfig, student: Any, tokenizer: Any, teacher: LoadedModel
    ) -> Self:
        """The signal for a student with this tokenizer; `training` has all layer pairs written out.

        Raises:
            ModelError: the teacher has another tokenizer, or the layers or the relations of one of them cannot be read.
        """
        common = common_ids(teacher.tokenizer, tokenizer)
        require_readable(training.imitation, student, teacher.model)
        longest = _longest(teacher.model.config, student.config)
        return cls(base, training.imitation, teacher, training.seed, longest, common)

    @property
    def columns(self) -> tuple[str, ...]:
        """Those of the base."""
        return self.base.columns

    def join(self, rows: Dataset) -> tuple[Dataset, dict[str, int]]:
        """Leave out the rows that the teacher cannot read, and what the base leaves out."""
        limits = RowLimits.of(self.teacher.model.config)
        lengths, ids = rows["length"], rows["input_ids"]
        short = [i for i, length in enumerate(lengths) if self.longest is None or length <= self.longest]
        with quietly():
            known = [i for i in short if max(ids[i]) < self.common and limits.reads(ids[i])]
            read = rows.select(known).flatten_indices(keep_in_memory=True)
        joined, left_out = self.base.join(read) if len(read) else (read, {})
        return joined, {UNREAD: len(rows) - len(read), **left_out}

    def collate(self, rows: Sequence[Example]) -> TensorBatch:
        """The base's batch."""
        return self.base.collate(rows)

    @contextlib.contextmanager
    def attached(self, student: Any) -> Iterator[None]:
        """Inside the block the projections are a submodule of the student, so that they train and are saved with it."""
        projections = self.projections(student)
        states, relations = self.config.layers or [], (self.config.relations and self.config.relations.layers) or []
        own, given = (
            Recorder(model, [pair[side] for pair in states], [pair[side] for pair in relations])
            for side, model in enumerate((student, self.teacher.model))
        )
        student.add_module(PROJECTIONS, projections)
        try:
            with own, given:
                self._attached = Attached(projections, own, given)
                yield
        finally:
            self._attached = None
            delattr(student, PROJECTIONS)

    def projections(self, student: Any) -> torch.nn.ModuleDict:
        """A linear layer from the student's to the teacher's width for each layer pair, as they are at the start."""
        wide, narrow = (model.config.get_text_config().hidden_size for model in (self.teacher.model, student))
        random, made = torch.Generator().manual_seed(self.seed), torch.nn.ModuleDict()
        for pair in self.config.layers or []:
            linear = torch.nn.Linear(narrow, wide, bias=False, device="meta").to_empty(device="cpu")
            if wide == narrow:
                torch.nn.init.eye_(linear.weight)
            else:
                torch.nn.init.orthogonal_(linear.weight, generator=random)
            made[_place(pair)] = linear
        return made.to(next(student.parameters()).device)

    def loss(self, model: Any, batch: Any, divisor: float) -> torch.Tensor:
        """The objective's sum over the batch, divided by `divisor`."""
        assert self._attached is not None, "the student trains inside of `attached`"
        own_precision = torch.autocast(batch["weights"].device.type, enabled=False)
        with torch.no_grad(), own_precision, self._attached.teacher.recording() as given:
            self.teacher.model.get_decoder()(input_ids=batch["input_ids"], use_cache=False)
        shares = torch.nn.functional.pad(batch["weights"][:, 1:] / divisor, (0, 1))  # (B, T) of predicting positions
        with self._attached.student.recording() as seen:
            also = partial(self._imitation, self._attached.projections, seen, given, shares)
            return self.base.loss(partial(model, also=also), batch, divisor / self.config.alpha)

    def _imitation(
        self, projections: torch.nn.ModuleDict, seen: Seen, given: Seen, shares: torch.Tensor
    ) -> torch.Tensor:
        """What the student's forward adds to the base's loss."""
        total = shares.new_zeros(())
        with torch.autocast(shares.device.type, enabled=False):
            for pair in (layers := self.config.layers or []):
                total = total + self._states(projections[_place(pair)], pair, seen, given, shares) / len(layers)
            if relations := self.config.relations:
                for s, t in (chosen := relations.layers or []):
                    parts = [relation_loss(seen[kind, s], given[kind, t], relations.heads, shares) for kind in QKV]
                    total = total + relations.weight * torch.stack(parts).sum() / len(chosen)
        return (1 - self.config.alpha) * total

    def _states(self, projection: Any, pair: Sequence[int], seen: Seen, given: Seen, shares: torch.Tensor) -> Any:
        own, other, counted = seen["state", pair[0]], given["state", pair[1]], shares > 0
        return state_loss(own[counted], other[counted], projection, shares[counted], self.config.distance)


@dataclass(frozen=True, slots=True)
class Attached:
    """What a training adds to student and teacher."""

    projections: torch.nn.ModuleDict
    student: Recorder
    teacher: Recorder


def _place(pair: Sequence[int]) -> str:
    """The name of a pair's projection."""
    return f"{pair[0]}_{pair[1]}"


def _longest(teacher: Any, student: Any) -> int | None:
    """The longest row that the teacher reads: batches are kept to one side of the student's switch, not of its own."""
    switch = RowLimits.of(teacher).switch
    limits = [longest_row(teacher), None if switch == RowLimits.of(student).switch else switch]
    return min((limit for limit in limits if limit is not None), default=None)

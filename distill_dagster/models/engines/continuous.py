"""The engine for models with plain attention: slots that are refilled when an answer ends.

    step      1    2    3    4    5    6    7
    slot 0    a    a    a    a    a    a    a
    slot 1    b    b    .    d    d    d    d        b ends after 2, and d comes in before 4
    slot 2    c    c    c    c    .    e    e

Prompts are taken longest first, so a new one always fits the columns of the cache. As rows get shorter the number of
slots grows, and together they never hold more than `batch_tokens` tokens. Filling slots costs a pass over the new
prompts and a copy of the cache, so it waits until `IDLE_SHARE` of them are idle. The answers are those of `generate`:
the same forward pass, the same choice of tokens. Only the order of floating point sums differs, as it does between two
batches of `generate`. On a GPU the steps between two fillings are replayed as one CUDA graph (`replay.py`).
"""

import time
from collections.abc import Iterator, Sequence
from inspect import signature
from typing import Any

from distill_dagster.models.engines.batched import answer_batched
from distill_dagster.models.engines.columns import pack
from distill_dagster.models.engines.replay import Replay
from distill_dagster.models.engines.rows import Row, Sampling, TokenChoice, ends_of, grouped, left_padded
from distill_dagster.models.loading import LoadedModel
from distill_dagster.models.row_limits import RowLimits
from distill_dagster.models.spreading import is_spread

IDLE_SHARE = 1 / 4  # 1/8 measured 2 to 10 % slower
HEADROOM = 64  # columns that are free after a copy of the cache, unless all rows end before


def is_supported(model: Any) -> bool:
    """Whether a model keeps its whole past as keys and values of full attention, and takes positions of tokens.

    They must also be on one device, which a model that is spread over several does not have.
    """
    from transformers.cache_utils import DynamicCache, DynamicLayer

    if (
        is_spread(model)
        or model.config.is_encoder_decoder
        or not {"position_ids", "logits_to_keep"} <= signature(model.forward).parameters.keys()
    ):
        return False
    return all(type(layer) is DynamicLayer for layer in DynamicCache(config=model.config).layers)


def answer_continuously(
    loaded: LoadedModel, rows: Sequence[Row], sampling: Sampling, batch_tokens: int
) -> Iterator[Sequence[Row]]:
    """Answer `rows`; yields each as soon as its answer has ended.

    Answers that may cross the switch of `longrope` are left to `generate`, which then reads the whole row again.
    """
    limits = RowLimits.of(loaded.model.config)
    for group in grouped(rows, sampling.max_new_tokens, limits):
        if limits.crosses(len(group[0].prompt), sampling.max_new_tokens):
            yield from answer_batched(loaded, group, sampling, batch_tokens)
            continue
        waiting = sorted(group, key=lambda row: len(row.prompt))  # longest last
        slots = Slots(loaded, sampling, batch_tokens)
        while waiting or slots.live:
            ended = slots.fill(waiting) if slots.should_fill(waiting) else slots.step()
            if ended:
                yield ended


class Slots:
    """The rows that are being answered, and their cache."""

    def __init__(self, loaded: LoadedModel, sampling: Sampling, batch_tokens: int) -> None:
        self._model, self._device, self._pad = loaded.model, loaded.device, loaded.tokenizer.pad_token_id
        self._sampling, self._batch_tokens, self._choose = sampling, batch_tokens, TokenChoice(sampling)
        self._ends = set(ends_of(loaded))
        self._rows: list[Row] = []
        self._cache: Any = None
        self._mask: Any = None  # (B, capacity)
        self._columns = 0  # filled ones
        self._replay: Replay | None = None
        self._records = Replay.is_possible(loaded.device)

    @property
    def live(self) -> list[Row]:
        """The rows whose answers have not ended."""
        return [row for row in self._rows if not row.ended]

    def should_fill(self, waiting: Sequence[Row]) -> bool:
        """Whether enough slots are idle to take rows in or out, or no column is left."""
        live = self.live
        room = self._room(live, waiting)
        idle = room if waiting else len(self._rows) - len(live)
        full = self._mask is None or self._columns == self._mask.shape[1]
        return not live or full or idle >= max(1.0, IDLE_SHARE * (len(live) + idle))

    def fill(self, waiting: list[Row]) -> list[Row]:
        """Move rows from the end of `waiting` into all idle slots; returns those that end with their first token."""
        import torch

        self._end_replay()
        kept = [i for i, row in enumerate(self._rows) if not row.ended]
        live = [self._rows[i] for i in kept]
        new = [waiting.pop() for _ in range(self._room(live, waiting))]
        start = time.perf_counter()
        with torch.inference_mode():
            logits, prefilled = self._prefill(new) if new else (None, None)
            lengths = [len(row.prompt) + len(row.answer) - 1 for row in live] + [len(row.prompt) for row in new]
            self._columns = max(lengths)
            longest = max(len(row.prompt) for row in live + new) + self._sampling.max_new_tokens
            capacity = min(self._columns + HEADROOM, longest)
            self._cache = pack(self._cache, kept, prefilled, self._columns, capacity)
            starts = torch.tensor([self._columns - length for length in lengths], device=self._device)
            self._mask = torch.arange(capacity, device=self._device) >= starts[:, None]
            self._rows = live + new
            if self._records:
                self._replay = Replay.record(self._model, self._cache, starts, self._columns)
                self._records = self._replay is not None
            return self._add(new, logits, start) if new else []

    def step(self) -> list[Row]:
        """Generate one token for every row; returns the rows that end with it."""
        import torch

        start, self._columns = time.perf_counter(), self._columns + 1
        tokens = [[row.answer[-1]] for row in self._rows]
        places = [[len(row.prompt) + len(row.answer) - 1] for row in self._rows]
        with torch.inference_mode():
            logits = self._replay(tokens, places) if self._replay else self._forward(tokens, places)
            return self._add(self._rows, logits, start)

    def _forward(self, tokens: list[list[int]], places: list[list[int]]) -> Any:
        """Logits (B, V) after one more token of each row."""
        import torch

        out = self._model(
            input_ids=torch.tensor(tokens, device=self._device),
            attention_mask=self._mask[:, : self._columns].long(),
            position_ids=torch.tensor(places, device=self._device),
            past_key_values=self._cache,
            use_cache=True,
        )
        return out.logits[:, -1]

    def _end_replay(self) -> None:
        """Tell the cache how many columns the replayed steps have filled."""
        if self._replay is not None:
            for layer in self._cache.layers:
                layer.used, layer.column = self._columns, None
            self._replay = None

    def _room(self, live: Sequence[Row], waiting: Sequence[Row]) -> int:
        """How many waiting rows may come in: all rows times the longest row's tokens must stay within the budget."""
        if not waiting:
            return 0
        longest = max(len(row.prompt) for row in [*live, waiting[-1]]) + self._sampling.max_new_tokens
        return max(0 if live else 1, min(self._batch_tokens // longest - len(live), len(waiting)))

    def _prefill(self, rows: Sequence[Row]) -> tuple[Any, Any]:
        """Logits (B, V) after the last token of each prompt, and their cache."""
        from transformers.cache_utils import DynamicCache

        ids, mask = left_padded(rows, self._pad, self._device)  # (B, T)
        cache = DynamicCache(config=self._model.config)
        places = (mask.cumsum(-1) - 1).clamp(min=0)
        out = self._model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=places,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        return out.logits[:, -1], cache

    def _add(self, rows: Sequence[Row], logits: Any, start: float) -> list[Row]:
        """Give each live row its next token and its share of the time; returns those that end with it."""
        chosen = self._choose(rows, logits, [len(row.answer) for row in rows]).tolist()
        live = [(row, token) for row, token in zip(rows, chosen, strict=True) if not row.ended]
        share = (time.perf_counter() - start) * 1000 / len(live)
        for row, token in live:
            row.answer.append(token)
            row.milliseconds += share
            row.finish = self._sampling.finish_of(row.answer, self._ends)
        ended = [row for row, _ in live if row.ended]
        for row in ended:
            self._choose.forget(row)
        return ended

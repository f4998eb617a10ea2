"""The engine for every causal model: batches of similar length, answered by transformers' own `generate`.

    prompts of 30, 31, 33, 400 tokens, 64 new tokens, budget 500  ->  [400], [33, 31, 30]
    cost of the second batch: 3 rows x (33 + 64) = 291 of 500

A batch runs until its longest answer has ended; rows that end before it are computed to the same end. Rows that would
change each other's answers are in different batches (`grouped`).
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from distill_dagster.models.engines.rows import Row, Sampling, TokenChoice, generation_settings, grouped, left_padded
from distill_dagster.models.loading import LoadedModel
from distill_dagster.models.row_limits import RowLimits


def answer_batched(
    loaded: LoadedModel, rows: Sequence[Row], sampling: Sampling, batch_tokens: int
) -> Iterator[Sequence[Row]]:
    """Answer `rows` batch by batch. All rows of a batch get the same share of its time."""
    settings, choose = generation_settings(loaded, sampling), TokenChoice(sampling)
    for group in grouped(rows, sampling.max_new_tokens, RowLimits.of(loaded.model.config)):
        lengths = {i: len(row.prompt) for i, row in enumerate(group)}
        for positions in cut_batches(lengths, sampling.max_new_tokens, batch_tokens):
            batch = [group[i] for i in positions]
            _answer(loaded, batch, settings, choose, sampling)
            yield batch


def cut_batches(lengths: Mapping[int, int], max_new_tokens: int, batch_tokens: int) -> Iterator[list[int]]:
    """Keys of `lengths`, longest first, in batches of at most `batch_tokens` padded and new tokens.

    A row that alone exceeds the budget is a batch of one.
    """
    batch: list[int] = []
    width = 0
    for i in sorted(lengths, key=lambda i: (-lengths[i], i)):
        if batch and (len(batch) + 1) * width > batch_tokens:
            yield batch
            batch = []
        if not batch:
            width = lengths[i] + max_new_tokens
        batch.append(i)
    if batch:
        yield batch


def _answer(loaded: LoadedModel, batch: Sequence[Row], settings: Any, choose: TokenChoice, sampling: Sampling) -> None:
    """Answer one batch, padded on the left so that all answers start in the same column."""
    import torch

    start = time.perf_counter()
    ids, mask = left_padded(batch, loaded.tokenizer.pad_token_id, loaded.device)  # (B, T)
    width = ids.shape[1]

    def only_chosen(before: Any, logits: Any) -> Any:  # a logits processor: the chosen token becomes the likeliest
        chosen = choose(batch, logits, [before.shape[1] - width] * len(batch))
        return logits.new_zeros(logits.shape).scatter_(1, chosen[:, None], 1.0)

    ends = settings.eos_token_id
    how: dict[str, Any] = {"generation_config": settings, "logits_processor": [only_chosen]}
    if sampling.repetition is not None:
        how["stopping_criteria"] = [_Endings(width, sampling, ends)]
    with torch.inference_mode():
        out = loaded.model.generate(input_ids=ids, attention_mask=mask, **how)
    for row, answer in zip(batch, out[:, width:].tolist(), strict=True):  # (B, at most max_new_tokens)
        _cut(row, answer, sampling, ends)
    for row in batch:
        row.milliseconds = (time.perf_counter() - start) * 1000 / len(batch)
        choose.forget(row)


class _Endings:
    """A stopping criterion of `generate`: which rows have ended, a loop included. It pads them from then on."""

    def __init__(self, width: int, sampling: Sampling, ends: Sequence[int]) -> None:
        self._width, self._sampling, self._ends = width, sampling, ends

    def __call__(self, ids: Any, scores: Any, **kwargs: Any) -> Any:
        answers = ids[:, self._width :].tolist()
        return ids.new_tensor([self._sampling.finish_of(answer, self._ends) is not None for answer in answers]).bool()


def _cut(row: Row, answer: list[int], sampling: Sampling, ends: Sequence[int]) -> None:
    """Give a row its answer up to the token with which it ended."""
    for i, token in enumerate(answer):
        row.answer.append(token)
        if token in ends or sampling.repetition is not None or i == len(answer) - 1:
            row.finish = sampling.finish_of(row.answer, ends)
        if row.finish is not None:
            return

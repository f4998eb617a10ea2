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
            _answer(loaded, batch, settings, choose)
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


def _answer(loaded: LoadedModel, batch: Sequence[Row], settings: Any, choose: TokenChoice) -> None:
    """Answer one batch, padded on the left so that all answers start in the same column."""
    import torch

    start = time.perf_counter()
    ids, mask = left_padded(batch, loaded.tokenizer.pad_token_id, loaded.device)  # (B, T)
    width = ids.shape[1]

    def only_chosen(before: Any, logits: Any) -> Any:  # a logits processor: the chosen token becomes the likeliest
        chosen = choose(batch, logits, [before.shape[1] - width] * len(batch))
        return logits.new_zeros(logits.shape).scatter_(1, chosen[:, None], 1.0)

    with torch.inference_mode():
        out = loaded.model.generate(
            input_ids=ids, attention_mask=mask, generation_config=settings, logits_processor=[only_chosen]
        )
    ends = settings.eos_token_id
    for row, answer in zip(batch, out[:, width:].tolist(), strict=True):  # (B, at most max_new_tokens)
        stop = next((i for i, token in enumerate(answer) if token in ends), len(answer))
        row.answer, row.ended = answer[: stop + 1], True
    for row in batch:
        row.milliseconds = (time.perf_counter() - start) * 1000 / len(batch)
        choose.forget(row)

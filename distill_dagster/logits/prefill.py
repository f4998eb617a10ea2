"""The second pass: the teacher reads a finished answer once and gives the distribution of every token in it.

Keeping the scores while decoding would mean (V,) numbers at every step, one token a step. Reading the finished text
takes one forward pass for all of its tokens. The logits of all tokens at once would not fit into memory: 16,384 tokens
of a 151,936-token vocabulary are 10 GB as float32. So the body of the model runs over the batch, and the head over
slices of the answers' positions, each of at most `SLICE_ELEMENTS` logits.

Legend: B rows, T tokens of the longest, H hidden size, V vocabulary, N answer tokens of the whole batch, S of a
slice, k kept.

Some architectures change the logits after the head (Gemma 2 caps them, Cohere and Granite scale them). So each model is
tried once: if `head(body(ids))` differs in any bit from the model's own logits, each row is read alone through the
model's `forward`, a slice of logits at a time (`logits_to_keep`). The numbers are the same, it takes more time.

Rows are padded on the right. A token of a causal model does not see the tokens behind it, so padding changes nothing.
"""

import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np

from distill_dagster.errors import ModelError
from distill_dagster.logits.distributions import LOWEST, Distributions
from distill_dagster.logits.sequences import TokenSequence
from distill_dagster.models.loading import LoadedModel
from distill_dagster.models.row_limits import RowLimits

# Logits of one slice. A GPU reads the whole head for each slice, so its slices are large: 256 MiB as float32, three
# times that at the peak. A CPU's are small enough for its caches: 16 MiB.
SLICE_ELEMENTS = {"cuda": 2**26, "cpu": 2**22}


class Reader:
    """Reads sequences with one model.

    Example:
        >>> reader = Reader(load(ref, "cpu"), k=64)
        >>> reader.read([TokenSequence(("d-17", 0, 0), [3, 41, 1, 4, 590, 1], 4)])[0].logprobs.shape
        (2, 64)
    """

    def __init__(self, loaded: LoadedModel, k: int, slice_elements: int | None = None) -> None:
        self.loaded, self.k, self.limits = loaded, k, RowLimits.of(loaded.model.config)
        self.vocab_size, self.head_apart = _try_head(loaded)
        if k > self.vocab_size:
            raise ModelError(f"teacher.logits.k is {k}, {loaded.ref.name} has {self.vocab_size} tokens: lower `k`")
        elements = slice_elements or SLICE_ELEMENTS["cuda" if loaded.device.startswith("cuda") else "cpu"]
        self.slice_positions = max(1, elements // self.vocab_size)

    def read(self, batch: list[TokenSequence]) -> list[Distributions]:
        """The distributions of each sequence's answer, in the order of the batch.

        Raises:
            ModelError: the model returns NaN.
        """
        import torch

        with torch.inference_mode():
            slices = self._through_head(batch) if self.head_apart else self._through_forward(batch)
            parts = [keep(logits, targets, self.k) for logits, targets in slices]
        ids, logprobs, tail, ranks = (torch.cat(part).cpu().numpy() for part in zip(*parts, strict=True))
        if np.isnan(logprobs).any() or np.isnan(tail).any():
            raise ModelError(f"{self.loaded.ref.name} returns NaN as {self.loaded.dtype}: try another `dtype`")
        ends = np.cumsum([sequence.answer_tokens for sequence in batch])[:-1]
        columns = (np.split(column, ends) for column in (ids, logprobs, tail, ranks))
        return [Distributions(*row) for row in zip(*columns, strict=True)]

    def _through_head(self, batch: list[TokenSequence]) -> Iterator[tuple[Any, Any]]:
        """Slices of logits (S, V) and their true tokens (S,): one pass of the body, then the head slice by slice."""
        import torch

        ids, mask = _pad([sequence.ids[:-1] for sequence in batch], self.loaded)  # (B, T)
        body, head = self.loaded.model.get_decoder(), self.loaded.model.get_output_embeddings()
        hidden = body(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state  # (B, T, H)
        answers = [hidden[row, s.answer_start - 1 : len(s.ids) - 1] for row, s in enumerate(batch)]
        states, targets = torch.cat(answers), self._targets(batch)  # (N, H), (N,)
        for start in range(0, len(targets), self.slice_positions):
            chosen = slice(start, start + self.slice_positions)
            yield head(states[chosen]), targets[chosen]

    def _through_forward(self, batch: list[TokenSequence]) -> Iterator[tuple[Any, Any]]:
        """The same through the model's own forward, row by row; a long answer is read once for each slice."""
        import torch

        for sequence in batch:
            ids, targets = torch.tensor([sequence.ids], device=self.loaded.device), self._targets([sequence])
            for start in range(sequence.answer_start - 1, len(sequence.ids) - 1, self.slice_positions):
                end = min(start + self.slice_positions, len(sequence.ids) - 1)
                kept = torch.arange(start, end, device=self.loaded.device)
                read = len(sequence.ids) - 1 if self.limits.side(len(sequence.ids) - 1) else end
                out = self.loaded.model(input_ids=ids[:, :read], use_cache=False, logits_to_keep=kept)
                first = start + 1 - sequence.answer_start
                yield out.logits[0], targets[first : first + end - start]

    def _targets(self, batch: list[TokenSequence]) -> Any:
        import torch

        tokens = [token for sequence in batch for token in sequence.ids[sequence.answer_start :]]
        return torch.tensor(tokens, device=self.loaded.device)  # (N,)


def keep(logits: Any, targets: Any, k: int) -> tuple[Any, Any, Any, Any]:
    """The k likeliest tokens of each position, including the true one.

    Takes logits (S, V), which it overwrites, and true tokens (S,); returns ids (S, k) int32, log-probabilities (S, k)
    and the tail's log-mass (S,) as float16, and the true token's rank (S,) int32. The arithmetic is float32 and in
    place: allocating a second (S, V) tensor costs a CPU more time than the arithmetic. The tail is summed directly,
    because 1 - the mass of the k has no digits left where a model is sure.
    """
    import torch

    logits = logits.float()
    values, ids = logits.topk(k, dim=-1)  # (S, k)
    highest = values[:, :1].clone()  # (S, 1)
    found = ids == targets[:, None]
    outside = ~found.any(dim=-1)
    own = logits.gather(1, targets[:, None])[:, 0]  # (S,)
    ids[outside, -1], values[outside, -1] = targets[outside], own[outside]
    ranks = torch.where(outside, k - 1, found.int().argmax(dim=-1))
    rest = logits.scatter_(1, ids, float("-inf")).sub_(highest).exp_().sum(dim=-1)  # (S,) mass, not yet normalised
    values -= highest
    total = (rest + values.exp().sum(dim=-1)).log()  # (S,)
    logprobs, tail = (values - total[:, None]).clamp(LOWEST, 0.0), (rest.log() - total).clamp(LOWEST, 0.0)
    return ids.int(), logprobs.half(), tail.half(), ranks.int()


def _pad(rows: list[list[int]], loaded: LoadedModel) -> tuple[Any, Any]:
    """Token ids and mask (B, T), padded on the right."""
    import torch

    width, pad = max(map(len, rows)), loaded.tokenizer.pad_token_id
    ids = torch.tensor([row + [pad] * (width - len(row)) for row in rows], device=loaded.device)
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows], device=loaded.device)
    return ids, mask


def _try_head(loaded: LoadedModel) -> tuple[int, bool]:
    """The width of the logits, and whether they are exactly the head over the body on a few tokens.

    Raises:
        ModelError: they are not, and `forward` cannot return a slice of its logits either.
    """
    import torch

    model, ids = loaded.model, torch.arange(8, device=loaded.device)[None]  # (1, T)
    head = model.get_output_embeddings()
    with torch.inference_mode():
        logits = model(input_ids=ids, use_cache=False).logits  # (1, T, V)
        hidden = getattr(model.get_decoder()(input_ids=ids, use_cache=False), "last_hidden_state", None)
        apart = head is not None and hidden is not None and torch.equal(head(hidden), logits)
    if not apart and "logits_to_keep" not in inspect.signature(model.forward).parameters:
        raise ModelError(
            f"{type(model).__name__} returns the logits of all tokens at once only, which do not fit into memory: "
            "remove `teacher.logits`, or use a teacher of another architecture"
        )
    return int(logits.shape[-1]), apart

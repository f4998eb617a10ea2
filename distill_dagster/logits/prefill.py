"""The second pass: the teacher reads a finished answer once and gives the distribution of every token in it.

Keeping the scores while decoding would mean (V,) numbers at every step, one token a step. Reading the finished text
takes one forward pass for all of its tokens. The logits of all tokens at once would not fit into memory: 16,384 tokens
of a 151,936-token vocabulary are 10 GB as float32. So the body of the model runs over the batch, and the head over
slices of the answers' positions, each of at most `SLICE_ELEMENTS` logits.

Legend: B rows, T tokens of the longest, H hidden size, V vocabulary, N answer tokens of the whole batch, S of a
slice, k kept.

If a model changes its logits after the head (models/head.py), each row is read alone through the model's `forward`, a
slice of logits at a time (`logits_to_keep`). The numbers are the same, it takes more time.

Rows are padded on the right. A token of a causal model does not see the tokens behind it, so padding changes nothing.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from distill_dagster.errors import ModelError
from distill_dagster.logits.distributions import LOWEST, MOST_DRAWS, NO_DRAW, TEMPERATURES, Distributions, Tail
from distill_dagster.logits.sequences import TokenSequence
from distill_dagster.models.drawing import drawn_tokens
from distill_dagster.models.head import Head, takes_positions, try_head
from distill_dagster.models.loading import LoadedModel
from distill_dagster.models.padding import right_padded
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

    def __init__(self, loaded: LoadedModel, k: int, tail: Tail = "bucket", slice_elements: int | None = None) -> None:
        self.loaded, self.k, self.tail = loaded, k, tail
        self.limits = RowLimits.of(loaded.model.config)
        self.vocab_size, self.head_apart = _try_head(loaded)
        if k > self.vocab_size:
            raise ModelError(f"teacher.logits.k is {k}, {loaded.ref.name} has {self.vocab_size} tokens: lower `k`")
        self.kept = k  # tokens that are kept of each position
        elements = slice_elements or SLICE_ELEMENTS["cuda" if loaded.device.startswith("cuda") else "cpu"]
        self.slice_positions = max(1, elements // self.vocab_size)

    def read(self, batch: list[TokenSequence], others: np.ndarray | None = None) -> list[Distributions]:
        """The distributions of each sequence's answer, in the order of the batch.

        `others` (N, M) are tokens to keep beside the k likeliest at each of the N positions, as `keep` does.

        Raises:
            ModelError: the model returns NaN.
        """
        import torch

        with torch.inference_mode():
            slices = self._through_head(batch) if self.head_apart else self._through_forward(batch)
            beside = None if others is None else torch.from_numpy(others).to(self.loaded.device)
            parts = self._keep(slices, self._uniforms(batch), beside)
        ids, logprobs, tail, ranks, kept = (part.cpu().numpy() for part in parts)
        if np.isnan(logprobs).any() or np.isnan(tail).any():
            raise ModelError(f"{self.loaded.ref.name} returns NaN as {self.loaded.dtype}: try another `dtype`")
        ends = np.cumsum([sequence.answer_tokens for sequence in batch])[:-1]
        columns = (np.split(column, ends) for column in (ids, logprobs, tail, ranks, kept))
        name = "tail_logsums" if self.tail == "bucket" else "draws"
        return [Distributions(*row, **{name: own}) for *row, own in zip(*columns, strict=True)]

    def _keep(self, slices: Iterator[tuple[Any, Any]], uniforms: Any, others: Any) -> list[Any]:
        """What `keep` returns, for all N positions."""
        import torch

        parts, start = [], 0
        for logits, targets in slices:
            end = start + len(targets)
            own, beside = (None if part is None else part[start:end] for part in (uniforms, others))
            parts.append(keep(logits, targets, self.k, own, beside))
            start = end
        *columns, tails = zip(*parts, strict=True)
        width = max(tail.shape[1] for tail in tails)
        padded = [torch.nn.functional.pad(tail, (0, width - tail.shape[1]), value=NO_DRAW) for tail in tails]
        return [*(torch.cat(column) for column in columns), torch.cat(padded)]

    def _uniforms(self, batch: list[TokenSequence]) -> Any:
        """Numbers in [0, 1) (N, 50) that depend on each row's key alone, not on its batch; None for a bucket."""
        import torch

        if self.tail == "bucket":
            return None
        numbers = [
            np.random.default_rng(list(repr(s.key).encode())).random((s.answer_tokens, MOST_DRAWS), dtype=np.float32)
            for s in batch
        ]
        return torch.from_numpy(np.concatenate(numbers)).to(self.loaded.device)

    def _through_head(self, batch: list[TokenSequence]) -> Iterator[tuple[Any, Any]]:
        """Slices of logits (S, V) and their true tokens (S,): one pass of the body, then the head slice by slice."""
        import torch

        loaded = self.loaded
        rows = [sequence.ids[:-1] for sequence in batch]
        ids, mask = right_padded(rows, loaded.tokenizer.pad_token_id, loaded.device)  # (B, T)
        body, head = loaded.model.get_decoder(), loaded.model.get_output_embeddings()
        hidden = body(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state  # (B, T, H)
        answers = [hidden[row, s.answer_start - 1 : len(s.ids) - 1] for row, s in enumerate(batch)]
        states, targets = torch.cat(answers), self._targets(batch)  # (N, H), (N,)
        for start in range(0, len(targets), self.slice_positions):
            chosen = slice(start, start + self.slice_positions)
            yield head(states[chosen]).to(loaded.device), targets[chosen]

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


def keep(logits: Any, targets: Any, k: int, uniforms: Any = None, others: Any = None) -> tuple[Any, Any, Any, Any, Any]:
    """The k likeliest tokens of each position, including the true one, and what is kept of the tail.

    Takes logits (S, V), which it overwrites, true tokens (S,), and for a sampled tail numbers in [0, 1) (S, M).
    Returns ids (S, k) int32, log-probabilities (S, k) and the tail's log-mass (S,) as float16, the true token's rank
    (S,) int32, and `tail_logsums` (S, 2) as float16 or draws (S, M) int32. The arithmetic is float32 and in place:
    allocating a second (S, V) tensor costs a CPU more time than that. The tail is summed directly, relative to
    the k-th likeliest token, because 1 - the mass of the k has no digits left where a model is sure.

    With `others` (S, M), which hold the true token, k + M tokens are kept: the k likeliest, the others, and as many of
    the next likeliest as there is room for.
    """
    import torch

    logits = logits.float()
    values, ids = logits.topk(k, dim=-1)  # (S, k)
    highest = values[:, -1].clamp(min=torch.finfo(torch.float32).min)  # (S,): no token of the tail has more
    if others is not None:
        values, ids = _united(logits, ids, others)
    found = ids == targets[:, None]
    outside = ~found.any(dim=-1)
    own = logits.gather(1, targets[:, None])[:, 0]  # (S,)
    ids[outside, -1], values[outside, -1] = targets[outside], own[outside]
    ranks = torch.where(outside, ids.shape[1] - 1, found.int().argmax(dim=-1))
    masses = logits.scatter_(1, ids, float("-inf")).sub_(highest[:, None]).exp_()  # (S, V), at most 1
    rest = masses.sum(dim=-1).log()  # (S,)
    total = torch.logaddexp(rest + highest, values.logsumexp(dim=-1))
    logprobs, tail = values - total[:, None], rest + highest - total
    kept = _log_sums(masses, highest - total) if uniforms is None else _draw(masses, tail.exp(), uniforms)
    lowest = (part.clamp(LOWEST, 0.0).half() for part in (logprobs, tail))
    return ids.int(), *lowest, ranks.int(), kept


def _united(logits: Any, ids: Any, others: Any) -> tuple[Any, Any]:
    """Logits and ids (S, k + M) of the k likeliest tokens, the others, and the next likeliest, in descending order.

    There are at most V of them.
    """
    width = min(ids.shape[1] + others.shape[1], logits.shape[1])
    wanted = logits.clone().scatter_(1, ids, float("inf")).scatter_(1, others.long(), float("inf"))
    chosen = wanted.topk(width, dim=-1).indices  # (S, k + M)
    values, order = logits.gather(1, chosen).sort(dim=-1, descending=True)
    return values, chosen.gather(1, order)


def _log_sums(masses: Any, highest: Any) -> Any:
    """Logarithm of the sum of p**(1/T) over the tail for T = 2 and 4, (S, 2) float16; `masses` is overwritten.

    `masses` (S, V) are relative to a token whose log-probability is `highest` (S,).
    """
    import torch

    sums = [masses.sqrt_().sum(dim=-1).log() + highest / temperature for temperature in TEMPERATURES]
    return torch.stack(sums, dim=-1).clamp(LOWEST, -LOWEST).half()


def _draw(masses: Any, tail: Any, uniforms: Any) -> Any:
    """Tokens drawn from the tail in proportion to `masses` (S, V), max(1, ceil(50 * tail)) of them: (S, M) int32."""
    import torch

    count = (MOST_DRAWS * tail).ceil().clamp(1, MOST_DRAWS).long()  # (S,)
    wanted = uniforms[:, : int(count.max())]  # (S, M)
    ids = drawn_tokens(masses, wanted)
    drawn = torch.arange(wanted.shape[1], device=ids.device) < count[:, None]
    return torch.where(drawn, ids, NO_DRAW).int()


def _try_head(loaded: LoadedModel) -> Head:
    """The width of the logits, and whether they are exactly the head over the body on a few tokens.

    Raises:
        ModelError: they are not, and `forward` cannot return a slice of its logits either.
    """
    model = loaded.model
    head = try_head(model)
    if not head.is_apart and not takes_positions(model):
        raise ModelError(
            f"{type(model).__name__} returns the logits of all tokens at once only, which do not fit into memory: "
            "remove `teacher.logits`, or use a teacher of another architecture"
        )
    return head

"""A row that is being answered, and how its next token is chosen.

Each row draws its own random numbers from the seed, its prompt, and its key (or its position, if it has none). So a
sampled answer depends neither on the engine nor on the other prompts, before or after a restart:

    Row(position=3, prompt=[5, 17, 9])  ->  answer [40, 2], which ends because 2 is an end token
"""

import zlib
from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from distill_dagster.models.drawing import drawn_tokens
from distill_dagster.models.loading import LoadedModel
from distill_dagster.models.rendering import answer_ends, end_ids
from distill_dagster.models.row_limits import RowLimits

Finish = Literal["stop", "length", "repetition"]


@dataclass(frozen=True, slots=True)
class Repetition:
    """What counts as a loop: the last n tokens, n up to `ngram`, come `times` times in a row."""

    ngram: int
    times: int

    def ends(self, answer: Sequence[int]) -> bool:
        """Whether the answer has just got into a loop."""
        longest = min(self.ngram, len(answer) // self.times)
        return any(
            answer[-1] == answer[-1 - n] and answer[n - n * self.times :] == answer[-n * self.times : -n]
            for n in range(1, longest + 1)
        )


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen, and when an answer ends; at temperature 0 the token is the likeliest."""

    max_new_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    repetition: Repetition | None = None  # None: a loop goes on to `max_new_tokens`

    def seed_of(self, row: "Row") -> int:
        """A seed for the row alone, whichever rows are answered with it."""
        return zlib.crc32(repr((self.seed, row.key or row.position, row.prompt)).encode())

    def finish_of(self, answer: Sequence[int], ends: Container[int]) -> Finish | None:
        """Why an answer ends with its last token; None if it goes on."""
        if answer[-1] in ends:
            return "stop"
        if self.repetition is not None and self.repetition.ends(answer):
            return "repetition"
        return "length" if len(answer) == self.max_new_tokens else None


@dataclass(slots=True)
class Row:
    """A prompt as token ids, and its answer so far, including the end token."""

    position: int  # in the list of prompts
    prompt: list[int]
    key: str = ""  # distinguishes its draws from those of another row with the same prompt
    answer: list[int] = field(default_factory=list)
    milliseconds: float = 0.0  # its share of the time of its batches
    finish: Finish | None = None  # why the answer ended; None: it goes on

    @property
    def ended(self) -> bool:
        """Whether the answer has ended."""
        return self.finish is not None


def grouped(rows: Sequence[Row], new_tokens: int, limits: RowLimits) -> list[list[Row]]:
    """Rows that may share a batch: those that stay on one side of the switch of `longrope`, and those that may cross.

    The latter cross it together, since a group of them has prompts of one length. Without a switch all rows are one
    group.
    """
    groups: dict[tuple[bool, int], list[Row]] = {}
    for row in rows:
        length = len(row.prompt)
        key = (False, length) if limits.crosses(length, new_tokens) else (limits.side(length), 0)
        groups.setdefault(key, []).append(row)
    return list(groups.values())


def ends_of(loaded: LoadedModel) -> list[int]:
    """The tokens at which an answer of this model ends."""
    return answer_ends(loaded.tokenizer, end_ids(loaded.tokenizer, loaded.model.generation_config))


def generation_settings(loaded: LoadedModel, sampling: Sampling) -> Any:
    """A generation config that leaves nothing to a checkpoint's defaults; `generate` takes the likeliest token."""
    from transformers import GenerationConfig

    return GenerationConfig(
        max_new_tokens=sampling.max_new_tokens,
        eos_token_id=ends_of(loaded),
        pad_token_id=loaded.tokenizer.pad_token_id,
        do_sample=False,
    )


def left_padded(rows: Sequence[Row], pad: int, device: str) -> tuple[Any, Any]:
    """Prompts padded so that all end in the same column: token ids and mask, both (B, T)."""
    import torch

    width = max(len(row.prompt) for row in rows)
    ids = torch.tensor([[pad] * (width - len(row.prompt)) + row.prompt for row in rows], device=device)
    mask = torch.tensor([[0] * (width - len(row.prompt)) + [1] * len(row.prompt) for row in rows], device=device)
    return ids, mask


class TokenChoice:
    """The next token of each row, from the model's logits."""

    def __init__(self, sampling: Sampling) -> None:
        self._sampling = sampling
        self._drawn: dict[int, Any] = {}  # position -> uniform numbers (max_new_tokens,), one for each token

    def __call__(self, rows: Sequence[Row], logits: Any, steps: Sequence[int]) -> Any:
        """Token ids (B,) for `logits` (B, V); `steps` is the number of tokens that each row's answer has.

        Above temperature 0 the cumulative distribution, cut to its nucleus, is inverted at the row's draw.
        """
        import torch

        if self._sampling.temperature == 0:
            return logits.argmax(-1)
        scores = logits.float() / self._sampling.temperature
        if self._sampling.top_p < 1:
            scores = self._nucleus(None, scores)
        draws = [self._draw(row, step) for row, step in zip(rows, steps, strict=True)]
        uniforms = scores.new_tensor(draws, dtype=torch.float64)[:, None]  # float32 sums would lose the small masses
        return drawn_tokens(scores.softmax(-1), uniforms)[:, 0]

    def forget(self, row: Row) -> None:
        """Drop the draws of a row that has ended."""
        self._drawn.pop(row.position, None)

    @cached_property
    def _nucleus(self) -> Any:
        from transformers import TopPLogitsWarper

        return TopPLogitsWarper(self._sampling.top_p)

    def _draw(self, row: Row, step: int) -> float:
        """A number in [0, 1) for the row's next token; 0 if the row has ended."""
        import torch

        if row.ended:
            return 0.0
        if row.position not in self._drawn:
            generator = torch.Generator().manual_seed(self._sampling.seed_of(row))
            self._drawn[row.position] = torch.rand(self._sampling.max_new_tokens, generator=generator)
        return float(self._drawn[row.position][step])

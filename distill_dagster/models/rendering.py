"""Turns messages into text and text into token ids, in one place: training and decoding see the same tokens.

A row of a sentiment task under the template of `models/building.py`:

    messages  [{"role": "user", "content": "Great film."}]
    prompt    <|user|>Great film.<|end|><|assistant|>
    answer                                           positive<|end|>

The prompt is tokenized alone, because at inference nothing follows it yet. What follows it in training is the
template's own rendering of the answer (`frames.py`), up to the first end-of-sequence token behind it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from distill_dagster.models.frames import Frame, RenderError, closing_of, frame_of, render, shared

__all__ = [
    "Encoded",
    "RenderError",
    "answer_ends",
    "closing_id",
    "encode",
    "encode_answer",
    "encode_example",
    "end_ids",
    "render_prompt",
]


@dataclass(frozen=True, slots=True)
class Encoded:
    """A tokenized example: `ids[:answer_start]` is the prompt, the rest the answer and its end token."""

    ids: list[int]
    answer_start: int


def render_prompt(tokenizer: Any, messages: Sequence[Mapping[str, str]]) -> str:
    """The text that the model continues: `messages` and the marker that opens the answer.

    Raises:
        RenderError: the template refuses the messages, for example a system message that it does not support.
    """
    return render(tokenizer, messages, generate=True)


def encode(tokenizer: Any, text: str) -> list[int]:
    """Token ids of a rendered text. No special tokens are added: the template has put in every marker."""
    return tokenizer(text, add_special_tokens=False, return_attention_mask=False, verbose=False)["input_ids"]


def end_ids(tokenizer: Any, generation_config: Any = None) -> list[int]:
    """The tokens that a model states as ends: those of its generation config, perhaps several, else its tokenizer's.

    A student learns to end with one of these, because every server that reads its files stops there.
    """
    named = generation_config.eos_token_id if generation_config is not None else None
    named = tokenizer.eos_token_id if named is None else named
    return list(named) if isinstance(named, list | tuple) else [named] if named is not None else []


def answer_ends(tokenizer: Any, stated: Sequence[int]) -> list[int]:
    """The tokens at which an answer ends: the stated ones, the tokenizer's, and the template's closing token.

    Many checkpoints state one of the three and end their answers with another:

        Qwen2.5 base    <|endoftext|> is stated, and the template closes a turn with <|im_end|>
        Llama 3         <|end_of_text|> is the tokenizer's of some copies, and the template closes with <|eot_id|>
    """
    found = [*stated, tokenizer.eos_token_id, closing_id(tokenizer)]
    return list(dict.fromkeys(token for token in found if token is not None))


def closing_id(tokenizer: Any) -> int | None:
    """The first special token that the template writes behind an answer; None if it writes none."""
    closing = encode(tokenizer, closing_of(tokenizer))
    special = {key for key, token in tokenizer.added_tokens_decoder.items() if token.special}
    return next((token for token in closing if token in special), None)


def encode_example(tokenizer: Any, messages: Sequence[Mapping[str, str]], answer: str, ends: Sequence[int]) -> Encoded:
    """The ids of a prompt and its answer, ending in one of `ends`.

    Raises:
        RenderError: the template refuses the row, or writes another text than the answer.
    """
    answer = answer.strip()  # as many templates do; the white space carries no meaning
    prompt = render_prompt(tokenizer, messages)
    frame = frame_of(tokenizer, messages, prompt, answer)
    ids = encode(tokenizer, prompt)
    return Encoded(ids=[*ids, *encode_answer(tokenizer, prompt, frame, answer, ends)], answer_start=len(ids))


def encode_answer(tokenizer: Any, prompt: str, frame: Frame, answer: str, ends: Sequence[int]) -> list[int]:
    """The ids behind the prompt's: the answer in its frame, up to the first of `ends` behind it.

    Without an opening, answer and closing are tokenized apart. With one, the whole is tokenized as the template wrote
    it; if the prompt's last token would merge with what follows, the prompt keeps the tokens that it has at inference.
    """
    if not frame.opening:
        return [*encode(tokenizer, answer), *_ending(encode(tokenizer, frame.closing), ends)]
    start, opened = encode(tokenizer, prompt), frame.opening + answer
    bodies = [encode(tokenizer, prompt + text) for text in (opened, opened + frame.closing)]
    if any(ids[: len(start)] != start for ids in bodies):
        start, bodies = [], [encode(tokenizer, text) for text in (opened, opened + frame.closing)]
    body, whole = bodies
    same = shared(body, whole)
    has_end = any(token in ends for token in whole[same:])
    return [*(whole[:same] if has_end else body)[len(start) :], *_ending(whole[same:], ends)]


def _ending(closing: Sequence[int], ends: Sequence[int]) -> list[int]:
    """The tokens of `closing` up to its first end token, or an end token alone if it has none."""
    first = next((i for i, token in enumerate(closing) if token in ends), None)
    return list(closing[: first + 1]) if first is not None else list(ends[:1])

"""Turns teacher rows into the token sequences that the second pass reads, and marks where each answer starts.

    teacher row   row_id "d-17", sample 0, turn 1, raw_text "Yes.", finish_reason "stop"
    prompt        <|user|>Hi<|end|><|assistant|>Hello!<|end|><|user|>Open?<|end|><|assistant|>
    sequence      ids [3, 41, 77, 1, 4, …, 4, 590, 13, 1], answer_start 12     "Yes", ".", end token

The prompt is rendered and tokenized as when the teacher was asked, over the teacher's own earlier answers. The answer
is stored as text and is tokenized behind its prompt, after what the chat template opens an answer with. The tokenizer
splits a text in one way only, while a sampling teacher now and then writes the same text in other tokens:
`retokenized` says that the number of tokens differs from the number that the teacher generated. An answer whose tokens
are not known is refused with one of these codes:

    unknown_row     no raw row has this id and turn
    other_teacher   another model, or another revision, gave the answer
    E015            the chat template refuses the messages
    prompt_merged   the answer's first characters merge with the prompt's last token
    text_changed    the tokens decode to another text, for example because the text spells out a special token
    empty_answer    the answer was cut off before its first character
    E010            prompt and answer are longer than the model's context
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from distill_dagster.models.answer_text import answer_text
from distill_dagster.models.frames import opening_of
from distill_dagster.models.loading import LoadedModel
from distill_dagster.models.rendering import (
    RenderError,
    encode,
    encode_example,
    end_ids,
    render_prompt,
)
from distill_dagster.tasks.prompts import prompts_of, with_replies

Key = tuple[str, int, int]  # row id, sample, turn
COLUMNS = (
    *("row_id", "sample", "turn", "raw_text", "answer", "chosen", "finish_reason", "completion_tokens"),
    *("teacher", "teacher_revision", "status"),
)


@dataclass(frozen=True, slots=True)
class TokenSequence:
    """`ids[:answer_start]` is the prompt; the rest is the answer, with its end token unless it was cut off."""

    key: Key
    ids: list[int]
    answer_start: int
    retokenized: bool = False

    @property
    def answer_tokens(self) -> int:
        """Tokens of the answer, each with one distribution."""
        return len(self.ids) - self.answer_start


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer without logits, and the reason."""

    key: Key
    code: str
    message: str
    text: str


class Refused(Exception):
    """Raised where an answer has no usable token sequence."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def sequences_of(
    answers: Iterable[Mapping[str, Any]], rows: Mapping[str, Mapping[str, Any]], loaded: LoadedModel
) -> Iterator[TokenSequence | Refusal]:
    """One sequence or one refusal for each teacher row that the student may learn, in their order.

    `answers` are rows of `schemas.TEACHER` (its COLUMNS); `rows` maps a row id to its raw row.
    """
    answers = [answer for answer in answers if may_be_learned(answer)]
    texts = {_key(answer): answer["answer"] or "" for answer in answers}  # as later turns saw them
    opening = opening_of(loaded.tokenizer)
    for answer in answers:
        try:
            yield _sequence(answer, rows, texts, loaded, opening)
        except Refused as refused:
            yield Refusal(_key(answer), refused.code, str(refused), answer["raw_text"])


def may_be_learned(answer: Mapping[str, Any]) -> bool:
    """Whether a teacher row has an answer, and it is the chosen one of its row."""
    return answer["status"] == "ok" and answer["chosen"]


def _key(answer: Mapping[str, Any]) -> Key:
    return answer["row_id"], answer["sample"], answer["turn"]


def _sequence(
    answer: Mapping[str, Any],
    rows: Mapping[str, Mapping[str, Any]],
    texts: Mapping[Key, str],
    loaded: LoadedModel,
    opening: str,
) -> TokenSequence:
    key, ref = _key(answer), loaded.ref
    if (answer["teacher"], answer["teacher_revision"]) != (ref.name, ref.revision):
        given = f"{answer['teacher']} {answer['teacher_revision'][:12]}"
        raise Refused("other_teacher", f"answered by {given}, the teacher is {ref.name} {ref.revision[:12]}")
    messages = _messages(key, rows, texts)
    prompt, ids = tokenize_answer(loaded.tokenizer, messages, answer["raw_text"], opening)
    if answer["finish_reason"] == "stop":
        ids = ids + _end(loaded, messages, answer["raw_text"])
    if len(ids) == len(prompt):
        raise Refused("empty_answer", f"0 tokens, finish reason {answer['finish_reason']}")
    context = getattr(loaded.model.config, "max_position_embeddings", None)
    if context is not None and len(ids) > context + 1:  # the last token is only predicted
        raise Refused("E010", f"{len(ids):,} tokens, the context has {context:,}")
    return TokenSequence(key, ids, len(prompt), len(ids) - len(prompt) != answer["completion_tokens"])


def _messages(key: Key, rows: Mapping[str, Mapping[str, Any]], texts: Mapping[Key, str]) -> list[dict[str, str]]:
    """The messages that the teacher read, including its own earlier answers."""
    row_id, sample, turn = key
    prompts = prompts_of(rows[row_id]) if row_id in rows else []
    earlier = [texts.get((row_id, sample, before)) for before in range(turn)]
    if turn >= len(prompts) or None in earlier:
        raise Refused("unknown_row", f"turn {turn} of a row with {len(prompts)} turns in raw.parquet")
    return with_replies(prompts[turn], [text for text in earlier if text is not None])


def tokenize_answer(
    tokenizer: Any, messages: Sequence[Mapping[str, str]], text: str, opening: str
) -> tuple[list[int], list[int]]:
    """Token ids of the prompt, and of the prompt and the answer behind it.

    Raises:
        Refused: the template refuses the messages, or the answer's tokens are not known.
    """
    try:
        rendered = render_prompt(tokenizer, messages)
    except RenderError as e:
        raise Refused("E015", str(e)) from e
    given = "" if text.startswith(opening) else opening  # a decoder may drop the space that opens an answer
    prompt, ids = encode(tokenizer, rendered), encode(tokenizer, rendered + given + text)
    if ids[: len(prompt)] != prompt or not prompt:
        raise Refused("prompt_merged", f"behind {rendered[-20:]!r} the prompt's {len(prompt)} tokens become others")
    again = answer_text(tokenizer, ids[len(prompt) :], opening)
    if again not in (text, given + text):
        raise Refused("text_changed", f"the tokens decode to {again[:80]!r}")
    return prompt, ids


def _end(loaded: LoadedModel, messages: list[dict[str, str]], text: str) -> list[int]:
    """The end token. Of several, the one that the chat template puts behind an answer, which the student learns."""
    ends = end_ids(loaded.tokenizer, loaded.model.generation_config)
    if len(ends) < 2:
        return ends
    try:
        return encode_example(loaded.tokenizer, messages, text, ends).ids[-1:]
    except RenderError as e:
        raise Refused("E015", str(e)) from e

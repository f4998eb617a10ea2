"""Turns messages into text and text into token ids, in one place: training and decoding see the same tokens.

A row of a sentiment task under the template of `models/building.py`:

    messages  [{"role": "user", "content": "Great film."}]
    prompt    <|user|>Great film.<|end|><|assistant|>
    answer                                           positive<|end|>

Prompt and answer are tokenized separately, because at inference nothing follows the prompt yet. The answer includes
the first end-of-sequence token that the template puts after it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from distill_dagster.errors import ModelError
from distill_dagster.tasks.thoughts import is_mark

# Templates ignore variables that they do not read. Qwen3's then writes an empty thought instead of a long one.
TEMPLATE_OPTIONS = {"enable_thinking": False}


class RenderError(ModelError):
    """A chat template cannot render a row, or does not put the answer right after the prompt (E015)."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """A tokenized example: `ids[:answer_start]` is the prompt, the rest the answer and its end token."""

    ids: list[int]
    answer_start: int


def _render(tokenizer: Any, messages: Sequence[Mapping[str, str]], generate: bool) -> str:
    from jinja2 import TemplateError

    plain = [{"role": m["role"], "content": m["content"]} for m in messages]
    try:
        return tokenizer.apply_chat_template(plain, tokenize=False, add_generation_prompt=generate, **TEMPLATE_OPTIONS)
    except TemplateError as e:
        roles = ", ".join(m["role"] for m in plain)
        raise RenderError(f"the chat template refuses messages with the roles {roles}: {e}") from e


def render_prompt(tokenizer: Any, messages: Sequence[Mapping[str, str]]) -> str:
    """The text that the model continues: `messages` and the marker that opens the answer.

    Raises:
        RenderError: the template refuses the messages, for example a system message that it does not support.
    """
    return _render(tokenizer, messages, generate=True)


def encode(tokenizer: Any, text: str) -> list[int]:
    """Token ids of a rendered text. No special tokens are added: the template has put in every marker."""
    return tokenizer(text, add_special_tokens=False, return_attention_mask=False, verbose=False)["input_ids"]


def decode_answer(tokenizer: Any, ids: Sequence[int]) -> str:
    """The tokens as text, without special ones. Special marks of thoughts stay: they tell where the answer begins."""
    special, marks = _special_ids(tokenizer)
    if marks.isdisjoint(ids):
        return tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    kept = [token for token in ids if token in marks or token not in special]
    return tokenizer.decode(kept, skip_special_tokens=False, clean_up_tokenization_spaces=False)


@lru_cache(maxsize=4)
def _special_ids(tokenizer: Any) -> tuple[frozenset[int], frozenset[int]]:
    """The special tokens, and those of them that are marks of thoughts."""
    special = {key: token.content for key, token in tokenizer.added_tokens_decoder.items() if token.special}
    return frozenset(special), frozenset(key for key, text in special.items() if is_mark(text))


def end_ids(tokenizer: Any, generation_config: Any = None) -> list[int]:
    """The tokens that end an answer: those of the generation config (perhaps several), else that of the tokenizer."""
    named = generation_config.eos_token_id if generation_config is not None else None
    named = tokenizer.eos_token_id if named is None else named
    return list(named) if isinstance(named, list | tuple) else [named] if named is not None else []


def encode_example(tokenizer: Any, messages: Sequence[Mapping[str, str]], answer: str, ends: Sequence[int]) -> Encoded:
    """The ids of a prompt and its answer, ending in one of `ends`.

    Raises:
        RenderError: the template refuses the row, or does not render it as the prompt followed by the answer.
    """
    answer = answer.strip()  # as many templates do; the white space carries no meaning
    prompt = render_prompt(tokenizer, messages)
    whole = _render(tokenizer, [*messages, {"role": "assistant", "content": answer}], generate=False)
    if not whole.startswith(prompt + answer):
        raise RenderError(
            f"the chat template renders the row as {whole[-80:]!r}, which does not continue its prompt "
            f"{prompt[-40:]!r} with the answer {answer[:40]!r}; use a template "
            "whose generation prompt is a prefix of the full text"
        )
    closing = encode(tokenizer, whole[len(prompt) + len(answer) :])
    first_end = next((i for i, token in enumerate(closing) if token in ends), None)
    ending = closing[: first_end + 1] if first_end is not None else list(ends[:1])
    prompt_ids = encode(tokenizer, prompt)
    return Encoded(ids=[*prompt_ids, *encode(tokenizer, answer), *ending], answer_start=len(prompt_ids))

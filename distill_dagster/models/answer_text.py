"""The text of a model's answer: its generated tokens without special ones and without the words of an opening."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from distill_dagster.models.frames import END_OF_THOUGHT
from distill_dagster.tasks.thoughts import is_mark


def answer_text(tokenizer: Any, tokens: Sequence[int], opening: str) -> str:
    """The text of generated tokens. `opening` is what the template writes between prompt and answer."""
    words = opening.strip() and opening != END_OF_THOUGHT  # the answer's parser reads the end of a thought itself
    if words and _whole(tokenizer, tokens).startswith(opening):
        within = next(n for n in range(1, len(tokens) + 1) if len(_whole(tokenizer, tokens[:n])) >= len(opening))
        tokens = tokens[within:]
    return decode_answer(tokenizer, tokens)


def decode_answer(tokenizer: Any, ids: Sequence[int]) -> str:
    """The tokens as text, without special ones. Special marks of thoughts stay: they tell where the answer begins."""
    special, marks = _special_ids(tokenizer)
    if marks.isdisjoint(ids):
        return tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return _whole(tokenizer, [token for token in ids if token in marks or token not in special])


def _whole(tokenizer: Any, tokens: Sequence[int]) -> str:
    return tokenizer.decode(tokens, skip_special_tokens=False, clean_up_tokenization_spaces=False)


@lru_cache(maxsize=4)
def _special_ids(tokenizer: Any) -> tuple[frozenset[int], frozenset[int]]:
    """The special tokens, and those of them that are marks of thoughts."""
    special = {key: token.content for key, token in tokenizer.added_tokens_decoder.items() if token.special}
    return frozenset(special), frozenset(key for key, text in special.items() if is_mark(text))

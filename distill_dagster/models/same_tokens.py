"""Whether two tokenizers give the same tokens, so that the distributions of one mean the same to the other.

A hash of a tokenizer's files says too little: files that differ in tokens that no text has are no difference. So both
tokenize the probe texts and every special token that both have. Then their vocabularies are compared id by id:

    id        151,642   151,643         …  151,656         151,657         …  151,935    …  152,063
    teacher   "ĠÑģÐº"   <|endoftext|>      <|video_pad|>   <tool_call>        (padding)     (padding)
    student   "ĠÑģÐº"   <|endoftext|>      <|video_pad|>   (padding)          (padding)     -

From 151,657 on no token belongs to both. `common_ids` returns that number, and the signal leaves out what lies behind.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from distill_dagster.config.signals import OTHER_SIGNALS
from distill_dagster.errors import ModelError
from distill_dagster.models.rendering import encode

MOST_IDS = 24  # in a message
WAYS_OUT = f"use a student with the teacher's tokenizer, {OTHER_SIGNALS}"
REPLACEMENT = "\ufffd"  # what a decoder writes for a part of a character

# Short texts on which tokenizers differ: scripts, digits, white space, marks, code. They are in Unicode's form NFC.
PROBE_TEXTS = (
    "The door is red, and the cup isn't.",
    " leading space",
    "UPPER lower MiXeD camelCase snake_case",
    "Straße, cœur, señor, İstanbul, Żółw",
    "Дверь красная, а чашка синяя.",
    "Η πόρτα είναι κόκκινη.",
    "הדלת אדומה",
    "الباب أحمر والكوب أزرق",
    "दरवाज़ा लाल है",
    "ประตูสีแดง",
    "門是紅色的，杯子是藍色的。",
    "ドアは赤いです。カップ",
    "문은 빨간색입니다",
    "կարմիր დაკეტილი ቀይ",
    "0 1 12 123 1234 12345 123456 3.14 1,000 ½ ² ٣ ५",
    "-7 + 4 = -3; 2**10 >= 1e3; 50 % of $9.99",
    "one  two   three    four        eight",
    "tab\tbreak\nbreaks\n\n\nreturn\r\nend",
    "    indented\n\tfurther",
    "🙂 👍🏽 👩‍👩‍👧 🇫🇮 ❤️",
    "“quoted” ‘single’ – — … « » · • № ™ §",
    "x\u00a0y\u200bz\u3000w",
    "def f(x): return {'a': [x for _ in range(3)]}  # note",
    '{"key": null, "list": [1, 2.5, true]}',
    "<p class='a'>b &amp; c</p> https://example.org/a?b=c#d",
    r"\frac{1}{2} \boxed{42} $x_i^2$ \n",
    "aaaaaaaaaaaaaaaa ======== ........ ________ !!??",
    "𝔘𝔫𝔦 𐍈 ∀x∈ℝ ≠ ∅",
)


def common_ids(teacher: Any, student: Any, ends: Sequence[int] = ()) -> int:
    """The number of ids, from 0 on, that hold all tokens which both tokenizers have.

    `ends` are the teacher's end tokens.

    Raises:
        ModelError: they tokenize some text in different ways. The message has this text and both lists of ids.
    """
    one, other = _tokens(teacher), _tokens(student)
    for text in (*PROBE_TEXTS, *_special_of_both(teacher, student), *_texts_of_differences(teacher, student)):
        require_same_ids(text, encode(teacher, text), encode(student, text))
    for end in ends:
        if one.get(end) != other.get(end):
            raise ModelError(
                f"the teacher ends an answer with token {end}, which is {one.get(end)!r} to the teacher and "
                f"{other.get(end)!r} to the student: {WAYS_OUT}"
            )
    return 1 + max((i for i, token in one.items() if other.get(i) == token), default=-1)


def require_same_ids(text: str, teacher: Sequence[int], student: Sequence[int]) -> None:
    """Raise ModelError if the two tokenized `text` in different ways."""
    if list(teacher) != list(student):
        raise ModelError(
            f"{text!r} is {_shown(teacher)} to the teacher's tokenizer and {_shown(student)} to the student's: "
            f"{WAYS_OUT}"
        )


def require_known(teacher: Any, student: Any, ids: Sequence[int]) -> None:
    """Raise ModelError if a token of the student's ids is another one to the teacher, or none."""
    one, other = _tokens(teacher), _tokens(student)
    for i in ids:
        if one.get(i) != other.get(i):
            raise ModelError(
                f"the student's template writes token {i}, which is {other.get(i)!r} to the student and {one.get(i)!r} "
                f"to the teacher: {WAYS_OUT}"
            )


def _shown(ids: Sequence[int]) -> str:
    if len(ids) <= MOST_IDS:
        return str(list(ids))
    return f"[{', '.join(map(str, ids[:MOST_IDS]))}, …]"


def _tokens(tokenizer: Any) -> Mapping[int, str]:
    """Id -> token, as the vocabulary spells it."""
    return {i: token for token, i in tokenizer.get_vocab().items()}


def _special_of_both(teacher: Any, student: Any) -> list[str]:
    """The special tokens that both have, each inside a text."""
    one, other = (
        {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
        for tokenizer in (teacher, student)
    )
    return [f"a {token} b" for token in sorted(one & other)]


def _texts_of_differences(teacher: Any, student: Any) -> Iterator[str]:
    """The text of each ordinary token whose id is another token, or none, to the other tokenizer.

    An added token that one of them lacks is no difference: to the other, its text is other tokens.

    Raises:
        ModelError: such a token is a part of a character, which has no text of its own.
    """
    one, other = _tokens(teacher), _tokens(student)
    sides = ((teacher, one, teacher.added_tokens_decoder), (student, other, student.added_tokens_decoder))
    differ = [i for i in sorted(one.keys() | other.keys()) if one.get(i) != other.get(i)]
    for i in differ:
        for tokenizer, tokens, added in sides:
            if i not in tokens or i in added:
                continue
            text = tokenizer.decode([i], skip_special_tokens=False, clean_up_tokenization_spaces=False)
            if REPLACEMENT in text:
                raise ModelError(
                    f"token {i} is {one.get(i)!r} to the teacher and {other.get(i)!r} to the student: {WAYS_OUT}"
                )
            yield text

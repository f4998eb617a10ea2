"""Words in any script.

    "The cat's here"     the, cat, s, here          "Кошка спит"     кошка, спит          "मैं घर"     मैं, घर
    "我喜欢猫"            我, 喜, 欢, 猫

A word is a run of letters, their marks and digits. Chinese, Japanese, Thai, Lao, Khmer and Burmese put no blanks
between words; there each character is a word (with its marks), as is usual for overlap scores of Chinese. Korean has
blanks.
"""

import regex

UNSPACED = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]"
WORD = regex.compile(
    rf"{UNSPACED}\p{{M}}*|(?:(?!{UNSPACED})[\p{{L}}\p{{Nd}}])(?:(?!{UNSPACED})[\p{{L}}\p{{M}}\p{{Nd}}])*"
)
ALONE = regex.compile(rf"({UNSPACED}\p{{M}}*)")


def words_of(text: str) -> list[str]:
    """The words of `text`, in order, without punctuation."""
    return WORD.findall(text)


def apart(text: str) -> str:
    """`text` with blanks around the characters that are words of their own."""
    return text if text.isascii() else " ".join(ALONE.sub(r" \1 ", text).split())

"""Forms of a text that hide how it was typed: composed or not, wide or narrow, curly or straight, visible or not.

    composed("cafe\\u0301\\u200b")      "café"        canonically equal texts are one; invisible characters are gone
    folded("ＣＡＦÉ’s")                 "café's"      and so are case, width, ligatures, kinds of quotes and dashes

`composed` is NFC (Unicode annex 15) without default-ignorable characters. `folded` is NFKC with full case folding,
again without them (Unicode's toNFKC_Casefold), and with quotes and dashes in their ASCII form, which NFKC leaves apart.
"""

import unicodedata

import regex

IGNORABLE = regex.compile(r"\p{Default_Ignorable_Code_Point}+")
PLAIN = str.maketrans(
    dict.fromkeys("‘’‚‛′ʼʹ´`", "'") | dict.fromkeys("“”„‟″«»", '"') | dict.fromkeys("‐‑‒–—―−﹣", "-") | {"…": "..."}
)


def visible(text: str) -> str:
    """`text` without default-ignorable characters: zero-width spaces and joiners, soft hyphens, variation selectors."""
    return text if text.isascii() else IGNORABLE.sub("", text)


def composed(text: str) -> str:
    """`text` in NFC, without invisible characters, with runs of white space as one space."""
    return " ".join(unicodedata.normalize("NFC", visible(text)).split())


def folded(text: str) -> str:
    """`text` for a comparison that ignores case, width, compatibility forms, and the kind of quotes and dashes."""
    plain = visible(text).translate(PLAIN)
    if not plain.isascii():  # NFKC changes no ASCII; case folding may undo it, so it runs twice
        plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", plain).casefold())
    return " ".join(plain.translate(PLAIN).casefold().split())

"""Whether two answers are the same expression: 2√3 and √12, x²+2x+1 and (x+1)², (1, 2) and (1,2).

math-verify compares them, beside the accuracy, which knows numbers only. Its parser of LaTeX is a grammar: no text of a
model is evaluated as code (its other parser, of plain expressions, would be, and is not used).

Some expressions take it forever or fill the memory (9^9^9^9^9). So another process does the work (symbolic_process.py).
It is killed when a comparison takes longer than `SECONDS`, which then counts as no match; unlike an alarm signal, this
works in any thread, and stops what Python cannot interrupt. It starts only if an answer needs it: numbers and equal
texts do not.
"""

import re
from collections.abc import Sequence

from distill_dagster.tasks.answer_mark import stated
from distill_dagster.tasks.final_number import final_number, final_place, only_number
from distill_dagster.tasks.plain_math import plain_math
from distill_dagster.tasks.symbolic_process import Comparer
from distill_dagster.tasks.thoughts import part_thoughts

SECONDS = 5.0
LONGEST = 300  # characters; a longer text is prose
FUNCTIONS = "sqrt|frac|dfrac|tfrac|pi|sin|cos|tan|log|ln|exp|text|left|right|cup|cap|infty|cdot|times|begin|end|pmatrix"
WORDS = re.compile(rf"\\[a-zA-Z]+\s*|\b(?:{FUNCTIONS})\b")
ROOT = re.compile(r"(?<!\\)\bsqrt\(([^()]*)\)")


def symbolic_match(texts: Sequence[str | None], references: Sequence[Sequence[str]]) -> float:
    """The share of texts whose answer is the same number or the same expression as a gold answer, 0 … 1."""
    with Comparer(SECONDS) as comparer:
        matches = [
            text is not None and any(_same(comparer, text, reference) for reference in own)
            for text, own in zip(texts, references, strict=True)
        ]
    return sum(matches) / len(matches)


def _same(comparer: Comparer, text: str, reference: str) -> bool:
    _, said = part_thoughts(text)
    given, gold = final_number(said), final_number(reference)
    if given is not None and gold is not None:
        return given == gold
    mine, theirs = expression(said), expression(reference)
    if mine is None or theirs is None:
        return False
    if only_number(mine) is not None and only_number(theirs) is not None:
        return only_number(mine) == only_number(theirs)
    return mine == theirs or (_is_mathematics(mine) and _is_mathematics(theirs) and comparer.equal(mine, theirs))


def expression(text: str) -> str | None:
    """What the text states as its answer, as LaTeX without its delimiters; None where that is empty or prose."""
    place, kind = final_place(text)
    line = place.strip() if kind == "box" else next(iter(stated(place).splitlines()), "")
    bare = line.strip().strip("$ ").removesuffix(".").removeprefix("\\(").removesuffix("\\)").strip("$ ")
    return ROOT.sub(r"\\sqrt{\1}", bare) if 0 < len(bare) <= LONGEST else None


def _is_mathematics(latex: str) -> bool:
    """Whether it holds no words: the grammar would read "apple" as a product of five variables."""
    plain = re.sub(r"\\(?:text|mathrm|mbox)\s*\{[^{}]*\}", "", latex)
    return not re.search(r"[^\W\d_]{3,}", WORDS.sub(" ", plain)) and bool(plain_math(plain).strip())

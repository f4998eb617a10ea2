"""ROUGE-L F1 as the `rouge_score` library computes it: longest common subsequence of words.

    F1 = 2PR / (P + R),  P = LCS / words of the answer,  R = LCS / words of the reference        (Lin 2004)

The library's tokenizer keeps a-z and 0-9 only, as published scores do: texts in other scripts score 0 with it.
"""

from functools import lru_cache
from typing import Any


@lru_cache(maxsize=2)
def _scorer(stem: bool) -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rougeL"], use_stemmer=stem)


def rouge_l(answer: str, reference: str, *, stem: bool) -> float:
    """ROUGE-L F1 of `answer` against one reference, 0 … 1; `stem` compares word stems (Porter)."""
    return float(_scorer(stem).score(reference, answer)["rougeL"].fmeasure)

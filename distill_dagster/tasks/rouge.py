"""ROUGE F1 as the `rouge_score` library computes it: shared n-grams, or the longest common subsequence of words.

    F1 = 2PR / (P + R)      P = shared / those of the answer, R = shared / those of the reference      (Lin 2004)

The library's tokenizer keeps only a-z and 0-9, as published scores do: texts in other scripts score 0.
"""

from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any, Literal

from distill_dagster.tasks.measures import Measure, mean_of

Kind = Literal["rouge1", "rouge2", "rougeL"]  # words, pairs of words, longest common subsequence


@lru_cache(maxsize=8)
def _scorer(kind: Kind, stem: bool) -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer([kind], use_stemmer=stem)


def rouge(answer: str, reference: str, kind: Kind, *, stem: bool) -> float:
    """ROUGE F1 of `answer` against one reference, 0 … 1; `stem` compares word stems (Porter)."""
    return float(_scorer(kind, stem).score(reference, answer)[kind].fmeasure)


def mean_rouge(kind: Kind, *, stem: bool) -> Measure:
    """The mean over answers of the best ROUGE F1 with a reference, 0 … 1."""
    return mean_of(partial(_best, kind, stem))


def _best(kind: Kind, stem: bool, answer: str | None, references: Sequence[str]) -> float:
    return max((rouge(answer or "", reference, kind, stem=stem) for reference in references), default=0.0)

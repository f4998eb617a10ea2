"""ROUGE F1 as the `rouge_score` library computes it: shared n-grams, or the longest common subsequence of words.

    F1 = 2PR / (P + R)      P = shared / those of the answer, R = shared / those of the reference      (Lin 2004)

The library keeps only a-z and 0-9, as published scores do, so that texts in other scripts score 0. It still splits
English texts, where at most one letter in a hundred is another one ("Nyström" in an abstract): their scores stay the
published ones. All other texts are split into Unicode words; in scripts without blanks each character is one.
"""

from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any, Literal

from distill_dagster.tasks.folding import folded
from distill_dagster.tasks.measures import Measure, mean_of
from distill_dagster.tasks.words import words_of

Kind = Literal["rouge1", "rouge2", "rougeL"]  # words, pairs of words, longest common subsequence
FOREIGN = 0.01  # of the letters of both texts; German has about 0.02 of them, English hardly any
STEMMED = 3  # letters; the library stems longer words only


class UnicodeTokenizer:
    """Splits a text for `RougeScorer`; words of a-z and 0-9 are stemmed as the library does it."""

    def __init__(self, stem: bool) -> None:
        from nltk.stem.porter import PorterStemmer

        self._stemmer = PorterStemmer() if stem else None

    def tokenize(self, text: str) -> list[str]:
        """The words of `text`, folded."""
        return [self._stem(word) for word in words_of(folded(text))]

    def _stem(self, word: str) -> str:
        stems = self._stemmer is not None and word.isascii() and len(word) > STEMMED
        return self._stemmer.stem(word) if stems and self._stemmer else word


@lru_cache(maxsize=16)
def _scorer(kind: Kind, stem: bool, is_english: bool) -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer([kind], use_stemmer=stem, tokenizer=None if is_english else UnicodeTokenizer(stem))


def _is_english(text: str) -> bool:
    if text.isascii():
        return True
    letters = [char.isascii() for char in text if char.isalpha()]
    return letters.count(False) <= FOREIGN * len(letters)


def rouge(answer: str, reference: str, kind: Kind, *, stem: bool) -> float:
    """ROUGE F1 of `answer` against one reference, 0 … 1; `stem` compares word stems (Porter)."""
    scorer = _scorer(kind, stem, _is_english(f"{answer}\n{reference}"))
    return float(scorer.score(reference, answer)[kind].fmeasure)


def mean_rouge(kind: Kind, *, stem: bool) -> Measure:
    """The mean over answers of the best ROUGE F1 with a reference, 0 … 1."""
    return mean_of(partial(_best, kind, stem))


def _best(kind: Kind, stem: bool, answer: str | None, references: Sequence[str]) -> float:
    return max((rouge(answer or "", reference, kind, stem=stem) for reference in references), default=0.0)

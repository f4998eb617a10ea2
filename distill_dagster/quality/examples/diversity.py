"""How different the prompts of a set are from one another, measured without a model.

    distinct_1, distinct_2    different words, or pairs of neighbours, per word or pair (Li et al. 2016)
    spread                    1 - mean cosine of two prompts' TF-IDF vectors: 0 if all prompts are equal, near 1 if
                              they share only common words
    openings                  the most frequent first three words, with their shares

All three depend on the number of prompts: distinct-n falls with every row. They are therefore measured on at most
`SAMPLE` training prompts, always the same ones, so that sets with more rows than that can be compared.
"""

import heapq
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from math import log, sqrt

import pyarrow as pa

from distill_dagster.quality.columns import pc
from distill_dagster.quality.duplicates.prompt_keys import bare
from distill_dagster.quality.specs import PromptDiversity
from distill_dagster.store.hashing import sha256

SAMPLE = 10_000
OPENING, OPENINGS = 3, 8  # words of an opening; openings that are listed


class PromptSample:
    """The training prompts that are measured: the user's text in the first turn of the rows whose ids hash lowest."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}  # row id -> text
        self._lowest: list[tuple[int, str]] = []  # a heap of the ids, the highest hash first
        self._last: str | None = None

    def add(self, train: pa.Table) -> None:
        """Look at the next training rows (schemas.EXAMPLE), in the order of row ids."""
        first = train.filter(pc.equal(train.column("turn"), 0)).select(["row_id", "messages"])
        hashes = [int(sha256(row_id), 16) for row_id in first.column("row_id").to_pylist()]
        limit = -self._lowest[0][0] if len(self._lowest) == SAMPLE else math.inf
        low = pa.array([place for place, value in enumerate(hashes) if value < limit], pa.int64())
        for row in first.take(low).to_pylist():
            if row["row_id"] != self._last:  # of several answers to a row the first counts
                self._last = row["row_id"]
                self._enter(row["row_id"], "\n".join(m["content"] for m in row["messages"] if m["role"] == "user"))

    def _enter(self, row_id: str, text: str) -> None:
        own = (-int(sha256(row_id), 16), row_id)
        self._texts[row_id] = text
        if len(self._lowest) < SAMPLE:
            heapq.heappush(self._lowest, own)
        else:
            _, highest = heapq.heappushpop(self._lowest, own)
            del self._texts[highest]

    def diversity(self) -> PromptDiversity:
        """The measures over the prompts."""
        prompts = [bare(self._texts[row_id]).split() for _, row_id in sorted(self._lowest, reverse=True)]
        return PromptDiversity(
            prompts=len(prompts),
            distinct_1=distinct(prompts, 1),
            distinct_2=distinct(prompts, 2),
            spread=spread(prompts),
            openings=_openings(prompts),
        )


def distinct(prompts: Iterable[Sequence[str]], n: int) -> float | None:
    """Different n-grams of words divided by all n-grams; None without any."""
    grams = [tuple(words[i : i + n]) for words in prompts for i in range(len(words) - n + 1)]
    return len(set(grams)) / len(grams) if grams else None


def spread(prompts: Sequence[Sequence[str]]) -> float | None:
    """1 - mean cosine over all pairs of prompts; None for fewer than two.

    The mean needs no loop over pairs: for unit vectors u it is (|sum u|^2 - n) / (n (n - 1)).
    """
    n = len(prompts)
    if n < 2:
        return None
    documents = Counter(word for words in prompts for word in set(words))
    total: dict[str, float] = defaultdict(float)
    units = 0
    for words in prompts:
        weights = {word: (1 + log(count)) * log((1 + n) / documents[word]) for word, count in Counter(words).items()}
        norm = sqrt(sum(weight**2 for weight in weights.values()))
        units += norm > 0
        for word, weight in weights.items() if norm else ():
            total[word] += weight / norm
    return 1 - (sum(value**2 for value in total.values()) - units) / (n * (n - 1))


def _openings(prompts: Sequence[Sequence[str]]) -> dict[str, float]:
    found = Counter(" ".join(words[:OPENING]) for words in prompts)
    first = sorted(found.items(), key=lambda item: (-item[1], item[0]))[:OPENINGS]
    return {words: count / len(prompts) for words, count in first}

"""How different the prompts of a set are from one another, measured without a model.

    distinct_1, distinct_2    different words, or pairs of neighbours, per word or pair (Li et al. 2016)
    spread                    1 - mean cosine of two prompts' TF-IDF vectors: 0 if all prompts are equal, near 1 if
                              they share only common words
    openings                  the most frequent first three words, with their shares

All three depend on the number of prompts: distinct-n falls with every row. They are therefore measured on at most
`SAMPLE` training prompts, always the same ones, so that sets with more rows than that can be compared.
"""

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from math import log, sqrt

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from distill_dagster.quality.columns import pc
from distill_dagster.quality.duplicates.prompt_keys import bare
from distill_dagster.quality.specs import PromptDiversity
from distill_dagster.store.hashing import sha256

SAMPLE = 10_000
OPENING, OPENINGS = 3, 8  # words of an opening; openings that are listed


def prompt_diversity(examples: pa.Table) -> PromptDiversity:
    """The measures over the training prompts of `examples` (schemas.EXAMPLE)."""
    prompts = [bare(text).split() for text in _sample(examples)]
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


def _sample(examples: pa.Table) -> list[str]:
    """The user's text in the first turn of the training rows whose ids hash lowest."""
    chosen = pc.and_(pc.equal(examples.column("split"), "train"), pc.equal(examples.column("turn"), 0))
    rows = pc.indices_nonzero(chosen).to_numpy()
    row_ids = examples.column("row_id").filter(chosen)
    begins = np.concatenate([np.empty(0, np.uint64), *map(_beginnings, row_ids.chunks)])
    lowest = np.unique(begins)[:SAMPLE]
    near = np.flatnonzero(begins <= lowest[-1]) if len(lowest) else np.empty(0, np.int64)
    places: dict[str, int] = {}
    for place, row_id in zip(rows[near].tolist(), row_ids.take(pa.array(near)).to_pylist(), strict=True):
        places.setdefault(row_id, place)
    own = [places[row_id] for row_id in heapq.nsmallest(SAMPLE, places, key=sha256)]
    messages = examples.column("messages").take(pa.array(own, pa.int64())).to_pylist()
    return ["\n".join(m["content"] for m in row if m["role"] == "user") for row in messages]


def _beginnings(row_ids: pa.Array) -> NDArray[np.uint64]:
    """The first 64 bits of each id's hash."""
    return np.fromiter((int(sha256(row_id)[:16], 16) for row_id in row_ids.to_pylist()), np.uint64, len(row_ids))

"""BLEU as sacreBLEU computes it (Papineni et al. 2002; Post 2018), 0 … 1, over a whole set of answers.

    answer "the cat sat on the mat"    gold "the cat is on the mat"    (5/6 * 3/5 * 1/4 * 1/6)^(1/4) = 0.38

sacreBLEU's own tokenizer (13a) takes a run of Chinese or Thai for one word. Blanks around such characters make words of
them, as its tokenizer `zh` does. An answer that could not be parsed is empty.
"""

from collections.abc import Sequence
from typing import Any

from distill_dagster.tasks.words import apart


def bleu(answers: Sequence[str | None], references: Sequence[Sequence[str]]) -> float:
    """Corpus BLEU against all gold answers of each answer; rows may have different numbers of them."""
    from sacrebleu.metrics.bleu import BLEU

    most = max(len(own) for own in references)
    streams: Any = [[apart(own[i]) if i < len(own) else None for own in references] for i in range(most)]
    score = BLEU().corpus_score([apart(answer or "") for answer in answers], streams)
    return min(float(score.score) / 100, 1.0)

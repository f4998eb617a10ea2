"""Duels whose outcome everyone knows, before the judge's word counts.

    gold "Oslo" against ""            the gold answer must win
    gold "Oslo" against ":"           the gold answer must win
    gold "Oslo" against "Solution"    the gold answer must win
    gold "Oslo" against "Oslo"        no winner

Texts such as ":" and "Solution" pass as right answers with many judges (Zhao et al. 2025, One Token to Fool
LLM-as-a-Judge). Judges that fail here are not asked about anything else.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from distill_dagster.evaluation.judging.duels import Duel
from distill_dagster.evaluation.judging.specs import Canary
from distill_dagster.tasks.prompts import Prompt
from distill_dagster.teachers.protocol import Reply, Teacher

WORSE = ("", ":", "Solution")
PROMPTS = 5
ITSELF = "the gold answer"


def canary_duels(asked: Sequence[tuple[Mapping[str, Any], Prompt]]) -> list[Duel]:
    """The duels over the first `PROMPTS` prompts that have a gold answer."""
    with_gold = [(row, prompt) for row, prompt in asked if prompt.reference][:PROMPTS]
    return [
        Duel(row["row_id"], f"{prompt.turn}/canary", prompt.messages, gold, gold if other is None else other)
        for row, prompt in with_gold
        for gold in prompt.reference[:1]
        for other in (*WORSE, None)
        if gold.strip() != other
    ]


def judged_canaries(duels: Sequence[Duel], judge: Teacher, replies: Mapping[str, Reply]) -> list[Canary]:
    """What the judge said of each canary, and whether it is right."""
    return [
        Canary(
            row_id=duel.row_id,
            against=ITSELF if duel.second == duel.first else duel.second,
            right=duel.outcome(judge, replies) == ("tie" if duel.second == duel.first else "first"),
        )
        for duel in duels
    ]


def distrust(canaries: Sequence[Canary]) -> str | None:
    """Why the judge's word does not count; None if every canary came out right."""
    if not canaries:
        return "no held-out row has a gold answer with which the judge could be tested"
    wrong = [canary for canary in canaries if not canary.right]
    if not wrong:
        return None
    kinds = ", ".join(sorted({repr(canary.against) for canary in wrong}))
    return f"{len(wrong)} of {len(canaries)} canaries came out wrong: it did not prefer a gold answer to {kinds}"

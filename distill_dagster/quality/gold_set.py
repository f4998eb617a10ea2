"""The set that the gold student learns: the gold answers of the training rows, chosen as the teacher's answers are.

    raw row   row_id "a", messages [user "Premise: … Hypothesis: …"], reference ["neutral"]
    example   row_id "a", sample 0, turn 0, messages [user …], answer "neutral", label "neutral"

What the validated set decides about a row holds here too: ids of two rows, copies of held-out rows, duplicates,
personal data, the cap on labels, and the form of the answer. The filters for a model's faults (refusals, loops, cut-off
texts) do not apply, because a gold answer is right. Of several gold answers the first is taught. Where the student
learns the reasoning too, the text before the mark of a gold answer ("… so 18.\\n#### 18") is the reasoning.

Every prompt is an example, a reject, or has no gold answer: prompts == no_gold + examples + rejected.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from distill_dagster.quality.duplicates.prompt_index import Entry
from distill_dagster.quality.filters.row_filters import OF_GOLD
from distill_dagster.quality.making import Answers, Making, make_set
from distill_dagster.quality.selection import AskedRow
from distill_dagster.quality.specs import GoldSetCounts, GoldSetResult, GoldSetSpec
from distill_dagster.quality.spill import Spill
from distill_dagster.tasks import Task
from distill_dagster.tasks.prompts import Prompt

STAGE = "gold_set"
SAMPLE = 0  # a prompt has one gold answer to learn


def build_gold_set(spec: GoldSetSpec, device: str) -> GoldSetResult:
    """The worker: make the set from the shards' files. It needs no device and ignores `device`.

    Raises:
        DataError: a table is torn, or the disk is full.
        ConfigError: `quality.max_label_share` cannot be met with the labels of the answers.
    """
    passed = Counter[str]()
    with Spill(Path(spec.work)) as spill:
        made = make_set(spec, spill, Making(STAGE, OF_GOLD, partial(_gold_answers, passed)))
    no_gold = passed["no_gold"]
    prompts = made.counts["examples"] + made.counts["rejected"] + no_gold
    counts = GoldSetCounts(prompts=prompts, no_gold=no_gold, **made.counts)
    return GoldSetResult(data_version=made.data_version, counts=counts, shards=len(spec.raw))


def _gold_answers(passed: Counter[str], entries: Iterator[Entry]) -> Answers:
    """Each gold answer in the form of a teacher's row, beside its raw row; in the order of row ids and turns.

    `passed` counts the prompts without one.
    """
    for entry in entries:
        asked = AskedRow.of(entry)
        for prompt in asked.prompts:
            if prompt.reference:
                yield _as_answer(entry.row, prompt, asked.task), asked
            else:
                passed["no_gold"] += 1
                _pass_over(asked, prompt)


def _as_answer(row: Mapping[str, Any], prompt: Prompt, task: Task) -> dict[str, Any]:
    """A gold answer with the columns of a teacher's row that the set reads."""
    text = prompt.reference[0]
    return {
        "row_id": row["row_id"],
        "sample": SAMPLE,
        "turn": prompt.turn,
        "params": "{}",
        "raw_text": text,
        "reasoning": text.rpartition(task.final_mark)[0].strip() or None,
        "finish_reason": "stop",
        "completion_tokens": None,
        "status": "ok",
        "error_code": None,
    }


def _pass_over(asked: AskedRow, prompt: Prompt) -> None:
    """Keep a turn that is no gold answer as text for the turns behind it, unless an earlier turn was refused."""
    replies, later = asked.replies.setdefault(SAMPLE, []), asked.prompts[prompt.turn + 1 :]
    if later and len(replies) == prompt.turn:
        replies.append(later[0].messages[-2]["content"])

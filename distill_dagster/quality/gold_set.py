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
from pathlib import Path
from typing import Any

import pyarrow as pa

from distill_dagster.config import Learn, QualityConfig
from distill_dagster.process import uncollected
from distill_dagster.quality.columns import RAW_USED, Rows, table_of, walk
from distill_dagster.quality.duplicates.prompt_index import PromptIndex
from distill_dagster.quality.examples.example_table import with_answers
from distill_dagster.quality.filters.row_filters import OF_GOLD
from distill_dagster.quality.selection import AskedRow, Selection
from distill_dagster.quality.specs import GoldSetCounts, GoldSetResult, GoldSetSpec
from distill_dagster.quality.synthetic_set import counts_of, judge_answers, label_sets, load_all
from distill_dagster.store import files, hashing, parquet, schemas
from distill_dagster.tasks import Task, get_task
from distill_dagster.tasks.prompts import Prompt, prompts_of

STAGE = "gold_set"
SAMPLE = 0  # a prompt has one gold answer to learn


def build_gold_set(spec: GoldSetSpec, device: str) -> GoldSetResult:
    """The worker: make the set from the shards' files. It needs no device and ignores `device`.

    Raises:
        DataError: a table is torn, or the disk is full.
        ConfigError: `quality.max_label_share` cannot be met with the labels of the answers.
    """
    raw, test = load_all(spec.raw, RAW_USED.names), parquet.load_table(Path(spec.test))
    table, rejected, counts = select_gold(raw, test, spec.quality, spec.learn)
    parquet.save_table(Path(spec.out) / files.EXAMPLES_FILE, with_answers(table))
    parquet.save_table(Path(spec.out) / files.REJECTS_FILE, rejected)
    version = hashing.rows_hash(parquet.rows_of(table))
    return GoldSetResult(data_version=version, counts=counts, shards=len(spec.raw))


def select_gold(
    raw: Rows, test: Rows, quality: QualityConfig, learn: Learn = "answer"
) -> tuple[pa.Table, pa.Table, GoldSetCounts]:
    """The examples (schemas.EXAMPLE), the rejects (schemas.REJECT) and the counts of the gold answers of all shards."""
    with uncollected():
        rows = table_of(raw, RAW_USED)
        index = PromptIndex(rows, test, quality)
        selection = Selection(quality, learn, label_sets(rows, quality), index, OF_GOLD)
        passed = Counter[str]()
        examples, rejects, _ = judge_answers(selection, _gold_answers(index, passed))
        table, rejected = examples.table(selection.labels), rejects.table()
        stage = pa.array([STAGE] * len(rejected), pa.string())
        rejected = rejected.set_column(schemas.REJECT.get_field_index("stage"), schemas.REJECT.field("stage"), stage)
        found = counts_of(table, rejected)
        prompts = found["examples"] + found["rejected"] + passed["no_gold"]
        return table, rejected, GoldSetCounts(prompts=prompts, no_gold=passed["no_gold"], **found)


def _gold_answers(index: PromptIndex, passed: Counter[str]) -> Iterator[tuple[dict[str, Any], AskedRow]]:
    """Each gold answer in the form of a teacher's row, beside its raw row; in the order of row ids and turns.

    `passed` counts the prompts without one.
    """
    for number, row in enumerate(walk(index.raw, index.places)):
        asked = AskedRow(number, row, get_task(row["task"]), prompts_of(row))
        for prompt in asked.prompts:
            if prompt.reference:
                yield _as_answer(row, prompt, asked.task), asked
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

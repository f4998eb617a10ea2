"""The accepted answers as the rows of the set: what the student learns, and flags on rows that deserve a look.

    gold_score   0 … 1 against the row's gold answers; null without gold answers
    flags        length         the answer is outside the 0.5 to 99.5 percentiles of its task's answers in this set
                 personal_data  the example holds a secret or personal data (`redact` replaces it)
                 rare_label     the label has fewer training rows than quality.min_label_rows

A flag refuses nothing: an unusually long answer to a long prompt is a good row that deserves a look.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from distill_dagster.config import Learn, QualityConfig
from distill_dagster.quality.filters.candidate import Candidate
from distill_dagster.quality.filters.reasons import SNIPPET
from distill_dagster.redaction import find, redact
from distill_dagster.store import schemas
from distill_dagster.tasks.prompts import Prompt, with_replies

# an example before the whole set is known: the length of its answer, and what a reject of it would say
DRAFT = pa.schema(
    [
        *(field for field in schemas.EXAMPLE if field.name != "flags"),
        ("length", pa.int64()),
        ("has_personal_data", pa.bool_()),
        ("source_line", pa.int64()),
        ("snippet", pa.string()),
    ]
)


def draft_of(
    candidate: Candidate,
    prompt: Prompt,
    replies: Sequence[str],
    score: float | None,
    quality: QualityConfig,
    learn: Learn,
) -> dict[str, Any]:
    """An accepted answer as a row of `DRAFT`; `replies` are the kept answers to the dialogue's earlier turns."""
    raw, teacher, answer = candidate.raw, candidate.teacher, candidate.answer
    assert answer is not None, "the filters refuse a text that does not parse"
    row = {
        "row_id": raw["row_id"],
        "sample": teacher["sample"],
        "turn": teacher["turn"],
        "shard": raw["shard"],
        "split": raw["split"],
        "task": raw["task"],
        "messages": with_replies(prompt, replies),
        "answer": answer,
        "reasoning": candidate.reading.reasoning,
        "reference": list(candidate.reference),
        "label": candidate.task.label(answer),
        "gold_score": score,
        "length": len(candidate.text),
        "source_line": raw["source_line"],
        "snippet": (teacher["raw_text"] or "")[:SNIPPET] if quality.max_label_share is not None else None,
    }
    found = quality.personal_data in ("flag", "redact") and any(map(find, (*candidate.learned, *replies)))
    if found and quality.personal_data == "redact":
        _redact(row, whole=not candidate.task.exact)
    row["answer"] = candidate.task.teach(row["answer"], row["reasoning"], learn)
    return row | {"has_personal_data": found}


def _redact(row: dict[str, Any], *, whole: bool) -> None:
    """Replace secrets and personal data in an example; an answer that is a label or a number stays as it was judged."""
    row["messages"] = [{**message, "content": redact(message["content"])} for message in row["messages"]]
    row["reasoning"] = redact(row["reasoning"]) if row["reasoning"] else row["reasoning"]
    if whole:
        row["answer"] = redact(row["answer"])


def with_answers(table: pa.Table) -> pa.Table:
    """The examples (schemas.EXAMPLE) as they are published: each one's `messages` end with its answer.

    So trainers that learn conversations can read the file. The data version is that of the examples without, because
    the answer has a column.
    """
    messages = table.column("messages").combine_chunks()
    answers = pa.StructArray.from_arrays(
        [pa.repeat("assistant", len(table)), table.column("answer").combine_chunks()], ["role", "content"]
    )
    said = pa.concat_arrays([messages.flatten(), answers])
    lengths = messages.value_lengths().to_numpy(zero_copy_only=False)
    ends = np.cumsum(lengths)  # among the messages
    order = np.insert(np.arange(ends[-1] if len(ends) else 0), ends, np.arange(len(table)) + len(messages.flatten()))
    offsets = np.concatenate([[0], np.cumsum(lengths + 1)])
    joined = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), said.take(pa.array(order, pa.int64())))
    return table.set_column(table.schema.get_field_index("messages"), schemas.EXAMPLE.field("messages"), joined)

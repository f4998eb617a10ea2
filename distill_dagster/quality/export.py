"""Writes the validated set in the forms that trainers read, as `.jsonl` or `.parquet`. One example is one row.

    trl        {"prompt": [{"role": "system", …}, {"role": "user", …}], "completion": [{"role": "assistant", …}]}
    openai     {"messages": [{"role": "system", …}, {"role": "user", …}, {"role": "assistant", …}]}
    sharegpt   {"conversations": [{"from": "system", "value": …}, {"from": "human", …}, {"from": "gpt", …}]}

TRL's SFTTrainer also takes examples.parquet as it is, whose `messages` end with the answer. It then learns the prompt
too; with `prompt` and `completion` it learns the answer alone, as the student does. In a conversation, each answer is
an example: `openai` gives the earlier replies the weight 0, so that each is learned once. `sharegpt` has no weights.
"""

import json
import os
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from distill_dagster.errors import ConfigError, DataError
from distill_dagster.quality.columns import pc, value_counts
from distill_dagster.quality.trainer_formats import ExportSplit, TrainerFormat
from distill_dagster.store import parquet, schemas
from distill_dagster.store.disk import fsync
from distill_dagster.tasks.prompts import without_answer

Row = dict[str, Any]
ENDINGS = (".jsonl", ".parquet")
SHAREGPT_NAMES = {"system": "system", "user": "human", "assistant": "gpt"}
WEIGHTED = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string()), ("weight", pa.int32())]))
TURNS = pa.list_(pa.struct([("from", pa.string()), ("value", pa.string())]))


def export_examples(examples: Path, out: Path, form: TrainerFormat, split: ExportSplit = "train") -> int:
    """Write the examples of a split into `out`, in the order of the table; returns how many.

    Raises:
        ConfigError: `out` exists, or ends neither with .jsonl nor with .parquet.
        DataError: the split has no example, or the table is damaged.
    """
    _check_target(out)
    splits = Counter[str]()
    for table in parquet.stream_tables(examples, ["split"]):
        splits += value_counts(table.column("split"))
    count = splits.total() if split == "all" else splits[split]
    if not count:
        raise DataError(f"0 of {splits.total():,} examples are of the split {split}: choose another --split")
    temporary = out.with_name(f".{out.name}.{uuid.uuid4().hex[:8]}")
    try:
        (_write_lines if out.suffix == ".jsonl" else _write_parquet)(temporary, _rows(examples, split), form)
        fsync(temporary)
        os.replace(temporary, out)
    finally:
        temporary.unlink(missing_ok=True)
    return count


def _rows(examples: Path, split: ExportSplit) -> Iterator[Row]:
    for table in parquet.stream_tables(examples, ["split", "messages", "answer"]):
        kept = table if split == "all" else table.filter(pc.equal(table.column("split"), split))
        yield from kept.to_pylist()


def _check_target(out: Path) -> None:
    if out.suffix not in ENDINGS:
        raise ConfigError(f"{out} ends with neither of {', '.join(ENDINGS)}: the ending chooses how rows are written")
    if out.exists():
        raise ConfigError(f"{out} exists already: choose another name, or remove it; no file is replaced")


def _write_lines(path: Path, examples: Iterable[Row], form: TrainerFormat) -> None:
    shape, _ = FORMS[form]
    with path.open("w", encoding="utf-8") as file:
        for row in examples:
            file.write(json.dumps(shape(row), ensure_ascii=False, allow_nan=False) + "\n")


def _write_parquet(path: Path, examples: Iterable[Row], form: TrainerFormat) -> None:
    shape, schema = FORMS[form]
    parquet.write_table(path, map(shape, examples), schema)


def _answer(row: Row) -> Row:
    return {"role": "assistant", "content": row["answer"]}


def _for_trl(row: Row) -> Row:
    return {"prompt": without_answer(row["messages"]), "completion": [_answer(row)]}


def _for_openai(row: Row) -> Row:
    earlier = [{**m, "weight": 0} if m["role"] == "assistant" else m for m in without_answer(row["messages"])]
    return {"messages": [*earlier, _answer(row)]}


def _for_sharegpt(row: Row) -> Row:
    messages = [*without_answer(row["messages"]), _answer(row)]
    return {"conversations": [{"from": SHAREGPT_NAMES[m["role"]], "value": m["content"]} for m in messages]}


FORMS: dict[TrainerFormat, tuple[Callable[[Row], Row], pa.Schema]] = {
    "trl": (_for_trl, pa.schema([("prompt", schemas.MESSAGES), ("completion", schemas.MESSAGES)])),
    "openai": (_for_openai, pa.schema([("messages", WEIGHTED)])),
    "sharegpt": (_for_sharegpt, pa.schema([("conversations", TURNS)])),
}

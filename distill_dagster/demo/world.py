"""Write the demo's dataset from one seed: `train/part-00.jsonl` …, `validation.jsonl` and `test.jsonl`.

A row, as an example (one line of the file):

    {"id": "qa-test-0004", "task": "qa", "messages": [{"role": "system", …}, {"role": "user", …}],
     "reference": "Oslo", "group": "qa-5d0c7be81f02"}

No two rows start with the same question. Rows with the same facts (the same question in other words, one `group`) are
always in the same split. A conversation has no `reference`: its gold answers are its assistant turns. Nothing is
downloaded.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

from distill_dagster.demo.catalog import Item, Maker
from distill_dagster.demo.conversation import make_conversation
from distill_dagster.demo.math import make_math
from distill_dagster.demo.nli import make_nli
from distill_dagster.demo.qa import make_qa
from distill_dagster.demo.summarization import make_summarization
from distill_dagster.errors import DataError
from distill_dagster.store.disk import write_text
from distill_dagster.store.hashing import canonical_json, sha256

MAKERS: dict[str, Maker] = {
    "nli": make_nli,
    "qa": make_qa,
    "math": make_math,
    "summarization": make_summarization,
    "conversation": make_conversation,
}
TASKS = tuple(MAKERS)
MIX = ("nli", "qa", "math", "nli", "qa", "math", "nli", "qa", "summarization", "conversation")
PART = re.compile(r"part-(\d{2,})\.jsonl")
REDRAWS = 1000  # draws for one row before the facts count as used up


def write_dataset(
    folder: Path,
    *,
    seed: int = 0,
    tasks: Sequence[str] = TASKS,
    train_rows: int = 3200,
    shards: int = 8,
    validation_rows: int = 200,
    test_rows: int = 400,
) -> None:
    """Write the dataset into `folder`, each file atomically.

    A file that already has the right content is not touched, so that a second call changes nothing. Parts that an
    earlier call with more shards wrote into `train/` are removed; files with other names stay. The test rows depend
    only on `seed`, `tasks` and `test_rows`, so that more training rows leave them unchanged.

    Raises:
        DataError: a task is unknown, a count is below one, or there are not enough different rows.
    """
    _check(tasks, train_rows=train_rows, shards=shards, validation_rows=validation_rows, test_rows=test_rows)
    world = _World(seed, [task for task in TASKS if task in tasks])
    test, validation = world.rows("test", test_rows), world.rows("validation", validation_rows)
    train = world.rows("train", train_rows)
    files = {"test.jsonl": test, "validation.jsonl": validation}
    for part in range(shards):
        files[f"train/part-{part:02d}.jsonl"] = train[train_rows * part // shards : train_rows * (part + 1) // shards]
    (folder / "train").mkdir(parents=True, exist_ok=True)
    for name, rows in files.items():
        _write(folder / name, rows)
    for path in (folder / "train").iterdir():
        match = PART.fullmatch(path.name)
        if match and int(match[1]) >= shards:
            path.unlink()


def _check(tasks: Sequence[str], **counts: int) -> None:
    unknown = [task for task in tasks if task not in MAKERS]
    if unknown or not tasks:
        raise DataError(f"the demo has no rows for {', '.join(unknown) or 'no task at all'}; it has {', '.join(TASKS)}")
    for name, count in counts.items():
        if count < 1:
            raise DataError(f"{name}={count}, but at least 1 is needed")
    if counts["shards"] > counts["train_rows"]:
        raise DataError(
            f"{counts['train_rows']} training rows cannot fill {counts['shards']} shards; ask for fewer shards"
        )


class _World:
    """Draws rows split by split, and remembers the questions and facts that are taken."""

    def __init__(self, seed: int, tasks: Sequence[str]) -> None:
        self.seed, self.tasks = seed, tasks
        self.questions: set[str] = set()
        self.split_of: dict[tuple[str, ...], str] = {}  # facts -> the split that owns them

    def rows(self, split: str, count: int) -> list[dict[str, Any]]:
        """`count` rows of a split, with the tasks in the order of `MIX`."""
        draw = Random(f"{self.seed}/{split}/{'+'.join(self.tasks)}")
        mix = [task for task in MIX if task in self.tasks]
        return [self._row(f"{split}-{number:04d}", mix[number % len(mix)], split, draw) for number in range(count)]

    def _row(self, name: str, task: str, split: str, draw: Random) -> dict[str, Any]:
        item = self._new_item(task, split, draw)
        row = {"id": f"{task}-{name}", "task": task, "messages": list(item.messages)}
        if item.reference is not None:
            row["reference"] = item.reference
        return {**row, "group": f"{task}-{sha256(canonical_json(item.facts))[:12]}"}

    def _new_item(self, task: str, split: str, draw: Random) -> Item:
        for _ in range(REDRAWS):
            item = MAKERS[task](draw)
            question = f"{task} {_words(item.messages[1]['content'])}"
            if question not in self.questions and self.split_of.setdefault((task, *item.facts), split) == split:
                self.questions.add(question)
                return item
        raise DataError(
            f"{task}: {REDRAWS} draws gave no question for {split} that is not among the {len(self.questions):,} taken "
            "already; ask for fewer rows, or for more tasks"
        )


def _words(text: str) -> str:
    """The words of a question without case and punctuation, by which questions are compared."""
    return " ".join(re.findall(r"\w+", text.casefold()))


def _write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    text = "".join(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows)
    if not path.is_file() or path.read_bytes() != text.encode():
        write_text(path, text)

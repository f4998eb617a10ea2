"""The files of the demo: their row counts, the same bytes every time, and no question in two splits."""

import json
from collections import Counter
from itertools import combinations

import pytest

from distill_dagster.config import DataConfig
from distill_dagster.demo.world import DEMO_TASKS, TASKS, write_dataset
from distill_dagster.errors import DataError
from distill_dagster.quality.duplicates.prompt_keys import contamination_key, duplicate_key
from distill_dagster.sources.files.discovery import discover, discover_test
from distill_dagster.sources.judging.verdicts import SourceReading

SMALL = {"train_rows": 120, "shards": 3, "validation_rows": 20, "test_rows": 40}


def files(folder) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def rows(path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """The rows that `make demo` writes, by split."""
    folder = tmp_path_factory.mktemp("demo")
    write_dataset(folder)
    train = [row for path in sorted((folder / "train").iterdir()) for row in rows(path)]
    return {"train": train, "validation": rows(folder / "validation.jsonl"), "test": rows(folder / "test.jsonl")}


def test_the_files_and_their_rows(tmp_path):
    write_dataset(tmp_path, **SMALL)
    counts = {name: content.count(b"\n") for name, content in files(tmp_path).items()}
    parts = {f"train/part-{i:02d}.jsonl": 40 for i in range(3)}
    assert counts == {"test.jsonl": 40, "validation.jsonl": 20, **parts}


def test_rows_that_do_not_divide_by_shards_are_all_written(tmp_path):
    write_dataset(tmp_path, **{**SMALL, "train_rows": 100, "shards": 8})
    counts = [content.count(b"\n") for name, content in files(tmp_path).items() if name.startswith("train")]
    assert sum(counts) == 100
    assert max(counts) - min(counts) <= 1


def test_the_demo_has_eight_shards_with_every_task(full):
    assert {split: len(part) for split, part in full.items()} == {"train": 3200, "validation": 200, "test": 400}
    for start in range(0, 3200, 400):
        assert {row["task"] for row in full["train"][start : start + 400]} == set(DEMO_TASKS)


def test_the_same_seed_writes_the_same_bytes(tmp_path):
    write_dataset(tmp_path / "a", seed=7, **SMALL)
    write_dataset(tmp_path / "b", seed=7, **SMALL)
    write_dataset(tmp_path / "c", seed=8, **SMALL)
    assert files(tmp_path / "a") == files(tmp_path / "b")
    assert files(tmp_path / "a")["test.jsonl"] != files(tmp_path / "c")["test.jsonl"]


def test_a_second_call_repairs_wrong_files_and_leaves_the_rest_alone(tmp_path):
    write_dataset(tmp_path, **SMALL)
    before = files(tmp_path)
    stamps = {name: (tmp_path / name).stat().st_mtime_ns for name in before}
    (tmp_path / "test.jsonl").write_text("torn")
    (tmp_path / "train/part-01.jsonl").unlink()
    write_dataset(tmp_path, **SMALL)
    assert files(tmp_path) == before
    changed = {name for name in before if (tmp_path / name).stat().st_mtime_ns != stamps[name]}
    assert changed == {"test.jsonl", "train/part-01.jsonl"}


def test_parts_of_an_earlier_call_are_removed_and_other_files_stay(tmp_path):
    write_dataset(tmp_path, **SMALL)
    (tmp_path / "train/new-orders.jsonl").write_text("mine")
    write_dataset(tmp_path, **{**SMALL, "shards": 2})
    assert sorted(p.name for p in (tmp_path / "train").iterdir()) == [
        "new-orders.jsonl",
        "part-00.jsonl",
        "part-01.jsonl",
    ]


def test_more_training_rows_keep_the_same_test(tmp_path):
    write_dataset(tmp_path / "a", **SMALL)
    write_dataset(tmp_path / "b", **{**SMALL, "train_rows": 300})
    assert files(tmp_path / "a")["test.jsonl"] == files(tmp_path / "b")["test.jsonl"]


@pytest.mark.parametrize("task", TASKS)
def test_one_task_alone_and_a_reader_that_accepts_every_row(tmp_path, task):
    write_dataset(tmp_path, tasks=(task,), train_rows=60, shards=2, validation_rows=8, test_rows=12)
    data = DataConfig(
        train=[f"{tmp_path}/train/*.jsonl"],
        validation=[f"{tmp_path}/validation.jsonl"],
        test=[f"{tmp_path}/test.jsonl"],
        require_system=True,
    )
    readings = [SourceReading(source, data, "classification") for source in [*discover(data), *discover_test(data)]]
    rows = [row for reading in readings for batch in reading for row in batch.rows.to_pylist()]
    assert [reading.counts["rejected"] for reading in readings] == [0, 0, 0, 0]
    assert Counter(row["split"] for row in rows) == {"train": 60, "validation": 8, "test": 12}
    assert {row["task"] for row in rows} == {task}


def test_the_order_of_tasks_does_not_matter(tmp_path):
    write_dataset(tmp_path / "a", tasks=("nli", "math"), **SMALL)
    write_dataset(tmp_path / "b", tasks=("math", "nli"), **SMALL)
    assert files(tmp_path / "a") == files(tmp_path / "b")


def test_no_question_and_no_group_is_in_two_splits(full):
    everything = [row for part in full.values() for row in part]
    assert len({row["id"] for row in everything}) == len(everything)
    assert len({duplicate_key(row) for row in everything}) == len(everything)
    for one, other in combinations(full.values(), 2):
        assert not {contamination_key(row) for row in one} & {contamination_key(row) for row in other}
        assert not {row["group"] for row in one} & {row["group"] for row in other}


def test_no_opening_of_a_conversation_occurs_twice(full):
    openings = [
        row["messages"][1]["content"] for part in full.values() for row in part if row["task"] == "conversation"
    ]
    assert len(set(openings)) == len(openings)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"tasks": ("nli", "poetry")}, "no rows for poetry; it has nli, qa"),
        ({"tasks": ()}, "no task at all"),
        ({"train_rows": 0}, "train_rows=0"),
        ({"test_rows": -1}, "test_rows=-1"),
        ({"train_rows": 5, "shards": 6}, "5 training rows cannot fill 6 shards"),
        ({"tasks": ("math",), "train_rows": 20_000}, "math: 1000 draws gave no question for train"),
    ],
)
def test_impossible_arguments_are_refused_and_nothing_is_written(tmp_path, arguments, says):
    with pytest.raises(DataError, match=says):
        write_dataset(tmp_path / "data", **{**SMALL, **arguments})
    assert not (tmp_path / "data").exists()

"""The label cap keeps as many rows as the share allows, the same ones each time."""

import random
from collections import Counter, defaultdict

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill_dagster.errors import ConfigError
from distill_dagster.quality.examples.balance import label_shift, largest_cap, over_cap, rare_labels
from distill_dagster.quality.examples.finishing import OUTER, percentiles
from distill_dagster.quality.specs import LabelShift
from distill_dagster.quality.spill import Spill
from distill_dagster.store import hashing, parquet, schemas

COLUMNS = pa.schema([schemas.EXAMPLE.field(n) for n in ("row_id", "sample", "turn", "split", "task", "label")])


def examples(split="train", task="nli", **counts):
    rows = [(label, f"{label}-{i}") for label, n in counts.items() for i in range(n)]
    return [
        {"row_id": row_id, "sample": 0, "turn": 0, "split": split, "task": task, "label": label}
        for label, row_id in rows
    ]


@pytest.fixture
def dropped(tmp_path):
    """The positions that a cap drops of some examples."""

    def positions(rows, share):
        draft, counts = tmp_path / "draft.parquet", defaultdict(Counter)
        parquet.write_table(draft, rows, COLUMNS)
        for row in rows:
            if row["split"] == "train" and row["label"] is not None:
                counts[row["task"]][row["label"]] += 1
        with Spill(tmp_path) as spill:
            return list(over_cap(draft, counts, share, spill))

    return positions


def test_a_label_is_cut_to_its_share(dropped):
    assert largest_cap({"a": 100, "b": 50, "c": 50}, 0.4, "nli") == 66
    assert len(dropped(examples(a=100, b=50, c=50), 0.4)) == 34


def test_nothing_is_dropped_below_the_cap(dropped):
    assert dropped(examples(a=5, b=5), 0.5) == []


def test_only_training_rows_with_a_label_count(dropped):
    assert dropped(examples(split="validation", a=9, b=1), 0.5) == []
    assert dropped([{**e, "label": None} for e in examples(a=9)], 0.5) == []


def test_each_task_has_a_cap_of_its_own(dropped):
    rows = examples(a=60, b=20) + examples(task="classification", a=3, b=3)
    assert {rows[i]["task"] for i in dropped(rows, 0.6)} == {"nli"}


def test_which_rows_stay_does_not_depend_on_their_order(dropped):
    rows = examples(a=60, b=20)

    def kept():
        out = set(dropped(rows, 0.6))
        return {row["row_id"] for i, row in enumerate(rows) if i not in out}

    first = kept()
    random.Random(1).shuffle(rows)
    assert kept() == first
    assert len(first) == 50
    hashes = sorted(hashing.sha256(f"a-{i}") for i in range(60))
    assert sorted(hashing.sha256(row_id) for row_id in first if row_id[0] == "a") == hashes[:30]


def test_a_share_that_no_cap_can_reach_is_an_error(dropped):
    with pytest.raises(ConfigError, match=r"max_label_share is 0\.3, but the nli answers have 2 label"):
        dropped(examples(a=5, b=5), 0.3)


@given(st.lists(st.integers(0, 30), min_size=1, max_size=300))
def test_percentiles_are_those_of_numpy(numbers):
    assert percentiles(Counter(numbers), OUTER) == np.percentile(numbers, OUTER).tolist()


@given(st.lists(st.integers(1, 60), min_size=1, max_size=6), st.floats(0.05, 1))
def test_the_cap_is_the_largest_that_holds(counts, share):
    def holds(cap):
        kept = [min(n, cap) for n in counts]
        return max(kept) <= share * sum(kept) + 1e-9

    caps = [cap for cap in range(1, max(counts) + 1) if holds(cap)]
    named = {str(i): n for i, n in enumerate(counts)}
    if caps:
        assert largest_cap(named, share, "nli") == max(caps)
    else:
        with pytest.raises(ConfigError):
            largest_cap(named, share, "nli")


def test_labels_below_the_floor_are_named_with_those_that_nobody_answered():
    assert rare_labels({"a": 100, "b": 4}, ["a", "b", "c"], 10) == {"c": 0, "b": 4}
    assert rare_labels({"a": 1}, ["a"], 0) == {}


def test_the_shift_is_the_share_of_rows_that_would_have_to_change():
    shift = label_shift({"a": 1, "b": 1}, {"a": 3, "b": 1})
    assert shift is not None
    assert (shift.total_variation, shift.jensen_shannon) == (0.25, pytest.approx(0.0488, abs=1e-4))
    assert label_shift({"a": 5}, {"b": 5}) == LabelShift(total_variation=1, jensen_shannon=1)
    assert label_shift({"a": 2, "b": 4}, {"a": 1, "b": 2}) == LabelShift(total_variation=0, jensen_shannon=0)
    assert label_shift({}, {"a": 1}) is None

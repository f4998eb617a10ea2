"""The student is sampled on training prompts; loops are cut; a killed run loses what had not ended and nothing else."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from distill_dagster.config import OnPolicyConfig
from distill_dagster.errors import DataError
from distill_dagster.models.rendering import encode, render_prompt
from distill_dagster.models.tokenizer import open_tokenizer
from distill_dagster.rollouts.sampling import JOURNAL, draw_prompts, sample_rollouts
from distill_dagster.store import parquet, schemas
from distill_dagster.tasks.prompts import without_answer
from distill_dagster.teachers.journal import read_journal
from testing.models_tiny import write_examples
from testing.rollouts_tiny import Pair


@pytest.fixture(scope="module")
def pair(tmp_path_factory) -> Pair:
    return Pair.new(tmp_path_factory.mktemp("pair"))


def test_every_training_prompt_has_a_rollout_in_the_students_own_tokens(pair):
    result, table = pair.sample()
    examples = [row for row in parquet.read_table(Path(pair.examples)) if row["split"] == "train"]
    assert [row["row_id"] for row in table] == [row["row_id"] for row in examples]
    tokenizer = open_tokenizer(pair.root / "student")
    for row, example in zip(table, examples, strict=True):
        messages = without_answer(example["messages"])
        assert (row["messages"], messages[-1]["role"]) == (messages, "user")
        assert row["prompt_ids"] == encode(tokenizer, render_prompt(tokenizer, messages))
        assert 1 <= len(row["token_ids"]) <= 12
        assert (row["token_ids"][-1] == tokenizer.eos_token_id) is (row["finish_reason"] == "stop")
    counts = result.counts
    assert counts.prompts == counts.rollouts == len(table) == counts.stop + counts.length + counts.repetition
    assert result.tokens == sum(len(row["token_ids"]) for row in table)


def test_a_seed_gives_the_same_rollouts_and_a_round_others(pair):
    tokens = [
        [row["token_ids"] for row in pair.sample(name, round=number)[1]]
        for name, number in (("one", 1), ("again", 1), ("two", 2))
    ]
    assert tokens[0] == tokens[1]
    assert tokens[0] != tokens[2]


def test_a_loop_is_cut_and_the_reason_is_recorded(pair):
    """At a temperature near 0 a random model soon writes the same tokens again and again."""
    rounds = OnPolicyConfig(temperature=1e-3, repetition={"ngram": 8, "times": 3})
    result, table = pair.sample("loops", rounds=rounds, max_new_tokens=64)
    loops = [row["token_ids"] for row in table if row["finish_reason"] == "repetition"]
    assert result.counts.repetition == len(loops) > 0
    for tokens in loops:
        assert len(tokens) < 64
        assert any(tokens[-3 * n :] == tokens[-n:] * 3 for n in range(1, 9))
        assert not any(tokens[-3 * n - 1 : -1] == tokens[-n - 1 : -1] * 3 for n in range(1, 9)), "cut at once"


def test_a_round_draws_as_many_prompts_as_it_is_told(pair):
    examples = Path(pair.examples)
    drawn = [draw_prompts(examples, OnPolicyConfig(prompts=5), number) for number in (1, 1, 2)]
    assert all(len(prompts) == 5 and {row["split"] for row in prompts} == {"train"} for prompts in drawn)
    assert drawn[0] == drawn[1] != drawn[2]
    assert len(draw_prompts(examples, OnPolicyConfig(prompts=100), 1)) == 12


def test_prompts_are_drawn_from_all_row_groups_in_the_order_of_the_set(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "ROWS_PER_GROUP", 3)
    asked = [{"role": "user", "content": "?"}]
    splits = ["train" if i % 3 else "validation" for i in range(20)]
    rows = [{"row_id": f"{i:02}", "split": split, "messages": asked} for i, split in enumerate(splits)]
    parquet.write_table(tmp_path / "examples.parquet", rows, schemas.EXAMPLE)
    training = [row["row_id"] for row in rows if row["split"] == "train"]
    for prompts in (1, 5, 13, 99):
        rounds = OnPolicyConfig(prompts=prompts)
        drawn = [row["row_id"] for row in draw_prompts(tmp_path / "examples.parquet", rounds, 1)]
        chosen = np.random.default_rng([rounds.seed, 1]).permutation(13)[:prompts]
        assert drawn == [training[i] for i in sorted(chosen)]


def test_without_training_rows_it_says_so(pair, tmp_path):
    examples = write_examples(tmp_path / "examples.parquet", train=0)
    with pytest.raises(DataError, match="0 of 16 examples are for training"):
        pair.sample("none", examples=examples)


def test_prompts_without_room_are_rejected_and_none_at_all_is_an_error(pair):
    with pytest.raises(DataError, match="can answer 0 of 12 training prompts: 12 E010"):
        pair.sample("long", max_new_tokens=128)


KILLED = """
import os, signal, sys
from distill_dagster.progress import listen
from distill_dagster.rollouts.sampling import sample_rollouts
from distill_dagster.rollouts.specs import SampleSpec

def listener(progress):
    if progress.done == 4:
        os.kill(os.getpid(), signal.SIGKILL)

with listen(listener):
    sample_rollouts(SampleSpec.model_validate_json(sys.argv[1]), "cpu")
"""


def test_the_rollouts_of_another_student_or_temperature_are_not_taken(pair):
    work = str(pair.root / "shared-work")
    first, own = pair.sample("first", work=work)
    again, _ = pair.sample("again", work=work)
    assert (first.resumed, again.resumed) == (0, first.counts.rollouts)
    warmer, _ = pair.sample("warmer", work=work, rounds=OnPolicyConfig(temperature=0.5))
    other, table = pair.sample("other", work=work, student=pair.teacher)
    assert warmer.resumed == other.resumed == 0
    assert [row["token_ids"] for row in table] != [row["token_ids"] for row in own]


@pytest.mark.processes
def test_a_killed_run_loses_only_the_rollouts_that_had_not_ended(pair):
    _, whole = pair.sample("whole")
    spec = pair.sample_spec("killed")
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    child = subprocess.run([sys.executable, "-c", KILLED, spec.model_dump_json()], env=env, check=False)
    assert child.returncode == -signal.SIGKILL
    path = Path(spec.work) / JOURNAL
    kept = list(read_journal(path))
    assert len(kept) >= 4
    with path.open("a") as journal:
        journal.write(json.dumps(kept[0])[:20])  # a torn line
    result = sample_rollouts(spec, "cpu")
    assert result.resumed == len(kept)
    assert parquet.read_table(Path(spec.out) / "rollouts.parquet") == whole

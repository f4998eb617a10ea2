"""Exported examples: what each trainer's form holds, and that `datasets` and TRL's SFTTrainer take it as it is."""

import json

import pyarrow.parquet as pq
import pytest

from distill_dagster.config import ModelConfig
from distill_dagster.errors import ConfigError, DataError
from distill_dagster.models.building import build, train_tokenizer
from distill_dagster.quality.examples.example_table import with_answers
from distill_dagster.quality.export import FORMS, export_examples
from distill_dagster.store import parquet, schemas
from testing.projects import TINY_LLAMA

SYSTEM, ASK = {"role": "system", "content": "Be brief."}, {"role": "user", "content": "Which city?"}
EARLIER, MORE = {"role": "assistant", "content": "Oslo."}, {"role": "user", "content": "And the day?"}


def example(row_id: str, messages: list[dict], answer: str, split: str = "train") -> dict:
    texts = dict.fromkeys(("shard", "task"), "x")
    return {"row_id": row_id, "split": split, "messages": messages, "answer": answer, **texts}


@pytest.fixture
def examples(tmp_path):
    """A set with one question, a dialogue's second turn, and a validation example."""
    rows = [
        example("a", [SYSTEM, ASK], "Oslo 😀"),
        example("b", [SYSTEM, ASK, EARLIER, MORE], "Friday"),
        example("c", [ASK], "Lyon", "validation"),
    ]
    path = tmp_path / "examples.parquet"
    parquet.write_table(path, rows, schemas.EXAMPLE)
    return path


def lines(path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_trl_gets_the_answer_as_the_completion_of_its_prompt(examples, tmp_path):
    out = tmp_path / "out.jsonl"
    assert export_examples(examples, out, "trl") == 2
    first, second = lines(out)
    assert first == {"prompt": [SYSTEM, ASK], "completion": [{"role": "assistant", "content": "Oslo 😀"}]}
    assert second["prompt"] == [SYSTEM, ASK, EARLIER, MORE]


def test_openai_learns_each_reply_of_a_dialogue_once(examples, tmp_path):
    out = tmp_path / "out.jsonl"
    export_examples(examples, out, "openai", "all")
    first, second, third = (row["messages"] for row in lines(out))
    assert first == [SYSTEM, ASK, {"role": "assistant", "content": "Oslo 😀"}]
    assert second == [SYSTEM, ASK, {**EARLIER, "weight": 0}, MORE, {"role": "assistant", "content": "Friday"}]
    assert third == [ASK, {"role": "assistant", "content": "Lyon"}]


def test_sharegpt_has_its_own_names(examples, tmp_path):
    out = tmp_path / "out.jsonl"
    assert export_examples(examples, out, "sharegpt", "validation") == 1
    turns = [{"from": "human", "value": "Which city?"}, {"from": "gpt", "value": "Lyon"}]
    assert lines(out) == [{"conversations": turns}]


@pytest.mark.parametrize("form", FORMS)
def test_parquet_and_json_lines_hold_the_same_rows(examples, tmp_path, form):
    for ending in ("jsonl", "parquet"):
        assert export_examples(examples, tmp_path / f"out.{ending}", form, "all") == 3
    found = json.loads(json.dumps(parquet.read_table(tmp_path / "out.parquet")), object_hook=without_null_weight)
    assert found == lines(tmp_path / "out.jsonl")


def without_null_weight(value: dict) -> dict:
    return {key: held for key, held in value.items() if held is not None}


def test_every_row_group_is_exported_in_order(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "ROWS_PER_GROUP", 2)
    rows = [example(f"{i}", [ASK], f"answer {i}") | {"split": "train" if i % 2 else "validation"} for i in range(7)]
    parquet.write_table(tmp_path / "examples.parquet", rows, schemas.EXAMPLE)
    for split, numbers in (("train", [1, 3, 5]), ("validation", [0, 2, 4, 6]), ("all", list(range(7)))):
        out = tmp_path / f"{split}.jsonl"
        assert export_examples(tmp_path / "examples.parquet", out, "trl", split) == len(numbers)
        assert [row["completion"][0]["content"] for row in lines(out)] == [f"answer {i}" for i in numbers]


def test_bad_targets_are_refused_and_nothing_is_replaced(examples, tmp_path):
    mine = tmp_path / "mine.jsonl"
    mine.write_text("mine")
    with pytest.raises(ConfigError, match="exists already"):
        export_examples(examples, mine, "trl")
    with pytest.raises(ConfigError, match=r"ends with neither of \.jsonl, \.parquet"):
        export_examples(examples, tmp_path / "out.csv", "trl")
    only_train = tmp_path / "train.parquet"
    parquet.write_table(only_train, [example("a", [ASK], "x")], schemas.EXAMPLE)
    with pytest.raises(DataError, match="0 of 1 examples are of the split validation"):
        export_examples(only_train, tmp_path / "new.jsonl", "trl", "validation")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["examples.parquet", "mine.jsonl", "train.parquet"]
    assert mine.read_text() == "mine"


@pytest.mark.parametrize("form", ["trl", "openai", "sharegpt"])
def test_the_answer_that_ends_the_messages_is_not_exported_twice(examples, tmp_path, form):
    """As `examples`, and with the answers among the messages as a set is published."""
    published = tmp_path / "published.parquet"
    pq.write_table(with_answers(parquet.load_table(examples, schemas.EXAMPLE.names)), published)
    for source, out in ((examples, "a.jsonl"), (published, "b.jsonl")):
        assert export_examples(source, tmp_path / out, form, "all") == 3
    assert lines(tmp_path / "a.jsonl") == lines(tmp_path / "b.jsonl")


@pytest.mark.parametrize(
    ("form", "ending"), [("trl", "jsonl"), ("trl", "parquet"), ("openai", "parquet"), ("the set itself", "parquet")]
)
def test_trl_trains_on_the_set_and_on_an_export_as_they_are(examples, tmp_path, form, ending):
    from datasets import load_dataset
    from trl import SFTConfig, SFTTrainer

    out = tmp_path / f"out.{ending}"
    if form == "the set itself":
        pq.write_table(with_answers(parquet.load_table(examples, schemas.EXAMPLE.names)), out)
    else:
        export_examples(examples, out, form)
    kind = {"jsonl": "json"}.get(ending, ending)
    rows = load_dataset(kind, data_files=str(out), split="train", cache_dir=str(tmp_path / "cache"))
    tokenizer = train_tokenizer([SYSTEM["content"], ASK["content"], "Oslo Friday"], 300)
    model = build(ModelConfig(architecture="llama", settings=TINY_LLAMA), tokenizer)
    arguments = SFTConfig(output_dir=str(tmp_path / "run"), max_steps=1, report_to="none", use_cpu=True, bf16=False)
    trainer = SFTTrainer(model=model, args=arguments, train_dataset=rows, processing_class=tokenizer)
    texts = [tokenizer.decode(row["input_ids"]) for row in trainer.train_dataset]
    assert any("Oslo 😀" in text for text in texts), texts
    assert trainer.train().global_step == 1
    if form == "trl":
        for row in trainer.train_dataset:
            learned = [token for token in row["labels"] if token != -100]
            assert "Which city" not in tokenizer.decode(learned)

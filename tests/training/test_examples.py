"""Refused rows are counted by reason, gold answers come from each kind of row."""

import pytest
from datasets import Dataset

from distill_dagster.errors import TrainingError
from distill_dagster.models.building import train_tokenizer
from distill_dagster.training.examples import gold_examples, tokenize
from testing.models_tiny import raw_row, rows

CONVERSATION = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "Hello!"},
    {"role": "user", "content": "Bye"},
    {"role": "assistant", "content": "  "},
]


@pytest.fixture
def tokenizer():
    return train_tokenizer([m["content"] for row in rows(16) for m in row["messages"]], 300)


def examples(*answers, split="train"):
    messages = [{"role": "user", "content": "Q"}]
    return [
        {"row_id": f"{split}-{i}", "sample": i, "turn": 0, "split": split, "messages": messages, "answer": answer}
        for i, answer in enumerate(answers)
    ]


def test_a_conversation_teaches_each_assistant_turn_that_says_something():
    made, without = gold_examples([raw_row("c", CONVERSATION, [], task="conversation")])
    assert [(len(e["messages"]), e["answer"]) for e in made] == [(2, "Hello!")]
    assert without == 1


def test_a_single_turn_row_teaches_its_first_reference():
    made, without = gold_examples([*rows(2), raw_row("none", [{"role": "user", "content": "Q"}], [])])
    assert [e["answer"] for e in made] == ["red", "green"]
    assert without == 1


def test_long_rows_and_rows_that_the_template_rewrites_are_refused_and_counted(tokenizer):
    tokenizer.chat_template = tokenizer.chat_template.replace(
        "message['content']", "message['content'] | replace('x', 'y')"
    )
    table = [*examples("fine", "good", "box", "long " * 50), *examples("ok", split="validation")]
    data = tokenize(Dataset.from_list(table), tokenizer, [tokenizer.eos_token_id], max_length=32)
    assert data.counts == {"train_rows": 2, "validation_rows": 1, "too_long": 1, "E015": 1}
    assert sum(data.counts.values()) == len(table)
    assert data.train_tokens == sum(len(ids) for ids in data.train["input_ids"])


def test_no_row_that_can_train_is_an_error_with_the_counts(tokenizer):
    table = [*examples("long " * 50), *examples("ok", split="validation")]
    with pytest.raises(
        TrainingError, match=r"0 of 2 rows can train: 1 are longer than max_length 32, 0 .* 1 are for validation"
    ):
        tokenize(Dataset.from_list(table), tokenizer, [tokenizer.eos_token_id], max_length=32)


def test_if_the_template_refuses_every_row_the_error_says_why(tokenizer):
    tokenizer.chat_template = "{{ raise_exception('no user role') }}"
    with pytest.raises(TrainingError, match=r"0 of 2 rows .* 2 are refused .*\(E015, such as: .*no user role\)"):
        tokenize(Dataset.from_list(examples("a", "b")), tokenizer, [tokenizer.eos_token_id], max_length=32)

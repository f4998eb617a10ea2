"""Training sees what the template renders: prompt, answer, and the token that ends it."""

import pytest

from distill_dagster.models.answer_text import decode_answer
from distill_dagster.models.building import train_tokenizer
from distill_dagster.models.rendering import RenderError, encode, encode_example, render_prompt

MESSAGES = [{"role": "user", "content": "Which colour?"}]


@pytest.fixture
def tokenizer():
    return train_tokenizer(["Which colour?", "red"], 300)


def test_an_example_is_the_prompt_the_answer_and_one_end(tokenizer):
    encoded = encode_example(tokenizer, MESSAGES, "red", [tokenizer.eos_token_id])
    assert encoded.ids[: encoded.answer_start] == encode(tokenizer, render_prompt(tokenizer, MESSAGES))
    assert tokenizer.decode(encoded.ids[encoded.answer_start :]) == "red<|end|>"


def test_an_answer_ends_at_the_end_token_of_the_template_and_not_behind_it(tokenizer):
    tokenizer.chat_template = tokenizer.chat_template.replace("'<|end|>'", "'<|end|>\\n'")
    encoded = encode_example(tokenizer, MESSAGES, "red", [tokenizer.eos_token_id])
    assert tokenizer.decode(encoded.ids[encoded.answer_start :]) == "red<|end|>"


def test_a_template_without_an_end_token_gets_one(tokenizer):
    tokenizer.chat_template = "{% for m in messages %}{{ m.content }} {% endfor %}"
    encoded = encode_example(tokenizer, MESSAGES, "red", [tokenizer.eos_token_id])
    assert encoded.ids[-1] == tokenizer.eos_token_id


def test_a_template_that_rewrites_the_answer_is_refused(tokenizer):
    tokenizer.chat_template = tokenizer.chat_template.replace("message['content']", "message['content'] | upper")
    with pytest.raises(RenderError, match="renders the answer 'red' as 'RED'"):
        encode_example(tokenizer, MESSAGES, "red", [tokenizer.eos_token_id])


def test_a_template_that_refuses_a_role_is_quoted(tokenizer):
    tokenizer.chat_template = "{{ raise_exception('System role not supported') }}"
    with pytest.raises(RenderError, match="roles user: System role not supported"):
        render_prompt(tokenizer, MESSAGES)


def test_special_marks_of_thoughts_stay_in_the_text_and_other_special_tokens_do_not(tokenizer):
    plain = [*encode(tokenizer, "red"), tokenizer.eos_token_id]
    assert decode_answer(tokenizer, plain) == "red"
    again = train_tokenizer(["Which colour?", "red"], 300)
    again.add_special_tokens({"additional_special_tokens": ["[THINK]", "[/THINK]", "<|other|>"]})
    ids = encode(again, "[THINK]Which<|other|> colour?[/THINK]red<|end|>")
    assert decode_answer(again, ids) == "[THINK]Which colour?[/THINK]red"

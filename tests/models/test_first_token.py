"""BOS begins a prompt exactly once, whether the template writes it never, once or twice."""

import pytest
from tokenizers.processors import TemplateProcessing

from distill_dagster.models.first_token import LINE, pin_first_token
from distill_dagster.models.rendering import encode, encode_example, end_ids, render_prompt
from distill_dagster.models.tokenizer import prepare_tokenizer
from testing.chat_templates import FAMILIES, tokenizer_of

MESSAGES = [{"role": "user", "content": "Which colour is the door?"}]
TEXTS = [MESSAGES[0]["content"], "red"]


def adding(name: str, before: str = ""):
    """A family's tokenizer that puts BOS before a text, with something in front of its template."""
    tokenizer = tokenizer_of(FAMILIES[name], TEXTS)
    begins = tokenizer.bos_token
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"{begins} $A", special_tokens=[(begins, tokenizer.bos_token_id)]
    )
    tokenizer.chat_template = before + tokenizer.chat_template
    return tokenizer


@pytest.mark.parametrize("before", ["", "{{ bos_token }}", "{{ bos_token }}{{ bos_token }}"])
@pytest.mark.parametrize("name", ["zephyr", "llama-3", "mistral-v3", "granite", "gemma"])
def test_a_prompt_and_an_example_begin_with_it_once(name, before, tmp_path):
    tokenizer = prepare_tokenizer(adding(name, before), None, tmp_path, None)
    prompt = encode(tokenizer, render_prompt(tokenizer, MESSAGES))
    example = encode_example(tokenizer, MESSAGES, "red", end_ids(tokenizer))
    assert prompt[0] == tokenizer.bos_token_id
    assert prompt.count(tokenizer.bos_token_id) == 1
    assert example.ids[: example.answer_start] == prompt
    assert example.ids.count(tokenizer.bos_token_id) == 1


@pytest.mark.parametrize("name", ["zephyr", "qwen-2.5", "phi-3"])
def test_a_tokenizer_that_adds_none_gets_none(name, tmp_path):
    tokenizer = prepare_tokenizer(tokenizer_of(FAMILIES[name], TEXTS), None, tmp_path, None)
    assert tokenizer.chat_template == FAMILIES[name].template
    assert tokenizer.bos_token_id not in encode(tokenizer, render_prompt(tokenizer, MESSAGES))


def test_the_changed_template_is_shipped_and_opened_again_as_it_is(tmp_path):
    tokenizer = prepare_tokenizer(adding("granite"), None, tmp_path, None)  # its template writes a date too
    once = tokenizer.chat_template
    assert once.count(LINE) == 1
    assert prepare_tokenizer(tokenizer, None, tmp_path, None).chat_template == once


def test_a_template_that_refuses_plain_messages_stays_as_it_is():
    tokenizer = adding("zephyr")
    tokenizer.chat_template = "{{ raise_exception('no') }}"
    pin_first_token(tokenizer)
    assert tokenizer.chat_template == "{{ raise_exception('no') }}"

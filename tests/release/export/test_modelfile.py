"""Ollama's Modelfile holds the chat template as a Go template, if the template only writes one turn after the other."""

import re

import pytest

from distill_dagster.release.export.gguf_vocabulary import vocabulary_of
from distill_dagster.release.export.modelfile import modelfile, turns_of
from testing.exports_tiny import write_kind

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
FOLDED = (  # puts the system message into the first question
    "{% if messages[0]['role'] == 'system' %}{% set s = messages[0]['content'] + ' ' %}{% endif %}"
    "{% for m in messages if m['role'] != 'system' %}[{{ m['role'] }}]{{ s if loop.first else '' }}{{ m['content'] }}"
    "{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"
)


@pytest.fixture
def parts(tmp_path):
    return write_kind("llama", tmp_path)


def rendered(text: str, messages: list[dict]) -> str:
    """The output of Go's text/template for the actions that we write: range, if eq, a value, and a text."""
    before, body, after = re.fullmatch(
        r"(.*?)\{\{ range \.Messages \}\}(.*)\{\{ end \}\}(.*)", text, re.DOTALL
    ).groups()

    def words(part: str) -> str:
        assert re.fullmatch(r'(\{\{ (?:"(?:[^"\\]|\\.)*"|\.Content) \}\})*', part), part
        return "".join(
            action
            if action == ".Content"
            else action[1:-1].replace("\\n", "\n").replace('\\"', '"').replace("\\\\", "\\")
            for action in re.findall(r'\{\{ ("(?:[^"\\]|\\.)*"|\.Content) \}\}', part)
        )

    turns = dict(re.findall(r'\{\{ if eq \.Role "(\w+)" \}\}(.*?)\{\{ end \}\}', body, re.DOTALL))
    written = [words(turns[m["role"]]).replace(".Content", m["content"]) for m in messages]
    return words(before) + "".join(written) + words(after)


@pytest.mark.parametrize(("template", "bos"), [(None, ""), (CHATML, ""), ("{{ bos_token }}" + CHATML, "<|system|>")])
def test_the_go_template_writes_the_same_prompts(parts, template, bos):
    tokenizer = parts.tokenizer
    if template:
        tokenizer.bos_token, tokenizer.chat_template = "<|system|>", template
    messages = [
        {"role": role, "content": f'Say {{{{ .Content }}}} to {role} "{n}"\n'}
        for n, role in enumerate(("system", "user", "assistant", "user", "assistant", "user"))
    ]
    expected = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    found = turns_of(tokenizer)
    assert found.prompt(messages) == expected
    assert bos + rendered(found.as_go(bos), messages) == expected


def test_a_template_that_is_not_turn_after_turn_has_no_modelfile(parts):
    parts.tokenizer.chat_template = FOLDED
    assert turns_of(parts.tokenizer) is None
    vocabulary = vocabulary_of(parts.tokenizer, parts.config.vocab_size, parts.ends)
    assert modelfile("student.gguf", parts.tokenizer, vocabulary, 256) is None


def test_a_modelfile_stops_where_the_student_ends(parts):
    vocabulary = vocabulary_of(parts.tokenizer, parts.config.vocab_size, [1, 3])
    lines = modelfile("student.gguf", parts.tokenizer, vocabulary, 256).splitlines()
    assert lines[0] == "FROM ./student.gguf"
    assert [line for line in lines if line.startswith("PARAMETER")] == [
        'PARAMETER stop "<|end|>"',
        'PARAMETER stop "<|user|>"',
        "PARAMETER temperature 0",
        "PARAMETER num_ctx 256",
    ]

"""llama.cpp's own server over a GGUF file reads the student's tokens and gives the student's answers, over HTTP."""

import os
import subprocess
import sys

import pytest
import torch
from openai import OpenAI

from distill_dagster.errors import ComputeError
from distill_dagster.models.fitness import open_parts
from distill_dagster.models.rendering import encode, render_prompt
from distill_dagster.models.same_tokens import PROBE_TEXTS
from distill_dagster.release.export.formats import GGUF_FILE
from distill_dagster.release.export.llama_client import ask_llama, connected, llama_server
from distill_dagster.release.export.specs import RuntimeSpec
from testing.exports_tiny import KINDS, ODD_TEXTS, export_gguf, load_kind, own_answer, teach, write_kind
from testing.models_tiny import rows
from testing.waiting import PATIENCE

pytestmark = pytest.mark.processes

NEW_TOKENS = 24
NEARLY_EQUAL = 5e-3  # of the spread of the logits: its attention rounds to 16 bits


def exported(kind, folder, change=lambda tokenizer: None):
    """The parts of a tiny model, and the folder of its export."""
    write_kind(kind, folder / "model")
    return of_model(folder, "f32", change)


def of_model(folder, precision, change=lambda tokenizer: None):
    """The parts of the model in the folder, and the folder of its export."""
    parts = open_parts(folder / "model", None)
    change(parts.tokenizer)
    (folder / "export").mkdir()
    export_gguf(parts, folder / "model", folder / "export" / GGUF_FILE, precision)
    return parts, folder / "export"


OPEN_AND_CLOSE = """
import os, sys
from distill_dagster.release.export.llama_server import HOST, open_server
os.sched_setaffinity(0, {int(sys.argv[2])})  # on one core, the server's threads begin late
for number in range(5):
    open_server(sys.argv[1], host=HOST, port=0, max_length=64, parallel=1, cache="f16")
    print(number, flush=True)
"""


def test_a_server_that_is_closed_at_once_ends(tmp_path):
    _, folder = exported("tied", tmp_path)
    core = str(min(os.sched_getaffinity(0)))
    command = [sys.executable, "-c", OPEN_AND_CLOSE, str(folder / GGUF_FILE), core]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert done.stdout.split() == ["0", "1", "2", "3", "4"], done.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_its_greedy_tokens_are_the_likeliest_ones_of_transformers(kind, tmp_path):
    """With random weights, two tokens may be almost equally likely."""
    parts, folder = exported(kind, tmp_path)
    model = load_kind(tmp_path / "model")
    with llama_server(folder / GGUF_FILE, 256, "--cache", "f32") as address, connected(address) as post:
        for row in rows(10):
            ids = encode(parts.tokenizer, render_prompt(parts.tokenizer, row["messages"]))
            asked = {"prompt": ids, "temperature": 0, "n_predict": NEW_TOKENS, "return_tokens": True}
            answer = post("/completion", asked)["tokens"]
            with torch.no_grad():
                logits = model(torch.tensor([ids + answer])).logits[0, len(ids) - 1 : -1]  # (answer, V)
            lost = logits.max(-1).values - logits[range(len(answer)), answer]
            assert lost.max() < NEARLY_EQUAL * logits.std()
            assert len(answer) == NEW_TOKENS or answer[-1] in parts.ends


@pytest.mark.parametrize("precision", ["f32", "q8_0"])
def test_a_trained_student_gives_its_own_answers(precision, tmp_path):
    """With llama.cpp's own settings, as an application uses it."""
    write_kind("tied", tmp_path / "model")
    teach(tmp_path / "model")
    parts, folder = of_model(tmp_path, precision)
    model, prompts = load_kind(tmp_path / "model"), [row["messages"] for row in rows(32)]
    spec = RuntimeSpec(folder=str(folder), prompts=prompts, max_new_tokens=NEW_TOKENS, max_length=256)
    right = 0
    for row, answer in zip(rows(32), ask_llama(spec), strict=True):
        assert answer.model_copy(update={"latency_ms": 0.0}) == own_answer(parts, model, row["messages"], NEW_TOKENS)
        right += answer.text == row["reference"][0]
    assert right > 16, "the student has learned nothing, and its answers prove little"


def with_bos(tokenizer):
    tokenizer.bos_token = tokenizer.pad_token  # no marker of the template: two of those may follow each other
    tokenizer.chat_template = "{{ bos_token }}" + tokenizer.chat_template


@pytest.mark.parametrize("change", [lambda tokenizer: None, with_bos], ids=["no bos", "bos"])
def test_every_text_is_read_as_the_same_tokens(change, tmp_path):
    parts, folder = exported("llama", tmp_path, change)
    texts = [*PROBE_TEXTS, *ODD_TEXTS]
    prompts = [[{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}] for text in texts]
    spec = RuntimeSpec(folder=str(folder), prompts=prompts, max_new_tokens=1, max_length=1024)
    for messages, answer in zip(prompts, ask_llama(spec), strict=True):
        assert answer.prompt == encode(parts.tokenizer, render_prompt(parts.tokenizer, messages)), messages


def test_a_prompt_that_does_not_fit_is_an_error_and_the_next_one_is_answered(tmp_path):
    _, folder = exported("llama", tmp_path)
    prompts = [[{"role": "user", "content": text}] for text in ("x y " * 200, "Which colour?")]
    spec = RuntimeSpec(folder=str(folder), prompts=prompts, max_new_tokens=4, max_length=64)
    assert [answer.finish_reason for answer in ask_llama(spec)] == ["error", "length"]


def test_a_file_that_llama_cpp_cannot_load_is_a_clear_error(tmp_path):
    (tmp_path / GGUF_FILE).write_bytes(b"GGUF and no more")
    with (
        pytest.raises(ComputeError, match=r"llama\.cpp's server over .*student\.gguf failed"),
        llama_server(tmp_path / GGUF_FILE, 64),
    ):
        pass


def test_it_speaks_openais_protocol(tmp_path):
    _, folder = exported("llama", tmp_path)
    with llama_server(folder / GGUF_FILE, 256) as address, connected(address) as post:
        client = OpenAI(base_url=f"{address}/v1", api_key="none")
        asked = [{"role": "user", "content": "Which colour?"}]
        reply = client.chat.completions.create(model="student", messages=asked, temperature=0, max_tokens=4)
        assert reply.usage.completion_tokens == 4
        direct = post("/v1/chat/completions", {"messages": asked, "temperature": 0, "max_tokens": 4})
        assert reply.choices[0].message.content == direct["choices"][0]["message"]["content"]

"""An answer ends at the stated tokens, at the tokenizer's, and at the token that closes a turn in the template."""

import json
from pathlib import Path

import pytest

from distill_dagster.config import GenerationConfig
from distill_dagster.models.decoding import complete
from distill_dagster.models.loading import load
from distill_dagster.models.rendering import answer_ends, closing_id, end_ids
from distill_dagster.teachers.local import LocalTeacher
from testing.chat_templates import FAMILIES, tokenizer_of
from testing.models_tiny import rows, write_model

TEXTS = ["Which colour is the door?", "red"]
WITHOUT_CLOSING = {"falcon"}  # a line break parts its turns


@pytest.mark.parametrize("name", list(FAMILIES))
def test_the_templates_closing_token_is_always_an_end(name):
    tokenizer = tokenizer_of(FAMILIES[name], TEXTS)
    closing = tokenizer.eos_token_id  # of these tokenizers
    assert closing_id(tokenizer) == (None if name in WITHOUT_CLOSING else closing)
    written = tokenizer.chat_template.replace("eos_token", f"'{tokenizer.eos_token}'")
    tokenizer.chat_template, tokenizer.eos_token = written, "<unk>"  # as a base model's may be
    other = tokenizer.eos_token_id
    assert answer_ends(tokenizer, [7]) == [7, other] + ([] if name in WITHOUT_CLOSING else [closing])
    assert answer_ends(tokenizer, [closing]) == [closing, other]


@pytest.mark.parametrize("engine", ["continuous", "batched"])
def test_a_model_whose_files_state_another_end_stops_where_its_template_closes(tmp_path, engine):
    ref = write_model(tmp_path / "tiny")
    loaded = load(ref, "cpu")
    closing = loaded.tokenizer.eos_token_id
    loaded.model.generation_config.eos_token_id = 7  # what the files state
    loaded.tokenizer.chat_template = loaded.tokenizer.chat_template.replace(
        "eos_token", f"'{loaded.tokenizer.eos_token}'"
    )
    loaded.tokenizer.eos_token = loaded.tokenizer.convert_ids_to_tokens(9)
    assert closing not in end_ids(loaded.tokenizer, loaded.model.generation_config)

    def say_closing(_module, _args, output):
        output.logits[..., closing] += 1000

    hook = loaded.model.register_forward_hook(say_closing)
    asked = [row["messages"] for row in rows(3)]
    try:
        answers = complete(loaded, asked, max_new_tokens=4, batch_tokens=500, engine=engine)
    finally:
        hook.remove()
    assert [(a.text, a.finish_reason, a.completion_tokens) for a in answers] == [("", "stop", 1)] * 3


def test_requests_keep_their_hashes_unless_an_end_was_not_stated(tmp_path):
    ref = write_model(tmp_path / "tiny")
    named = {"name": ref.name, "revision": ref.revision, "dtype": "auto"}
    assert LocalTeacher(ref, GenerationConfig(), "cpu").identity == named
    path = Path(ref.path) / "generation_config.json"
    stated = json.loads(path.read_text())
    path.write_text(json.dumps({**stated, "eos_token_id": 7}))
    assert LocalTeacher(ref, GenerationConfig(), "cpu").identity == {**named, "ends": [7, stated["eos_token_id"]]}

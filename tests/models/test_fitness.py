"""A model is checked against its tokenizer and its use before anything is paid; each problem has its way out."""

import json
from pathlib import Path

import pytest

from distill_dagster.config import DistillConfig, ModelConfig, TeacherSource
from distill_dagster.errors import ModelError
from distill_dagster.models.decoding import complete
from distill_dagster.models.fitness import Use, problems, project_problems, require_fit, student_use, teacher_use
from distill_dagster.models.loading import load, open_model
from distill_dagster.models.pinning import pin, pin_folder
from distill_dagster.models.tokenizer import open_tokenizer
from distill_dagster.training.pairing import Pairing
from distill_dagster.training.prepare import prepare_model
from distill_dagster.training.specs import PrepareSpec
from testing.models_tiny import TINY, rows, write_model
from testing.projects import tiny_settings

TRAINS = Use(trains=True, max_length=64, new_tokens=8)
GPT2 = ModelConfig(architecture="gpt2", settings={"n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 64})
QUANTIZED = {
    "bitsandbytes": {"quant_method": "bitsandbytes", "load_in_4bit": True},
    "gptq": {"quant_method": "gptq", "bits": 4, "group_size": 128},
    "awq": {"quant_method": "awq", "bits": 4, "group_size": 128},
    "fp8": {"quant_method": "fp8", "weight_block_size": [128, 128]},
}


@pytest.fixture
def folder(tmp_path) -> Path:
    write_model(tmp_path / "tiny")
    return tmp_path / "tiny"


def change(path: Path, **entries) -> None:
    """Set entries of a JSON file; None removes one."""
    document = {**(json.loads(path.read_text()) if path.exists() else {}), **entries}
    path.write_text(json.dumps({key: value for key, value in document.items() if value is not None}))


def found(folder: Path, use: Use = TRAINS) -> str:
    return "; ".join(problems(ModelConfig(name=str(folder)), use))


def without_end(folder: Path) -> None:
    for name in ("config.json", "generation_config.json"):
        change(folder / name, eos_token_id=None)
    change(folder / "tokenizer_config.json", eos_token=None, pad_token=None)


def test_a_sound_model_has_no_problem(folder):
    assert problems(ModelConfig(name=str(folder)), TRAINS) == problems(pin_folder(folder, name="tiny"), TRAINS) == []
    assert problems(TINY, TRAINS) == []


def test_rows_may_not_be_longer_than_the_learned_positions(tmp_path):
    write_model(tmp_path / "gpt2", GPT2.model_copy(update={"vocab_size": 300}))
    long = TRAINS.model_copy(update={"max_length": 65})
    for model in (GPT2, ModelConfig(name=str(tmp_path / "gpt2"))):
        assert problems(model, TRAINS) == []
        (problem,) = problems(model, long)
        assert "`training.max_length` is 65 and " in problem
        assert "has positions for 64 tokens: set `max_length: 64` or less" in problem
    assert problems(TINY, TRAINS.model_copy(update={"max_length": 4096})) == []  # rotary positions


def test_an_answer_must_fit_the_context(folder):
    assert "context of 128 tokens, and a prompt of" in found(folder, Use(new_tokens=120))
    assert found(folder, Use(new_tokens=60)) == ""


def test_an_answer_must_fit_the_context_of_a_new_model_too():
    (problem,) = problems(TINY, TRAINS.model_copy(update={"new_tokens": 126}))
    assert "llama has a context of 128 tokens, and a prompt of 3 with `max_new_tokens: 126` does not fit" in problem
    assert problems(TINY, TRAINS.model_copy(update={"new_tokens": 125})) == []


def test_a_tokenizer_that_changes_the_answers_text_is_refused(folder):
    path = folder / "tokenizer.json"
    document = json.loads(path.read_text())
    document["normalizer"] = {"type": "Replace", "pattern": {"String": "e"}, "content": "3"}
    path.write_text(json.dumps(document))
    assert "the tokens of the answer 'red' are the text 'r3d' again, so it cannot be learned" in found(folder)
    assert found(folder, Use()) == ""


def test_a_tokenizer_of_another_model_is_refused(folder, tmp_path):
    write_model(tmp_path / "larger", TINY.model_copy(update={"vocab_size": 340}))
    (folder / "tokenizer.json").write_bytes((tmp_path / "larger" / "tokenizer.json").read_bytes())
    change(folder / "config.json", vocab_size=300)
    said = found(folder)
    assert "the tokenizer has 340 tokens and the model embeddings for 300, so that 40 such as " in said
    assert "model.resize_token_embeddings(len(tokenizer))" in said


def test_an_added_token_without_an_embedding_does_no_harm_until_a_row_has_it(folder):
    tokenizer = open_tokenizer(folder)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<image>"]}, replace_extra_special_tokens=False)
    tokenizer.save_pretrained(folder)
    assert found(folder) == ""
    asked = [rows(1)[0]["messages"], [{"role": "user", "content": "What is on <image>?"}]]
    made = complete(load(pin(ModelConfig(name=str(folder))), "cpu"), asked, max_new_tokens=4, batch_tokens=500)
    assert [completion.error_code for completion in made] == [None, "E015"]
    path = folder / "chat_template.jinja"
    path.write_text("<image>" + path.read_text())
    assert "its chat template writes token" in found(folder)


def test_padding_without_an_embedding_is_replaced_by_the_end(folder):
    tokenizer = open_tokenizer(folder)
    tokenizer.add_special_tokens({"pad_token": "[PAD]"})
    tokenizer.save_pretrained(folder)
    assert tokenizer.pad_token_id == open_model(folder, "float32").config.vocab_size
    assert found(folder) == ""
    ref = pin(ModelConfig(name=str(folder)))
    assert load(ref, "cpu").tokenizer.pad_token == "<|end|>"
    asked = [row["messages"] for row in rows(3)]
    asked[0][0]["content"] += " and more"
    assert all(c.error_code is None for c in complete(load(ref, "cpu"), asked, max_new_tokens=4, batch_tokens=5000))


def test_a_tokenizer_without_end_and_padding_takes_those_of_the_model(folder):
    change(folder / "tokenizer_config.json", eos_token=None, pad_token=None)
    assert open_tokenizer(folder).pad_token_id == 1
    assert found(folder) == ""


def test_a_model_that_names_no_end_is_refused(folder):
    without_end(folder)
    said = found(folder)
    assert "names no token that ends an answer: set `eos_token` in its tokenizer_config.json" in said
    with pytest.raises(ModelError, match="names no token that ends an answer"):
        require_fit(ModelConfig(name=str(folder)), Use())


def test_a_missing_or_failing_template_is_refused(folder):
    path = folder / "chat_template.jinja"
    path.write_text("{{ raise_exception('only tools') }}")
    assert "the chat template refuses messages with the roles user: only tools" in found(folder)
    path.write_text("{% for m in messages %}{{ m.content | upper }}{% endfor %}")
    assert "renders the answer 'red' as 'RED'" in found(folder)
    assert found(folder, Use()) == ""  # a teacher's template never renders an answer
    path.unlink()
    assert "has no chat template" in found(folder, Use())


def test_a_row_of_the_project_may_be_tried(folder):
    path = folder / "chat_template.jinja"
    path.write_text("{% if messages[0].role == 'system' %}{{ raise_exception('no') }}{% endif %}" + path.read_text())
    row = [{"role": "system", "content": "S"}, {"role": "user", "content": "U"}]
    model = ModelConfig(name=str(folder))
    assert problems(model, TRAINS) == []
    assert "the roles system, user: no" in problems(model, TRAINS, row)[0]


@pytest.mark.parametrize("method", QUANTIZED)
def test_quantized_weights_are_not_trained(folder, method):
    change(folder / "config.json", quantization_config=QUANTIZED[method])
    said = found(folder)
    assert f"is quantized ({method}), and quantized weights cannot be trained: name the model that it was made" in said


@pytest.mark.parametrize("method", ["gptq", "awq"])
def test_a_quantized_teacher_is_refused_where_its_library_is_missing(folder, method):
    change(folder / "config.json", quantization_config=QUANTIZED[method])
    assert f"is quantized ({method}) and cannot be loaded here (" in found(folder, Use())


def test_a_quantized_teacher_that_transformers_can_load_is_not_refused(folder):
    change(folder / "config.json", quantization_config=QUANTIZED["fp8"])
    assert found(folder, Use()) == ""


@pytest.mark.parametrize("with_weights", [True, False])
def test_an_adapter_is_refused(folder, with_weights):
    change(folder / "adapter_config.json", base_model_name_or_path="meta-llama/Llama-3.2-1B", peft_type="LORA")
    if not with_weights:
        (folder / "config.json").unlink()
    assert "holds an adapter of meta-llama/Llama-3.2-1B and not a model: merge it" in found(folder)


def test_what_pinning_refuses_is_a_problem_too(folder, tmp_path):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    assert "only pickled weights" in found(folder)
    assert "does not exist" in found(tmp_path / "nowhere")
    assert "holds no config.json" in found(tmp_path)


def test_a_project_names_the_field_of_each_problem(folder, tmp_path):
    without_end(folder)
    config = DistillConfig.model_validate(
        tiny_settings(**{"student.model": {"name": str(tmp_path / "gone")}, "teacher.model": {"name": str(folder)}})
    )
    said = project_problems(config)
    assert len(said) == 2
    assert said[0].startswith("teacher.model: ")
    assert "names no token that ends" in said[0]
    assert said[1].startswith("student.model: ")
    assert "does not exist" in said[1]
    assert project_problems(DistillConfig.model_validate(tiny_settings())) == []


def test_uses_follow_the_config():
    config = DistillConfig.model_validate(
        tiny_settings(
            **{"evaluation.max_new_tokens": 9, "student.training.max_length": 77, "teacher.fit.max_length": 55}
        )
    )
    assert teacher_use(config) == Use(trains=True, max_length=55, new_tokens=12)
    assert student_use(config) == Use(trains=True, max_length=77, new_tokens=9)


@pytest.mark.parametrize("place", ["teacher", "student", "student of a teacher", "mix", "judge"])
def test_the_worker_refuses_an_unfit_model_in_each_place(folder, tmp_path, place):
    sound = write_model(tmp_path / "sound").path
    change(folder / "adapter_config.json", base_model_name_or_path="base")
    unfit, fine = ModelConfig(name=str(folder)), ModelConfig(name=sound)
    given = {
        "teacher": {"role": "teacher", "model": unfit},
        "student": {"role": "student", "model": unfit},
        "student of a teacher": {"role": "teacher", "model": fine, "pairing": Pairing(student=unfit)},
        "mix": {"role": "teacher", "sources": [(1.0, TeacherSource(model=fine)), (1.0, TeacherSource(model=unfit))]},
        "judge": {"role": "teacher", "model": fine, "judge": TeacherSource(model=unfit)},
    }[place]
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(ModelError, match="holds an adapter of base"):
        prepare_model(PrepareSpec(**given, out=str(out), work=str(tmp_path)), "cpu")
    assert not list(out.iterdir())

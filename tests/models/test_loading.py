"""The last two models stay in memory; a model that cannot answer in a chat is refused with the reason."""

import gc
import json
import weakref
from types import MethodType

import pytest

from distill_dagster.errors import ModelError
from distill_dagster.models.loading import KEPT, dtype_name, forget, load
from testing.models_tiny import write_model


@pytest.fixture(autouse=True)
def _nothing_kept():
    forget()


def test_the_last_two_models_are_kept(tmp_path):
    refs = [write_model(tmp_path / name) for name in ("a", "b", "c")]
    a = load(refs[0], "cpu")
    assert load(refs[0], "cpu") is a
    load(refs[1], "cpu")
    assert load(refs[0], "cpu") is a
    load(refs[2], "cpu")  # b is the one that was used least lately
    assert load(refs[0], "cpu") is a
    assert KEPT == 2


def test_another_revision_is_another_model(tmp_path):
    ref = write_model(tmp_path / "a")
    assert load(ref, "cpu") is not load(ref.model_copy(update={"revision": "other"}), "cpu")


def test_a_model_that_refers_to_itself_is_forgotten_at_once(tmp_path):
    """As one does whose `forward` Accelerate has wrapped; a GPU has no room to wait for the cycle collector."""
    model = load(write_model(tmp_path / "a"), "cpu").model
    model.forward = MethodType(type(model).forward, model)
    alive = weakref.ref(model)
    del model
    gc.disable()
    try:
        forget()
    finally:
        gc.enable()
    assert alive() is None


def test_auto_is_bfloat16_on_a_gpu_and_float32_on_a_cpu():
    assert dtype_name("auto", "cuda:1") == "bfloat16"
    assert dtype_name("auto", "cpu") == "float32"
    assert dtype_name("bfloat16", "cpu") == "bfloat16"


def test_a_model_without_a_chat_template_is_refused(tmp_path):
    ref = write_model(tmp_path / "a")
    (tmp_path / "a" / "chat_template.jinja").unlink()
    with pytest.raises(ModelError, match="no chat template"):
        load(ref, "cpu")


def test_a_folder_that_is_gone_is_named(tmp_path):
    import shutil

    ref = write_model(tmp_path / "a")
    shutil.rmtree(tmp_path / "a")
    with pytest.raises(ModelError, match=str(tmp_path)):
        load(ref, "cpu")


def test_a_model_that_is_not_a_causal_language_model_is_refused(tmp_path):
    ref = write_model(tmp_path / "a")
    config = tmp_path / "a" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "model_type": "t5"}))
    with pytest.raises(ModelError, match="causal language model"):
        load(ref, "cpu")


def test_a_checkpoints_own_sampling_defaults_do_not_apply(tmp_path):
    ref = write_model(tmp_path / "a")
    path = tmp_path / "a" / "generation_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "repetition_penalty": 5.0, "do_sample": True}))
    config = load(ref, "cpu").model.generation_config
    assert config.eos_token_id == 1
    assert not config.do_sample
    assert config.repetition_penalty in (None, 1.0)

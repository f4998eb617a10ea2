"""A revision follows the files, weights are safetensors, and a model that is nowhere says what to do."""

import os
import subprocess
import sys

import pytest

from distill_dagster.config import ModelConfig
from distill_dagster.errors import ModelError
from distill_dagster.models.pinning import count_parameters, pin
from tests.models_tiny import write_model


@pytest.fixture
def folder(tmp_path):
    write_model(tmp_path / "tiny")
    return tmp_path / "tiny"


def test_a_folder_is_pinned_by_what_is_read_from_it(folder):
    first = pin(ModelConfig(name=str(folder)))
    (folder / "README.md").write_text("a card is not part of the model")
    assert pin(ModelConfig(name=str(folder))) == first
    config = folder / "generation_config.json"
    config.write_text(config.read_text() + " ")
    assert pin(ModelConfig(name=str(folder))).revision != first.revision


def test_parameters_are_counted_without_loading(folder):
    from safetensors import safe_open

    with safe_open(folder / "model.safetensors", "pt") as f:
        expected = sum(f.get_tensor(key).numel() for key in f.keys())  # noqa: SIM118 (not a dict)
    assert count_parameters(folder) == expected > 10_000


def test_a_pin_that_the_files_do_not_match_is_refused(folder):
    with pytest.raises(ModelError, match="pinned to revision abc and its files hash to"):
        pin(ModelConfig(name=str(folder), revision="abc"))


def test_pickled_weights_are_refused(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"pickled weights \(pytorch_model.bin\)"):
        pin(ModelConfig(name=str(folder)))


@pytest.mark.parametrize("keep", [4, 5_000])
def test_torn_weights_are_refused(folder, keep):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:keep])
    with pytest.raises(ModelError, match=r"torn|no safetensors"):
        pin(ModelConfig(name=str(folder)))


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ModelError, match="nowhere is not there"):
        pin(ModelConfig(name=str(tmp_path / "nowhere")))


def test_a_folder_without_a_model_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"no config\.json"):
        pin(ModelConfig(name=str(tmp_path)))


OFFLINE_PIN = """
from distill_dagster.config import ModelConfig
from distill_dagster.errors import ModelError
from distill_dagster.models.pinning import pin
try:
    print(pin(ModelConfig(name="maker/tiny")).model_dump_json())
except ModelError as e:
    print("ModelError", e)
"""


def _pin_offline(cache) -> str:
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(cache)}
    return subprocess.run(
        [sys.executable, "-c", OFFLINE_PIN], env=env, capture_output=True, text=True, check=True
    ).stdout


def test_a_hub_name_is_found_in_the_local_cache_or_says_the_way_out(tmp_path):
    cache, commit = tmp_path / "hub", "0123456789abcdef0123456789abcdef01234567"
    assert _pin_offline(cache).startswith("ModelError model 'maker/tiny' (revision newest)")
    repository = cache / "models--maker--tiny"
    write_model(repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    assert f'"revision":"{commit}"' in _pin_offline(cache)

"""Where the layers of a model go that is spread over several devices. That it answers there, only GPUs show."""

import pytest

from distill_dagster.errors import ModelError
from distill_dagster.models.engines.continuous import is_supported
from distill_dagster.models.loading import devices_with, load, spread_over
from distill_dagster.models.spreading import is_spread, map_of
from testing.models_tiny import LLAMA, TINY, write_model

MIB = 2**20


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    deep = TINY.model_copy(update={"settings": {**LLAMA, "hidden_size": 128, "num_hidden_layers": 8}})
    return load(write_model(tmp_path_factory.mktemp("models") / "deep", deep), "cpu")


def test_every_weight_has_a_device_and_no_layer_is_cut(loaded):
    size = loaded.model.get_memory_footprint()
    placed = map_of(loaded.model, {0: size, 1: size})
    assert set(placed.values()) == {0, 1}
    for name, _ in loaded.model.named_parameters():
        assert [device for place, device in placed.items() if name.startswith(f"{place}.")] != []
    layers = [device for place, device in placed.items() if place.startswith("model.layers.")]
    assert len(layers) == 8
    assert layers == sorted(layers)


def test_a_model_that_does_not_fit_the_devices_is_refused(loaded):
    with pytest.raises(ModelError, match=r"its 2 devices have .* GB free together"):
        map_of(loaded.model, {0: MIB // 4, 1: MIB // 4})


def test_the_devices_of_a_worker_are_those_of_its_first_one():
    with spread_over(["cuda:0", "cuda:1"]):
        assert devices_with("cuda:0") == ("cuda:0", "cuda:1")
        assert devices_with("cuda:2") == ("cuda:2",)
    assert devices_with("cuda:0") == ("cuda:0",)


def test_the_continuous_engine_leaves_a_spread_model_to_generate(loaded):
    assert is_supported(loaded.model)
    assert not is_spread(loaded.model)
    loaded.model.hf_device_map = {"model.embed_tokens": 0, "model.layers.0": 1}
    try:
        assert is_spread(loaded.model)
        assert not is_supported(loaded.model)
    finally:
        del loaded.model.hf_device_map

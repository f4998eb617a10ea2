"""The memory of a step on tensors without data is that of the same step with data, for each kind of training."""

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from distill_dagster.config import LogitsConfig, StudentTrainingConfig, TrainingConfig
from distill_dagster.training.adapter import prepare_weights
from distill_dagster.training.memory import step
from distill_dagster.training.memory.state import state_bytes
from distill_dagster.training.memory.step import LargestBatch, step_memory, stored_tokens
from distill_dagster.training.memory.tracking import PeakTracker
from distill_dagster.training.optimizers import RoundingAdamW

pytestmark = pytest.mark.slow

LLAMA = {"hidden_size": 64, "intermediate_size": 160, "num_hidden_layers": 3, "num_attention_heads": 4}
SHAPES = {
    "llama": ("llama", LLAMA),
    "grouped heads": ("qwen3", {**LLAMA, "num_key_value_heads": 2, "head_dim": 16}),
    "dropout, Conv1D, learned positions": ("gpt2", {"n_embd": 64, "n_layer": 3, "n_head": 4}),
    "logits changed after the head": ("granite", {**LLAMA, "logits_scaling": 8.0}),
}
TRAININGS = {
    "all weights": {},
    "checkpointing": {"gradient_checkpointing": True},
    "adapters": {"lora": {"rank": 4}},
    "bfloat16": {"weights": "bfloat16"},
    "adapters on bfloat16": {"lora": {"rank": 4}, "weights": "bfloat16", "gradient_checkpointing": True},
}
BATCH = LargestBatch(rows=3, length=40)


def config_of(shape):
    architecture, settings = SHAPES[shape]
    return AutoConfig.for_model(architecture, **settings, vocab_size=500)


def with_data(config, training, batch):
    """The same count over real tensors: bytes after the layers, of the loss, and of both passes."""
    model = AutoModelForCausalLM.from_config(config, dtype=getattr(torch, training.weights)).train()
    prepare_weights(model, training)
    if training.gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    return step._both_passes(model, training, batch, "cpu")


@pytest.mark.parametrize("training", TRAININGS)
@pytest.mark.parametrize("shape", SHAPES)
def test_no_data_is_needed(shape, training):
    made, config = StudentTrainingConfig(**TRAININGS[training]), config_of(shape)
    found = step_memory(config, made, BATCH, "cpu")
    activations, loss, passes = with_data(config, made, BATCH)
    assert 1 <= found.activations / activations < 1.1
    assert found.loss == loss
    assert 1 <= (found.peak - found.weights - found.optimizer) / max(passes, found.gradients) < 1.1


def test_what_a_setting_saves_is_seen():
    config = config_of("llama")
    found = {name: step_memory(config, StudentTrainingConfig(**how), BATCH, "cpu") for name, how in TRAININGS.items()}
    plain = found["all weights"]
    assert found["checkpointing"].activations < 0.4 * plain.activations
    assert found["bfloat16"].weights * 2 == found["bfloat16"].gradients * 2 == plain.weights
    assert found["bfloat16"].optimizer == plain.optimizer == 2 * plain.weights
    assert found["adapters"].gradients < 0.2 * plain.gradients
    small = step_memory(config, StudentTrainingConfig(), LargestBatch(1, 40), "cpu")
    assert small.activations == pytest.approx(plain.activations / 3, rel=0.05)
    on_gpu = step_memory(config, StudentTrainingConfig(), BATCH, "cuda")
    assert on_gpu.weights == plain.weights
    assert on_gpu.activations != plain.activations, "the arithmetic is bfloat16"


@pytest.mark.parametrize("training", ["all weights", "adapters on bfloat16"])
def test_a_deep_model_is_extrapolated_from_two_shallow_ones(monkeypatch, training):
    made, config = StudentTrainingConfig(**TRAININGS[training]), config_of("grouped heads")
    config.num_hidden_layers, config.layer_types = 9, ["full_attention"] * 9
    found = step_memory(config, made, BATCH, "cuda")
    monkeypatch.setattr(step, "MOST_LAYERS", 9)
    whole = step_memory(config, made, BATCH, "cuda")
    for name in ("weights", "optimizer", "gradients", "activations", "loss", "peak"):
        assert getattr(found, name) == pytest.approx(getattr(whole, name), rel=0.02), name


def test_the_distributions_of_a_batch_count():
    training = StudentTrainingConfig(signal="logits", logits={"temperature": 2})
    config = config_of("llama")
    plain = step_memory(config, training, BATCH, "cpu")
    stored = step_memory(config, training, LargestBatch(3, 40, k=64), "cpu")
    assert stored.loss > plain.loss, "a second term needs a second copy of the logits"


def test_a_round_has_the_distributions_of_rollouts_and_of_answers():
    def planned(**rounds):
        training = StudentTrainingConfig(signal="on_policy", on_policy=rounds)
        k = stored_tokens(training, LogitsConfig(k=8))
        return k, step_memory(config_of("llama"), training, LargestBatch(3, 40, k), "cpu").loss

    (k, alone), (of_both, beside) = planned(), planned(start="logits")
    assert k == of_both == 8
    assert beside > alone
    assert planned(divergence="reverse_kl")[0] == 16, "the student's likeliest tokens are stored too"
    assert stored_tokens(StudentTrainingConfig(signal="on_policy"), None) == LogitsConfig().k
    assert stored_tokens(StudentTrainingConfig(), LogitsConfig()) == 0


@pytest.mark.parametrize("name", ["adamw", "adamw_8bit", "adafactor", "rounding"])
def test_the_state_is_that_of_the_optimizer(name):
    weights = [torch.nn.Parameter(torch.ones(128, 64)), torch.nn.Parameter(torch.ones(64))]
    for weight in weights:
        weight.grad = torch.ones_like(weight)
    if name == "adamw_8bit":
        optimizer = pytest.importorskip("bitsandbytes").optim.AdamW8bit(weights)
    elif name == "adafactor":
        from transformers.optimization import Adafactor

        optimizer = Adafactor(weights, lr=1e-3, scale_parameter=False, relative_step=False)
    else:
        optimizer = (RoundingAdamW if name == "rounding" else torch.optim.AdamW)(weights)
    optimizer.step()
    held = {id(v): v for state in optimizer.state.values() for v in state.values() if isinstance(v, torch.Tensor)}
    large = sum(v.numel() * v.element_size() for v in held.values() if v.numel() > 1)
    tables = sum(v.numel() * 4 for v in held.values() if v.numel() == 256 and v.dtype == torch.float32)  # of 8 bits
    expected = state_bytes(weights, "adamw" if name == "rounding" else name)
    assert large - (tables if name == "adamw_8bit" else 0) == pytest.approx(expected, rel=0.02)


def test_the_tracker_counts_storages_once_and_forgets_them():
    with PeakTracker() as tracker:
        first = torch.empty(1000)
        view = first.view(10, 100).t()
        assert tracker.live == 4000
        second = first + 1
        assert tracker.live == 8000
        del second
        assert (tracker.live, tracker.peak) == (4000, 8000)
        del first
        assert tracker.live == 4000, "the view holds it"
        del view
    assert tracker.live == 0
    existing = torch.empty(1000)
    with PeakTracker([existing]) as tracker:
        existing.t()
        assert tracker.live == 0


def test_a_model_of_experts_cannot_be_followed_or_is_counted():
    """Either is allowed, as long as nothing but RuntimeError comes out."""
    settings = {**LLAMA, "num_local_experts": 4, "num_experts_per_tok": 2, "vocab_size": 500}
    try:
        found = step_memory(AutoConfig.for_model("mixtral", **settings), TrainingConfig(), BATCH, "cpu")
    except RuntimeError:
        return
    assert found.peak > found.weights

"""The plan names changes that make a training fit, and each of them does."""

import pytest
from transformers import AutoConfig

from distill_dagster.config import LoraConfig, StudentTrainingConfig, TrainingConfig
from distill_dagster.training.memory import estimate
from distill_dagster.training.memory.estimate import MemoryPlan

pytestmark = pytest.mark.slow

SETTINGS = {"hidden_size": 64, "intermediate_size": 160, "num_hidden_layers": 3, "num_attention_heads": 4}


@pytest.fixture(autouse=True)
def nothing_reserved(monkeypatch):
    monkeypatch.setattr(estimate, "RESERVED", {"cpu": 0, "cuda": 0})


def plan_of(training, beside=0, **settings):
    config = AutoConfig.for_model("llama", **{**SETTINGS, "vocab_size": 500, **settings})
    return MemoryPlan(config, training, None, "cpu", beside)


def test_three_changes_are_named_and_each_of_them_fits():
    training = StudentTrainingConfig(batch_size=16, max_length=128)
    plan = plan_of(training)
    available = 0.6 * plan.needed
    changes = plan.changes(available)
    assert [change.says for change in changes[:2]] == [
        "gradient_checkpointing: true",
        "batch_size: 8 with gradient_accumulation: 2",
    ]
    assert len(changes) == 3
    assert all(change.needed <= available for change in changes)
    again = plan_of(training.model_copy(update={"gradient_checkpointing": True}))
    assert again.needed == changes[0].needed
    halved = plan_of(training.model_copy(update={"batch_size": 8, "gradient_accumulation": 2}))
    assert halved.needed == changes[1].needed


def test_weights_that_are_too_large_take_adapters_and_no_batch_is_named():
    plan = plan_of(TrainingConfig(batch_size=2, max_length=16), hidden_size=512, intermediate_size=1024)
    changes = plan.changes(0.5 * plan.needed)
    assert changes
    assert all("lora" in change.says for change in changes)
    assert changes[0].says == "lora: {rank: 16}"


def test_the_teacher_takes_its_place_in_each_change_and_no_adapters_are_named_beside_it():
    """The config refuses them."""
    training = StudentTrainingConfig(batch_size=16, max_length=128, signal="hidden")
    alone, plan = plan_of(training), plan_of(training, beside=10**9)
    assert plan.needed == alone.needed + 10**9
    available = 10**9 + 0.4 * alone.needed
    changes = plan.changes(available)
    assert [change.needed - 10**9 for change in changes] == [c.needed for c in alone.changes(0.4 * alone.needed)]
    assert changes
    assert not any("lora" in change.says for change in changes)


def test_where_nothing_fits_nothing_is_named():
    plan = plan_of(TrainingConfig(batch_size=2, max_length=16, lora=LoraConfig(), weights="bfloat16"))
    assert plan.changes(0.1 * plan.needed) == []


def test_rows_count_as_long_as_the_model_can_read():
    training = TrainingConfig(batch_size=2, max_length=1024)
    config = AutoConfig.for_model("gpt2", n_embd=32, n_layer=1, n_head=2, n_positions=64, vocab_size=100)
    assert "2 rows of 64 tokens" in str(MemoryPlan(config, training, None, "cpu"))
    assert "2 rows of 1,024 tokens" in str(plan_of(training))


def test_ranks_share_the_batch_and_under_fsdp_the_weights_too():
    training = StudentTrainingConfig(batch_size=9, max_length=128)
    config = AutoConfig.for_model("llama", **{**SETTINGS, "vocab_size": 500})
    one = MemoryPlan(config, training, None, "cpu")
    ddp = MemoryPlan(config, training, None, "cpu", ranks=4)
    fsdp = MemoryPlan(config, training, None, "cpu", ranks=4, sharded=True)
    assert "for 3 rows of 128 tokens" in str(ddp)
    assert "on each of 4 devices, with a copy of the model (ddp)" in str(ddp)
    three = MemoryPlan(config, training.model_copy(update={"batch_size": 3}), None, "cpu")
    assert ddp.step.peak == three.step.peak + three.step.gradients
    assert fsdp.step.weights == -(-one.step.weights // 4)
    assert fsdp.step.optimizer == -(-one.step.optimizer // 4)
    assert fsdp.step.gathered > 0
    assert fsdp.needed < ddp.needed < one.needed + one.step.gradients


def test_the_plan_shards_only_what_does_not_fit_whole():
    config = AutoConfig.for_model("llama", **{**SETTINGS, "vocab_size": 500, "num_hidden_layers": 8})
    training = StudentTrainingConfig(batch_size=2, max_length=16)
    whole = MemoryPlan(config, training, None, "cpu", ranks=2).needed

    def sharded(available, ranks=2, **changes):
        changed = training.model_copy(update=changes)
        return estimate.plan_of(config, changed, None, "cpu", estimate.Shared(ranks, available)).sharded

    assert not sharded(whole)
    assert sharded(whole - 1)
    assert not sharded(whole - 1, ranks=1)
    assert not sharded(whole - 1, parallel="ddp")
    assert not sharded(whole - 1, optimizer="adafactor")
    assert sharded(whole, parallel="fsdp")

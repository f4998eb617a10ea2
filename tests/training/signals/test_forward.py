"""The loss inside of a model's forward is the same with gradient checkpointing, and so is every gradient."""

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from distill_dagster.config import LoraConfig
from distill_dagster.training.adapter import attach
from distill_dagster.training.signals.forward import computing_loss
from distill_dagster.training.signals.text import TextSignal
from testing.models_tiny import LLAMA

ROWS = [{"input_ids": list(range(3, 3 + length)), "answer_start": 4} for length in (12, 9)]


def llama():
    return LlamaForCausalLM(LlamaConfig(**LLAMA, vocab_size=64)), "LlamaDecoderLayer"


def gpt2_with_dropout():
    return GPT2LMHeadModel(GPT2Config(n_embd=32, n_layer=2, n_head=2, vocab_size=64, resid_pdrop=0.3)), "GPT2Block"


@pytest.mark.parametrize("lora", [None, LoraConfig(rank=4, dropout=0.2)])
@pytest.mark.parametrize("model_of", [llama, gpt2_with_dropout])
def test_checkpointing_changes_neither_loss_nor_gradients(model_of, lora):
    seen = []
    for checkpointing in (False, True):
        torch.manual_seed(0)
        model, layer = model_of()
        trained = attach(model, lora, 0) if lora else model
        if lora:
            for name, weight in trained.named_parameters():
                if "lora_B" in name:
                    torch.nn.init.normal_(weight)
        if checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        calls = count_attention(model, layer)
        signal = TextSignal(pad=0)
        with computing_loss(model):
            calls.clear()
            trained.train()
            torch.manual_seed(1)
            loss = signal.loss(trained, signal.collate(ROWS), 1.0)
            loss.backward()
        assert len(calls) == (4 if checkpointing else 2), "two layers, and once more each"
        seen.append((loss.detach(), {name: w.grad for name, w in trained.named_parameters() if w.grad is not None}))
    (loss, gradients), (other_loss, others) = seen
    assert loss.equal(other_loss)
    assert gradients.keys() == others.keys()
    assert all(gradients[name].equal(others[name]) for name in gradients)
    assert any(gradient.abs().sum() > 0 for gradient in gradients.values())


def count_attention(model, layer):
    """A list that gets an entry each time that the feed-forward part of a layer runs."""
    calls = []
    for module in model.modules():
        if type(module).__name__ == layer:
            module.mlp.register_forward_pre_hook(lambda *_: calls.append(1))
    return calls

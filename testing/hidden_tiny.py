"""A student that imitates its teacher's layers, and the objective of both by hand in float64."""

import math
from functools import cached_property
from pathlib import Path

import torch
from datasets import Dataset

from distill_dagster.config import HiddenSignalConfig, ModelConfig, StudentTrainingConfig
from distill_dagster.models.layers import layers_of
from distill_dagster.models.loading import LoadedModel, open_model, open_tokenizer
from distill_dagster.models.rendering import end_ids
from distill_dagster.training.examples import TrainingSet, gold_examples, tokenize
from distill_dagster.training.layer_pairs import with_pairs
from distill_dagster.training.signals.forward import computing_loss
from distill_dagster.training.signals.hidden import HiddenSignal
from distill_dagster.training.signals.text import TextSignal
from testing.models_tiny import LLAMA, rows, write_model

ROWS = rows(6)
WIDE = {**LLAMA, "hidden_size": 48, "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 2}
GROUPED = {**LLAMA, "num_attention_heads": 4, "num_key_value_heads": 1, "max_position_embeddings": 128}
GPT2 = {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 128}
PHI3 = {**GROUPED, "pad_token_id": 0}
SHAPES = {
    "llama": ("llama", {**LLAMA, "max_position_embeddings": 128}),
    "qwen2": ("qwen2", GROUPED),
    "gpt2": ("gpt2", GPT2),
    "phi3": ("phi3", PHI3),
}


def written(folder: Path, architecture: str, settings: dict, seed: int = 0) -> tuple:
    """(model in float64, tokenizer, ref)"""
    plain = {key: value for key, value in settings.items() if not key.endswith("token_id")}
    ref = write_model(folder, ModelConfig(architecture=architecture, settings=plain, vocab_size=400, seed=seed))
    return open_model(folder, "float64").eval(), open_tokenizer(folder), ref


class Both:
    """A teacher, and a student of the same tokenizer."""

    def __init__(self, folder: Path, student: str = "llama", teacher: tuple = ("llama", WIDE)) -> None:
        model, self.tokenizer, ref = written(folder / "teacher", *teacher)
        self.teacher = LoadedModel(model, self.tokenizer, "cpu", "float64", ref)
        self.student, *_ = written(folder / "student", *SHAPES[student], seed=7)

    def signal(self, prompt_weight: float = 0.0, **hidden) -> HiddenSignal:
        pairs = with_pairs(HiddenSignalConfig(**hidden), self.student.config, self.teacher.model.config)
        training = StudentTrainingConfig(signal="hidden", hidden=pairs, prompt_loss_weight=prompt_weight, seed=3)
        base = TextSignal.of(training, self.tokenizer.pad_token_id)
        return HiddenSignal.open(base, training, self.student, self.tokenizer, self.teacher)

    @cached_property
    def data(self) -> TrainingSet:
        examples, _ = gold_examples([*ROWS, *rows(1, "validation")])
        for i, example in enumerate(examples):
            example["answer"] = " ".join([example["answer"]] * (1 + i % 3))
        return tokenize(
            Dataset.from_list(examples), self.tokenizer, end_ids(self.tokenizer, self.student.generation_config), 64
        )

    def loss(self, signal, examples=None, divisor=1.0, change=None):
        """(loss, gradients of student and projections by name)"""
        self.student.zero_grad()
        batch = signal.collate(list(examples or self.data.train))
        with computing_loss(self.student), signal.attached(self.student):
            self.student.double()
            if change:
                change(self.student)
            loss = signal.loss(self.student, batch, divisor)
            loss.backward()
            grads = {name: p.grad.clone() for name, p in self.student.named_parameters() if p.grad is not None}
        return loss.item(), grads

    def dense(self, signal, weight_of_prompt=0.0):
        """The objective by hand: a full forward of both for each row alone, all states, plain softmax."""
        config, total = signal.config, torch.zeros((), dtype=torch.float64)
        projections = signal.projections(self.student).double()
        for row in self.data.train:
            ids, start = torch.tensor([row["input_ids"]]), row["answer_start"]
            weights = torch.tensor([weight_of_prompt] * start + [1.0] * (ids.shape[1] - start), dtype=torch.float64)[1:]
            logits, own, own_qkv = by_hand(self.student, ids)
            with torch.no_grad():
                _, given, given_qkv = by_hand(self.teacher.model, ids)
            entropy = torch.nn.functional.cross_entropy(logits[0, :-1], ids[0, 1:], reduction="none")
            imitation = torch.zeros_like(entropy)
            for s, t in config.layers:
                w = projections[f"{s}_{t}"].weight
                a, b = own[s][0, :-1] @ w.T, given[t][0, :-1]
                if config.distance == "mse":
                    each = ((a - b) ** 2).sum(-1) / b.shape[-1]
                else:
                    each = 1 - (a * b).sum(-1) / (a.norm(dim=-1) * b.norm(dim=-1))
                imitation = imitation + each / len(config.layers)
            if config.relations:
                for s, t in config.relations.layers:
                    for kind in range(3):
                        q, p = (
                            relations_by_hand(x[layer][kind], config.relations.heads)[:, :-1]
                            for x, layer in ((own_qkv, s), (given_qkv, t))
                        )
                        kl = torch.special.xlogy(p, p / torch.where(p > 0, q, 1.0)).sum(-1).mean(0)
                        imitation = imitation + config.relations.weight * kl / len(config.relations.layers)
            total = total + (weights * (config.alpha * entropy + (1 - config.alpha) * imitation)).sum()
        self.student.zero_grad()
        total.backward()
        return total.item(), {n: p.grad.clone() for n, p in self.student.named_parameters() if p.grad is not None}


def by_hand(model, ids):
    """Logits, the states of each layer, and queries, keys and values made again from the states that go in."""
    inputs, outputs, handles = {}, {}, []
    for i, layer in enumerate(layers_of(model), start=1):

        def keep(module, args, kwargs, output, i=i):
            inputs[i] = args[0] if args else kwargs["hidden_states"]
            outputs[i] = output[0] if isinstance(output, tuple) else output

        handles.append(layer.register_forward_hook(keep, with_kwargs=True))
    logits = model(ids).logits
    for handle in handles:
        handle.remove()
    return logits, outputs, {i: qkv_by_hand(model, i, inputs[i]) for i in inputs}


def qkv_by_hand(model, i, states):
    """By the architecture's own formula, without the product's reading of it."""
    layer, config = layers_of(model)[i - 1], model.config
    if config.model_type == "gpt2":
        return [part[0] for part in layer.attn.c_attn(layer.ln_1(states)).split(config.n_embd, dim=-1)]
    normed = layer.input_layernorm(states)
    if config.model_type == "phi3":
        size = config.hidden_size // config.num_attention_heads
        every = layer.self_attn.qkv_proj(normed)[0]
        query, group = config.num_attention_heads * size, config.num_key_value_heads * size
        return [every[:, :query], every[:, query : query + group], every[:, query + group :]]
    return [getattr(layer.self_attn, name)(normed)[0] for name in ("q_proj", "k_proj", "v_proj")]


def relations_by_hand(x, heads):
    """(A, T, T)"""
    size, made = x.shape[1] // heads, []
    for a in range(heads):
        part = x[:, a * size : (a + 1) * size]
        scores = part @ part.T / math.sqrt(size)
        made.append(torch.softmax(scores + torch.full_like(scores, -torch.inf).triu(1), dim=-1))
    return torch.stack(made)

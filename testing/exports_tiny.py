"""Tiny models of the kinds that are exported, with weights large enough that their greedy answers differ.

Beside them: their GGUF files, texts that tokenizers read in odd ways, and the answers that a runtime has to give.
"""

from pathlib import Path
from typing import Any

from distill_dagster.models.building import save, train_tokenizer
from distill_dagster.models.fitness import Parts, open_parts
from distill_dagster.models.rendering import encode, encode_example, render_prompt
from distill_dagster.release.export.gguf_file import write_gguf
from distill_dagster.release.export.gguf_vocabulary import vocabulary_of
from distill_dagster.release.export.specs import ExportedAnswer
from testing.models_tiny import rows

SHAPE = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "initializer_range": 0.3,
}
SCALED = {"rope_type": "llama3", "rope_theta": 500.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
KINDS: dict[str, dict[str, Any]] = {
    "llama": {},
    "tied": {"tie_word_embeddings": True},
    "wide heads": {"head_dim": 24},
    "biases": {"attention_bias": True},
    "llama 3": {"head_dim": 32, "rope_parameters": {**SCALED, "original_max_position_embeddings": 64}},
    "linear": {"rope_parameters": {"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0}},
    "qwen2": {"model_type": "qwen2"},
    "qwen3": {"model_type": "qwen3", "head_dim": 32},
}
ODD_TEXTS = [
    "",
    " ",
    "\n\n\n x",
    "a\r\n\r\n  b",
    "I'll we've IT'S",
    "1234567 ½²",
    "<|user|> says <|end|>",
    "中文，日本語。",
    "x" * 60,
]


def write_kind(kind: str, folder: Path, **changes: Any) -> Parts:
    """A model of one of `KINDS` in a folder, and its parts; no bias or norm has its initial value."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    tokenizer = train_tokenizer([m["content"] for row in rows(32) for m in row["messages"]], 400)
    settings = {**SHAPE, "model_type": "llama", **KINDS[kind], **changes}
    ids = {"vocab_size": len(tokenizer), "eos_token_id": 1, "pad_token_id": 0, "bos_token_id": None}
    config = AutoConfig.for_model(settings.pop("model_type"), **settings, **ids)
    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 1:
                weight.add_(torch.randn_like(weight) * 0.3)
    save(model, tokenizer, folder)
    return open_parts(folder, None)


def teach(folder: Path, steps: int = 60) -> None:
    """Train the model of a folder on the colours of `rows`, so that its greedy answers are words without ties."""
    import torch

    parts, model = open_parts(folder, None), load_kind(folder).train()
    examples = [encode_example(parts.tokenizer, r["messages"], r["reference"][0], parts.ends) for r in rows(32)]
    width = max(len(example.ids) for example in examples)
    ids = torch.tensor([example.ids + [0] * (width - len(example.ids)) for example in examples])  # (B, T)
    labels = torch.full_like(ids, -100)
    for row, example in enumerate(examples):
        labels[row, example.answer_start : len(example.ids)] = ids[row, example.answer_start : len(example.ids)]
    optimizer = torch.optim.AdamW(model.parameters(), 5e-3)
    for _ in range(steps):
        optimizer.zero_grad()
        model(input_ids=ids, labels=labels).loss.backward()
        optimizer.step()
    save(model, parts.tokenizer, folder)


def load_kind(folder: Path) -> Any:
    """The model of the folder in float32."""
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder).eval()


def own_answer(parts: Parts, model: Any, messages: list[dict], most_tokens: int) -> ExportedAnswer:
    """The greedy answer of transformers, as a runtime has to give it."""
    import torch

    ids = encode(parts.tokenizer, render_prompt(parts.tokenizer, messages))
    tokens = model.generate(torch.tensor([ids]), max_new_tokens=most_tokens, do_sample=False)[0, len(ids) :].tolist()
    return ExportedAnswer(
        prompt=ids,
        text=parts.tokenizer.decode(tokens, skip_special_tokens=True),
        finish_reason="stop" if tokens[-1] in parts.ends else "length",
        completion_tokens=len(tokens),
    )


def export_gguf(parts: Parts, model: Path, file: Path, precision: str) -> None:
    """Write the model of a folder as a GGUF file."""
    vocabulary = vocabulary_of(parts.tokenizer, parts.config.vocab_size, parts.ends)
    write_gguf(model, parts.config, vocabulary, file, precision=precision, name="desk")

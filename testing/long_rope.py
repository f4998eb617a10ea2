"""A tiny Phi-3 whose `longrope` switches after a few tokens, and whose answers show with which angles it reads."""

from pathlib import Path

from distill_dagster.models.building import save, train_tokenizer
from distill_dagster.models.pinning import pin_folder
from distill_dagster.models.ref import ModelRef

SWITCH = 40
SHAPE = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 160,
    "original_max_position_embeddings": SWITCH,
    "initializer_range": 0.3,
}


def write_phi3(folder: Path, texts: list[str]) -> ModelRef:
    """Random weights under a fixed seed, saved and pinned. The long angles are far from the short ones."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig

    tokenizer = train_tokenizer(texts, 400)
    ids = {"vocab_size": len(tokenizer), "pad_token_id": 0, "bos_token_id": None, "eos_token_id": 1}
    angles = {"rope_type": "longrope", "short_factor": [1.0] * 8, "long_factor": [1.0 + 3 * i for i in range(8)]}
    config = AutoConfig.for_model("phi3", **SHAPE, **ids, rope_parameters={**angles, "rope_theta": 10000.0})
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    model.generation_config = GenerationConfig(eos_token_id=1, pad_token_id=0)
    save(model, tokenizer, folder)
    return pin_folder(folder, name=folder.name)

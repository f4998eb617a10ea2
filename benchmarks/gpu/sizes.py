"""What is measured: the models, and how much work each part gets.

100M    Llama, hidden 768, 12 layers, 12 heads                  110 million weights
1B      Llama 3.2 1B's shape with a smaller vocabulary          1.04 billion weights
tiny    hidden 64, 2 layers: does every part run? (`--small`)

Head and embeddings share their weights, so every weight takes part in a matrix product.
"""

from dataclasses import dataclass

from distill_dagster.config import ModelConfig


@dataclass(frozen=True, slots=True)
class Size:
    """A model and the work that it gets; lengths are in tokens, but for `words`."""

    model: ModelConfig
    rows: int  # answered by each engine, read for their distributions, and trained on
    validation: int  # rows
    held_out: int  # rows of the benchmark
    words: int  # different ones in the rows; the tokenizer is trained on them
    prompt_words: int  # median
    answer_words: int  # median
    max_new_tokens: int
    batch_tokens: int  # held at once while decoding and reading
    batch_size: int  # rows of an optimizer step
    timed: int  # single requests of the benchmark
    loss_tokens: int  # of the loss alone
    loss_vocabulary: int
    k: int = 64


def _llama(vocab_size: int, hidden: int, inner: int, layers: int, heads: int, kv_heads: int) -> ModelConfig:
    settings: dict[str, int | float | bool | str] = {
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "max_position_embeddings": 2048,
        "tie_word_embeddings": True,
    }
    return ModelConfig(architecture="llama", settings=settings, vocab_size=vocab_size)


_WORK = {"rows": 768, "validation": 32, "held_out": 64, "words": 100_000, "prompt_words": 120, "answer_words": 80}
_LIMITS = {
    "max_new_tokens": 192,
    "batch_tokens": 65_536,
    "batch_size": 32,
    "timed": 8,
    "loss_tokens": 8_192,
    "loss_vocabulary": 151_936,
}

FULL = {
    "100M": Size(_llama(32_768, 768, 2048, 12, 12, 12), **_WORK, **_LIMITS),
    "1B": Size(_llama(32_768, 2048, 8192, 16, 32, 8), **{**_WORK, "rows": 384}, **_LIMITS),
}
SMALL = {
    "tiny": Size(
        _llama(512, 64, 128, 2, 4, 2),
        **{"rows": 16, "validation": 4, "held_out": 4, "words": 200, "prompt_words": 12, "answer_words": 8},
        **{
            "max_new_tokens": 16,
            "batch_tokens": 512,
            "batch_size": 4,
            "timed": 2,
            "loss_tokens": 64,
            "loss_vocabulary": 512,
            "k": 8,
        },
    )
}


def sizes(small: bool) -> dict[str, Size]:
    """The models by name, in the order in which they are measured."""
    return SMALL if small else FULL

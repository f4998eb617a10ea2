"""What a model's config says of the rows that it can read: how long, which tokens, and which may share a batch.

    gpt2, 1,024 learned positions            rows of at most 1,024 tokens: a longer one has no position to look up
    llama with `dynamic` rope, 2,048         rows of at most 2,048 tokens: beyond, the angles depend on all rows before
    phi3 with `longrope`, switch at 4,096    rows of up to 4,096 tokens and longer ones are read with different angles

transformers computes the angles of `longrope` for a whole batch, from its longest row. So rows on either side of the
switch never share a batch, and an answer that may cross it shares one only with prompts of its own length.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

POSITIONS = ("wpe", "pos")  # in the name of a table that a model looks its positions up in


@dataclass(frozen=True, slots=True)
class RowLimits:
    """Of a model. None: there is no such limit."""

    embedded: int | None  # token ids from this one on have no embedding
    switch: int | None  # the longest row that is read with the short angles of `longrope`

    @staticmethod
    def of(config: Any) -> "RowLimits":
        """The limits of a transformers config."""
        text = config.get_text_config()
        switches = [switch for kind, switch in _ropes(text) if kind == "longrope" and switch]
        return RowLimits(getattr(text, "vocab_size", None), min(switches, default=None))

    def reads(self, ids: Sequence[int]) -> bool:
        """Whether every token has an embedding."""
        return self.embedded is None or not ids or max(ids) < self.embedded

    def side(self, tokens: int) -> bool:
        """Whether a row of so many tokens is read with the long angles."""
        return self.switch is not None and tokens > self.switch

    def crosses(self, prompt_tokens: int, new_tokens: int) -> bool:
        """Whether an answer may begin with the short angles and go on with the long ones.

        The model never reads the last token that it generates.
        """
        return self.side(prompt_tokens + new_tokens - 1) and not self.side(prompt_tokens)


NO_LIMITS = RowLimits(None, None)


def longest_row(config: Any) -> int | None:
    """The longest row that a model of this config can be trained on; None if there is no such limit."""
    text = config.get_text_config()
    ropes = _ropes(text)
    if any("dynamic" in kind for kind, _ in ropes):
        return getattr(text, "max_position_embeddings", None)
    return None if ropes else _learned_positions(config)


def _ropes(config: Any) -> list[tuple[str, int | None]]:
    """The kind of each rotary embedding, and the row length after which `longrope` switches; [] if there is none."""
    given = getattr(config, "rope_parameters", None) or {}
    ropes = [given] if "rope_type" in given else [rope for rope in given.values() if isinstance(rope, dict)]
    switch = getattr(config, "original_max_position_embeddings", None)
    return [(rope.get("rope_type", "default"), rope.get("original_max_position_embeddings", switch)) for rope in ropes]


def _learned_positions(config: Any) -> int | None:
    """How many rows a model's table of positions has; None if it computes positions of any number."""
    import torch
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    tables = {name: module.weight for name, module in model.named_modules() if isinstance(module, torch.nn.Embedding)}
    tables |= {name: buffer for name, buffer in model.named_buffers() if buffer.ndim == 2}
    rows = [len(table) for name, table in tables.items() if any(word in name.rpartition(".")[2] for word in POSITIONS)]
    named = getattr(config.get_text_config(), "max_position_embeddings", None)
    return min([*rows, *([named] if named else [])]) if rows else None

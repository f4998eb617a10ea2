"""A model's layers, and what they compute, read by forward hooks.

    layer i      output of the i-th of L layers, counted from 1, the last before the final norm      (B, T, H)
    queries …    outputs of its query, key and value projections, with their biases, before rotary    (B, T, heads * d)
                 embeddings and before norms of single heads; one projection may give all three

    q_proj, k_proj, v_proj      Llama, Qwen, Mistral, Gemma, OPT, …; with grouped queries, k and v are narrower
    qkv_proj                    Phi-3: query heads, key heads, value heads
    c_attn                      GPT-2: three equal parts

Other projections (interleaved by head, low rank) are refused. B rows, T positions.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from distill_dagster.errors import ModelError

QKV = ("q_proj", "k_proj", "v_proj")
FUSED = {"gpt2": "c_attn", "phi3": "qkv_proj"}  # model type -> the projection that gives queries, keys and values
Seen = dict[tuple[str, int], Any]  # ("state", 3) or ("q_proj", 3) -> (B, T, width)


def layers_of(model: Any) -> Any:
    """The model's layers, a torch ModuleList.

    Raises:
        ModelError: they cannot be found.
    """
    import torch

    count = layer_count(model.config)
    lists = [part for part in model.get_decoder().children() if isinstance(part, torch.nn.ModuleList)]
    found = [part for part in lists if len(part) == count]
    if len(found) != 1:
        raise ModelError(
            f"{type(model).__name__} has {len(found)} lists of {count} layers, and one is needed to read or choose "
            "layers: use a model of another architecture"
        )
    return found[0]


def layer_count(config: Any) -> int:
    """The number of layers that a transformers config states."""
    return int(config.get_text_config().num_hidden_layers)


@dataclass(frozen=True, slots=True)
class Projections:
    """Where a layer's queries, keys and values come from: three modules, or one whose output is split."""

    modules: Sequence[Any]
    widths: tuple[int, int, int]

    def split(self, outputs: Sequence[Any]) -> Sequence[Any]:
        """Queries, keys and values from the outputs of `modules`."""
        return outputs if len(outputs) == len(QKV) else outputs[0].split(self.widths, dim=-1)


def projections_of(layer: Any, config: Any) -> Projections:
    """A layer's query, key and value projections.

    Raises:
        ModelError: the architecture has others.
    """
    named = [(name.rpartition(".")[2], module) for name, module in layer.named_modules()]
    own = [[module for name, module in named if name == wanted] for wanted in QKV]
    if all(len(found) == 1 for found in own):
        q, k, v = modules = [found[0] for found in own]
        return Projections(modules, (width_of(q), width_of(k), width_of(v)))
    text = config.get_text_config()
    fused = [module for name, module in named if name == FUSED.get(text.model_type)]
    if len(fused) != 1:
        raise ModelError(
            f"the queries, keys and values of {text.model_type} cannot be read: its layers have no {', '.join(QKV)}, "
            "so remove `relations`, or use a model of another architecture"
        )
    return Projections(fused, _fused_widths(text, width_of(fused[0])))


def _fused_widths(config: Any, width: int) -> tuple[int, int, int]:
    heads = config.num_attention_heads
    groups = getattr(config, "num_key_value_heads", None) or heads
    size = width // (heads + 2 * groups)
    return heads * size, groups * size, groups * size


def width_of(module: Any) -> int:
    """The number of outputs of a linear layer; GPT-2's own kind calls it `nf`."""
    return int(getattr(module, "out_features", None) or module.nf)


class Recorder:
    """Keeps what some layers of a model give in a forward pass.

    Example:
        >>> with Recorder(model, states=[2, 4], projections=[4]) as recorder, recorder.recording() as seen:
        ...     model(ids)
        >>> seen["state", 4].shape, seen["q_proj", 4].shape
        ((2, 9, 64), (2, 9, 64))

    Outside of `recording` nothing is kept, such as during validation, or when gradient checkpointing computes a layer
    again.
    """

    def __init__(self, model: Any, states: Sequence[int], projections: Sequence[int]) -> None:
        self._layers, self._config = layers_of(model), model.config
        self._states, self._projections = states, projections
        self._handles: list[Any] = []
        self._seen: Seen | None = None

    def __enter__(self) -> "Recorder":
        for i in self._states:
            self._handles.append(self._layers[i - 1].register_forward_hook(self._keep_state(i)))
        for i in self._projections:
            found = projections_of(self._layers[i - 1], self._config)
            for place, module in enumerate(found.modules):
                self._handles.append(module.register_forward_hook(self._keep_projection(i, place, found)))
        return self

    def __exit__(self, *_: Any) -> None:
        while self._handles:
            self._handles.pop().remove()

    @contextlib.contextmanager
    def recording(self) -> Iterator[Seen]:
        """What the layers give inside the block."""
        self._seen = {}
        try:
            yield self._seen
        finally:
            self._seen = None

    def _keep_state(self, layer: int) -> Any:
        def hook(_: Any, __: Any, output: Any) -> None:
            if self._seen is not None:
                self._seen["state", layer] = output[0] if isinstance(output, tuple) else output

        return hook

    def _keep_projection(self, layer: int, place: int, found: Projections) -> Any:
        def hook(_: Any, __: Any, output: Any) -> None:
            if self._seen is None:
                return
            if len(found.modules) == len(QKV):
                self._seen[QKV[place], layer] = output
            else:
                for name, part in zip(QKV, found.split([output]), strict=True):
                    self._seen[name, layer] = part

        return hook


def require_divisible(widths: Mapping[str, tuple[int, int, int]], heads: int) -> None:
    """Refuse relation heads that do not divide the widths of queries, keys and values; `widths` are by model.

    Raises:
        ModelError: they do not; the message names numbers that would.
    """
    import math

    every = [width for three in widths.values() for width in three]
    if any(width % heads for width in every):
        common = math.gcd(*every)
        fitting = [n for n in range(1, common + 1) if common % n == 0]
        named = ", ".join(f"{model} {'/'.join(map(str, three))}" for model, three in widths.items())
        raise ModelError(
            f"`relations.heads: {heads}` does not divide the widths of queries, keys and values ({named}): use one of "
            f"{', '.join(map(str, fitting))}"
        )

"""A student that is cut out of its teacher: some of its layers, and fewer neurons of their feed-forward parts.

    layers     the first and the last, and between them evenly spaced ones, or those of the highest Block Influence
               1 - E cos(h_in, h_out) (ShortGPT, arXiv 2403.03853, section 3.1): a layer that turns its input little
               can be spared
    neurons    those with the largest root mean square of what goes into the second matrix (Minitron,
               arXiv 2407.14679, section 2.2, which compares such norms)

    teacher of 12 layers, {layers: 4}     1, 5, 8, 12

Both are measured in one pass over training prompts; padding does not count. Layers are counted from 1. B rows,
T positions, H width of the states, F neurons.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from distill_dagster.config import StudentInitConfig
from distill_dagster.errors import ModelError
from distill_dagster.models.layers import layer_count, layers_of

FEED_FORWARD = {  # matrices that give the neurons, and the one that reads them
    "down_proj": ("gate_proj", "up_proj", "gate_up_proj"),
    "c_proj": ("c_fc",),
    "fc2": ("fc1",),
}
WIDTHS = ("intermediate_size", "n_inner", "ffn_dim")  # names of F in a config


@dataclass(frozen=True, slots=True)
class FeedForward:
    """A layer's feed-forward part: the modules that write its neurons, and the one that reads them."""

    writers: dict[str, Any]
    reader: Any
    width: int


def require_cuttable(init: StudentInitConfig, teacher: Any) -> None:
    """Refuse a cut that the teacher's shape does not allow; its weights may be on the meta device.

    Raises:
        ModelError: it has fewer layers or neurons, or parts that cannot be cut.
    """
    layers = layers_of(teacher)
    if init.layers > len(layers):
        raise ModelError(
            f"`student.init.layers` is {init.layers}, and the teacher has {len(layers)} layers: set it to at most "
            f"{len(layers)}"
        )
    if init.feed_forward is None:
        return
    width = min(feed_forward_of(layer, teacher.config).width for layer in layers)
    if init.feed_forward > width:
        raise ModelError(
            f"`student.init.feed_forward` is {init.feed_forward:,}, and the teacher's feed-forward layers have "
            f"{width:,} neurons: set it to at most {width}"
        )


def feed_forward_of(layer: Any, config: Any) -> FeedForward:
    """A layer's feed-forward part; ModelError if it has another form, such as experts."""
    named = {name.rpartition(".")[2]: module for name, module in layer.named_modules() if "attn" not in name}
    for reader, names in FEED_FORWARD.items():
        writers = {name: named[name] for name in names if name in named}
        width = next((int(getattr(config, name)) for name in WIDTHS if getattr(config, name, None)), 0)
        width = width or 4 * config.hidden_size  # GPT-2's, where `n_inner` is null
        if reader in named and writers and not any("expert" in name for name, _ in layer.named_modules()):
            return FeedForward(writers, named[reader], width)
    raise ModelError(
        f"the feed-forward layers of {config.model_type} cannot be cut: remove `student.init.feed_forward`, or use a "
        "teacher of another architecture"
    )


def spaced(count: int, layers: int) -> list[int]:
    """`count` of `layers` layers, evenly spaced from the first to the last."""
    return [1 + (2 * i * (layers - 1) + count - 1) // (2 * (count - 1)) for i in range(count)]


def most_influential(count: int, influence: Sequence[float]) -> list[int]:
    """The first and the last layer, and the most influential ones between them; of equal ones the earlier."""
    between = sorted(range(2, len(influence)), key=lambda layer: (-influence[layer - 1], layer))
    return sorted([1, *between[: count - 2], len(influence)])


def cut_config(init: StudentInitConfig, teacher: Any, chosen: Sequence[int] | None = None) -> Any:
    """The teacher's transformers config with the student's number of layers, also in lists with an entry for each."""
    config, layers = copy.deepcopy(teacher), layer_count(teacher)
    text = config.get_text_config()
    kept = chosen or spaced(init.layers, layers)
    for name, value in list(vars(text).items()):
        if "layer" in name and isinstance(value, list) and len(value) == layers:  # such as `layer_types`
            setattr(text, name, [value[i - 1] for i in kept])
    text.num_hidden_layers = len(kept)
    if init.feed_forward is not None:
        name = next(name for name in WIDTHS if hasattr(text, name))
        setattr(text, name, init.feed_forward)
    return config

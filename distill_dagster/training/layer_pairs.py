"""Which student layer imitates which teacher layer.

6 student layers, 24 teacher layers, evenly spaced     [[1, 4], [2, 8], [3, 12], [4, 16], [5, 20], [6, 24]]
"""

from typing import Any

from distill_dagster.config.hidden import HiddenSignalConfig
from distill_dagster.errors import ModelError
from distill_dagster.models.layers import layer_count, layers_of, projections_of, require_divisible


def spaced_pairs(student: int, teacher: int) -> list[list[int]]:
    """Every one of `student` layers, with evenly spaced ones of `teacher` layers; the last with the last."""
    return [[i, max(1, (2 * i * teacher + student) // (2 * student))] for i in range(1, student + 1)]


def with_pairs(config: HiddenSignalConfig, student: Any, teacher: Any) -> HiddenSignalConfig:
    """The config with all of its layer pairs written out, for models with these transformers configs.

    Raises:
        ModelError: a model has no such layer.
    """
    layers = layer_count(student), layer_count(teacher)
    pairs = spaced_pairs(*layers) if config.layers is None else config.layers
    _require_layers("layers", pairs, layers)
    relations = config.relations
    if relations is not None:
        chosen = relations.layers or [list(layers)]
        _require_layers("relations.layers", chosen, layers)
        relations = relations.model_copy(update={"layers": chosen})
    return config.model_copy(update={"layers": pairs, "relations": relations})


def _require_layers(name: str, pairs: list[list[int]], layers: tuple[int, int]) -> None:
    for pair in pairs:
        for role, layer, count in zip(("student", "teacher"), pair, layers, strict=True):
            if layer > count:
                raise ModelError(
                    f"`student.training.hidden.{name}` pairs {pair[0]} with {pair[1]}, and the {role} has {count} "
                    f"layers: name a {role} layer from 1 to {count}"
                )


def require_readable(config: HiddenSignalConfig, student: Any, teacher: Any) -> None:
    """Refuse models whose layers or relations cannot be read; their weights may be on the meta device.

    Raises:
        ModelError: which of them, why, and the way out.
    """
    models = {"student": student, "teacher": teacher}
    layers = {role: layers_of(model) for role, model in models.items()}
    if (relations := config.relations) is None:
        return
    assert relations.layers is not None, "`with_pairs` writes them out"
    for pair in relations.layers:
        places = dict(zip(models, pair, strict=True))
        widths = {role: projections_of(layers[role][i - 1], models[role].config).widths for role, i in places.items()}
        require_divisible(widths, relations.heads)

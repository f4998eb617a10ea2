"""Cuts a student out of its teacher (cutting.py says how) and writes it: `student_base` with `student.init`.

    model/        the chosen layers, with the teacher's embeddings, norms, head and tokenizer
    manifest      cut: {layers: [1, 5, 8, 12], of: 12, choose: spaced, …}

With all layers and all neurons the student is the teacher, to the bit.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from distill_dagster.config import StudentInitConfig
from distill_dagster.errors import ModelError
from distill_dagster.models.building import parameter_count, write_model
from distill_dagster.models.layers import layers_of, width_of
from distill_dagster.models.loading import open_model, stored_dtype, stored_dtype_name
from distill_dagster.models.tokenizer import open_tokenizer
from distill_dagster.training.cutting import cut_config, feed_forward_of, most_influential, require_cuttable, spaced
from distill_dagster.training.measured import Measured, training_prompts
from distill_dagster.training.specs import Cut, PrepareCounts, PrepareResult, PrepareSpec


def cut_student(spec: PrepareSpec, device: str) -> PrepareResult:
    """Write the student that `spec.init` describes into `spec.out`.

    Raises:
        ModelError: the teacher cannot be loaded, or cannot be cut so.
        TrainingError: no training prompt can be read to measure it.
    """
    init, ref = spec.init, spec.cut_from
    assert init is not None
    assert ref is not None, "a spec with `init` names the teacher"
    folder = Path(ref.path)
    tokenizer, teacher = open_tokenizer(folder, spec.use.prompt_date), open_model(folder, "float32")
    require_cuttable(init, teacher)
    measured, counts = Measured(teacher), {}
    if init.measures:
        rows, unread = training_prompts(spec.rows, tokenizer, teacher.config, init.prompts)
        measured.read(rows, device, tokenizer.pad_token_id)
        counts = {"measured_prompts": len(rows), "unread_prompts": unread}
    chosen = choose(init, measured)
    student = cut(teacher, init, chosen, measured).to(stored_dtype(folder))
    made = write_model(student, tokenizer, Path(spec.out), name=f"{ref.name}-{init.layers}-layers", dtype=ref.dtype)
    size = {"parameters": parameter_count(student), "vocabulary": len(tokenizer)}
    return PrepareResult(
        data_version=made.version,
        counts=PrepareCounts(**size, **counts),
        name=made.name,
        origin="cut",
        dtype=stored_dtype_name(Path(made.path)),
        cut=Cut(
            teacher=ref.name,
            revision=ref.revision,
            layers=chosen,
            of=len(layers_of(teacher)),
            choose=init.choose,
            influence=measured.influence if init.measures else None,
            feed_forward=init.feed_forward,
        ),
    )


def choose(init: StudentInitConfig, measured: Measured) -> list[int]:
    """The layers to keep, counted from 1."""
    if init.choose == "spaced":
        return spaced(init.layers, len(measured.layers))
    return most_influential(init.layers, measured.influence)


def cut(teacher: Any, init: StudentInitConfig, chosen: Sequence[int], measured: Measured) -> Any:
    """The student of these layers; the teacher's weights are used up if neurons are cut."""
    config = cut_config(init, teacher.config, chosen)
    layers = layers_of(teacher)
    if init.feed_forward is not None:
        for i in chosen:
            part = feed_forward_of(layers[i - 1], teacher.config)
            if init.feed_forward < part.width:
                _keep_neurons(part, measured.neurons(i, init.feed_forward))
    (prefix,) = [f"{name}." for name, module in teacher.named_modules() if module is layers]
    places = {i - 1: place for place, i in enumerate(chosen)}
    state = dict(_moved(teacher.state_dict(), prefix, places))
    try:
        with torch.random.fork_rng(devices=[]):
            student = AutoModelForCausalLM.from_config(config, dtype=torch.float32, trust_remote_code=False)
        student.load_state_dict(state, strict=True)
    except (RuntimeError, ValueError, TypeError, KeyError, IndexError) as e:
        raise ModelError(
            f"layers {', '.join(map(str, chosen))} of the teacher make no model of type {config.model_type!r}, whose "
            f"layers differ by their place: choose other layers, or a teacher of another architecture "
            f"({' '.join(str(e).split())[:300]})"
        ) from e
    student.generation_config = teacher.generation_config
    return student


def _moved(state: dict[str, Any], prefix: str, places: dict[int, int]) -> Iterator[tuple[str, Any]]:
    """The weights of the kept layers under their new places, and all that belong to no layer."""
    for name, weight in state.items():
        if not name.startswith(prefix):
            yield name, weight
            continue
        number, _, rest = name.removeprefix(prefix).partition(".")
        if int(number) in places:
            yield f"{prefix}{places[int(number)]}.{rest}", weight


def _keep_neurons(part: Any, kept: torch.Tensor) -> None:
    """Cut the matrices of a feed-forward part, in place."""
    for module in part.writers.values():
        _keep(module, torch.cat([kept, kept + part.width]) if _writes_two(module, part) else kept, outputs=True)
    _keep(part.reader, kept, outputs=False)


def _writes_two(module: Any, part: Any) -> bool:
    """Whether a matrix gives gates and neurons, one behind the other, as Phi-3's does."""
    return width_of(module) == 2 * part.width


def _keep(module: Any, kept: torch.Tensor, *, outputs: bool) -> None:
    """Keep some outputs, or inputs, of a linear layer; GPT-2's own kind stores (inputs, outputs)."""
    stores_inputs_first = hasattr(module, "nf")
    dim = 0 if outputs != stores_inputs_first else 1
    module.weight = torch.nn.Parameter(module.weight.detach().index_select(dim, kept))
    if outputs and module.bias is not None:
        module.bias = torch.nn.Parameter(module.bias.detach()[kept])

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
from distill_dagster.errors import ModelError, TrainingError
from distill_dagster.models.building import parameter_count, write_model
from distill_dagster.models.layers import layers_of
from distill_dagster.models.loading import open_model, stored_dtype, stored_dtype_name
from distill_dagster.models.rendering import RenderError, encode, render_prompt
from distill_dagster.models.row_limits import RowLimits, longest_row
from distill_dagster.models.tokenizer import open_tokenizer
from distill_dagster.store import parquet
from distill_dagster.tasks.prompts import prompts_of
from distill_dagster.training.cutting import cut_config, feed_forward_of, most_influential, require_cuttable, spaced
from distill_dagster.training.specs import Cut, PrepareCounts, PrepareResult, PrepareSpec

BATCH_TOKENS = 8192  # padded tokens that are read at once


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
        rows, unread = _prompts(spec.rows, tokenizer, teacher.config, init.prompts)
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


def choose(init: StudentInitConfig, measured: "Measured") -> list[int]:
    """The layers to keep, counted from 1."""
    if init.choose == "spaced":
        return spaced(init.layers, len(measured.layers))
    return most_influential(init.layers, measured.influence)


class Measured:
    """What each of a model's layers does to what it reads, over prompts."""

    def __init__(self, model: Any) -> None:
        self.model, self.layers = model, layers_of(model)
        self._cosines = torch.zeros(len(self.layers), dtype=torch.float64)
        self._activity: list[Any] = [0.0] * len(self.layers)  # sums of squares (F,)
        self._tokens = 0
        self._real = torch.zeros(0)  # (B, T) of the present batch

    @property
    def influence(self) -> list[float]:
        """Each layer's Block Influence."""
        return (1 - self._cosines / max(1, self._tokens)).tolist()

    def neurons(self, layer: int, count: int) -> torch.Tensor:
        """The `count` most active neurons of a layer, in their order; of equal ones the first."""
        order = torch.sort(self._activity[layer - 1], descending=True, stable=True).indices
        return order[:count].sort().values

    def read(self, rows: Sequence[list[int]], device: str, pad: int) -> None:
        """Let the model read these token ids."""
        self.model.to(device).eval()
        handles = [layer.register_forward_hook(self._at(i), with_kwargs=True) for i, layer in enumerate(self.layers)]
        handles += [reader.register_forward_pre_hook(self._active(i)) for i, reader in self._readers()]
        try:
            with torch.no_grad():
                for ids, real in _batches(rows, RowLimits.of(self.model.config), device, pad):
                    self._real, self._tokens = real, self._tokens + int(real.sum())
                    self.model.get_decoder()(input_ids=ids, use_cache=False)
        finally:
            for handle in handles:
                handle.remove()
            self.model.to("cpu")

    def _readers(self) -> Iterator[tuple[int, Any]]:
        """The module that reads each layer's neurons; none if they cannot be told, which only a cut of them needs."""
        for i, layer in enumerate(self.layers):
            try:
                yield i, feed_forward_of(layer, self.model.config).reader
            except ModelError:
                return

    def _at(self, i: int) -> Any:
        def hook(_: Any, args: Any, kwargs: Any, output: Any) -> None:
            before = args[0] if args else kwargs["hidden_states"]
            after = output[0] if isinstance(output, tuple) else output
            cosine = torch.nn.functional.cosine_similarity(before.double(), after.double(), dim=-1)  # (B, T)
            self._cosines[i] += (cosine * self._real).sum().cpu()

        return hook

    def _active(self, i: int) -> Any:
        def hook(_: Any, args: Any) -> None:
            self._activity[i] = (
                self._activity[i] + (args[0].double().square() * self._real[..., None]).sum((0, 1)).cpu()
            )

        return hook


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
    return (module.nf if hasattr(module, "nf") else module.out_features) == 2 * part.width


def _keep(module: Any, kept: torch.Tensor, *, outputs: bool) -> None:
    """Keep some outputs, or inputs, of a linear layer; GPT-2's own kind stores (inputs, outputs)."""
    stores_inputs_first = hasattr(module, "nf")
    dim = 0 if outputs != stores_inputs_first else 1
    module.weight = torch.nn.Parameter(module.weight.detach().index_select(dim, kept))
    if outputs and module.bias is not None:
        module.bias = torch.nn.Parameter(module.bias.detach()[kept])


def _prompts(paths: Sequence[str], tokenizer: Any, config: Any, most: int) -> tuple[list[list[int]], int]:
    """Token ids of at most `most` training prompts, evenly spaced among all, and how many the model cannot read."""
    rows = [row for path in paths for row in parquet.read_table(Path(path)) if row["split"] == "train"]
    prompts = [prompt.messages for row in rows for prompt in prompts_of(row)]
    limits, longest, found = RowLimits.of(config), longest_row(config), []
    count = min(most, len(prompts))
    for messages in (prompts[i * len(prompts) // count] for i in range(count)):
        try:
            ids = encode(tokenizer, render_prompt(tokenizer, messages))
        except RenderError:
            continue
        if limits.reads(ids) and len(ids) <= (longest or len(ids)):
            found.append(ids)
    if not found:
        raise TrainingError(
            f"`student.init` measures the teacher over training prompts, and it can read 0 of {len(prompts):,}: use "
            "`choose: spaced` without `feed_forward`, or add training rows"
        )
    return found, count - len(found)


def _batches(
    rows: Sequence[list[int]], limits: RowLimits, device: str, pad: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Token ids and which of them are real (B, T), padded on the right; rows of like length, on a switch's one side."""
    batch: list[list[int]] = []
    for row in sorted(rows, key=len):
        if batch and (
            len(row) * (len(batch) + 1) > BATCH_TOKENS or limits.side(len(row)) != limits.side(len(batch[0]))
        ):
            yield _padded(batch, device, pad)
            batch = []
        batch.append(row)
    if batch:
        yield _padded(batch, device, pad)


def _padded(batch: Sequence[list[int]], device: str, pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    width = max(map(len, batch))
    ids = torch.tensor([[*row, *[pad] * (width - len(row))] for row in batch], device=device)
    real = torch.arange(width, device=device) < torch.tensor([[len(row)] for row in batch], device=device)
    return ids, real

"""Resolve a model or build it, and fit it to gold answers if asked: `teacher_model` and `student_base`.

{name: /models/llama}                     -> model.json that points to the folder, and its revision
{architecture: llama, settings: …}        -> model/ with a tokenizer and random weights
{name: /models/llama-Q8_0.gguf}           -> model/ with its dequantized weights
either of them, with `fit`                -> model/ trained on the gold answers of the training rows
{endpoint: {url: …, model: …}}            -> model.json that names the endpoint; no request is sent
`student.init`                            -> model/ with some of the teacher's layers (cut.py)

A teacher's folder also holds faculty.json: all the models that answer, with their revisions. Every model is checked
against its tokenizer and its use first, and with the teacher its student and whether the student can learn from it
(pairing/), which would be found only after the teacher was paid.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import PreTrainedModel

from distill_dagster.config import ModelConfig, TrainingConfig
from distill_dagster.errors import ModelError, TrainingError
from distill_dagster.models.building import build, parameter_count, short_name, train_tokenizer, write_model
from distill_dagster.models.fitness import Parts, require_fit
from distill_dagster.models.gguf_file import gguf_of, read_gguf_model, read_gguf_tokenizer, written_dtype
from distill_dagster.models.loading import open_model, stored_dtype, stored_dtype_name
from distill_dagster.models.pinning import pin
from distill_dagster.models.ref import ModelRef, read_ref, write_ref
from distill_dagster.models.rendering import end_ids
from distill_dagster.models.row_limits import RowLimits
from distill_dagster.models.tokenizer import open_tokenizer, prepare_tokenizer
from distill_dagster.quality.duplicates.prompt_keys import contamination_key
from distill_dagster.store import hashing, parquet
from distill_dagster.store.disk import file_sha256
from distill_dagster.tasks.custom_metrics import open_metrics
from distill_dagster.teachers.faculty import faculty_version, pin_faculty, pin_source, write_faculty
from distill_dagster.training.adapter import finish_weights, prepare_weights
from distill_dagster.training.curves import open_curves
from distill_dagster.training.cut import cut_student
from distill_dagster.training.examples import TrainingSet, gold_examples, most_tokens, tokenize
from distill_dagster.training.history import thinned, write_history
from distill_dagster.training.loop import train
from distill_dagster.training.pairing import require_pairing
from distill_dagster.training.signals.text import TextSignal
from distill_dagster.training.specs import Origin, PrepareCounts, PrepareResult, PrepareSpec


@dataclass(frozen=True, slots=True)
class OpenModel:
    """An existing model or a new one, on the CPU, before it is fitted or written."""

    model: PreTrainedModel
    tokenizer: Any  # transformers.PreTrainedTokenizerBase
    ref: ModelRef  # of a new model without a path, since its files are not written yet
    dtype: Any  # torch.dtype that its weights are written in

    def size(self) -> dict[str, int]:
        """Its counts for the manifest."""
        return {"parameters": parameter_count(self.model), "vocabulary": len(self.tokenizer)}


def prepare_model(spec: PrepareSpec, device: str) -> PrepareResult:
    """Write `model.json` into `spec.out`, and `model/` beside it when the model is new or fitted.

    Raises:
        ModelError: the model does not exist, cannot be built, or is unfit for its use; or the teacher's student is,
            or cannot learn from this teacher.
        TrainingError: it is to be fitted and no training row has a gold answer, or the loss is no longer finite.
    """
    _check(spec)
    if spec.init is not None:
        return cut_student(spec, device)
    result = _pin_sources(spec) if spec.model is None else _prepare(spec, spec.model, device)
    if spec.role != "teacher":
        return result
    day = spec.use.prompt_date
    own = [(weight, pin_source(source, day)) for weight, source in spec.sources]
    faculty = pin_faculty(own or [(1.0, read_ref(Path(spec.out)))], spec.panel, spec.judge, day)
    write_faculty(Path(spec.out), faculty)
    return result.model_copy(update={"data_version": faculty_version(faculty)})


def _check(spec: PrepareSpec) -> None:
    """Refuse models that are unfit, and metrics that do not work, before any is fetched, fitted or asked."""
    open_metrics(spec.metrics)
    if spec.model is not None:
        require_fit(spec.model, spec.use)
    answering = [*(source for _, source in spec.sources), *spec.panel, *([spec.judge] if spec.judge else [])]
    for source in answering:
        if source.model is not None:
            require_fit(source.model, spec.use.model_copy(update={"trains": False}))
    if spec.pairing is not None:
        if spec.pairing.student is not None:
            require_fit(spec.pairing.student, spec.pairing.use, "student.model")
        require_pairing(spec.pairing)


def _prepare(spec: PrepareSpec, config: ModelConfig, device: str) -> PrepareResult:
    """Pin the model, or open it to fit it or to write it."""
    if config.name is not None and spec.fit is None and gguf_of(config.name) is None:
        ref = pin(config, spec.use.prompt_date)
        write_ref(Path(spec.out), ref)
        return _pinned(ref, "existing", {"parameters": ref.parameters})
    opened = _open(spec, config)
    if config.architecture and spec.pairing is not None:
        ends = end_ids(opened.tokenizer, opened.model.generation_config)
        require_pairing(spec.pairing, Parts(opened.ref.name, opened.model.config, opened.tokenizer, ends))
    if spec.fit is not None:
        return _fit(spec, config, spec.fit, opened, device)
    size, model = opened.size(), opened.model.to(opened.dtype)
    ref = write_model(model, opened.tokenizer, Path(spec.out), name=opened.ref.name, dtype=config.dtype)
    return _pinned(ref, "built" if config.architecture else "dequantized", size)


def _pin_sources(spec: PrepareSpec) -> PrepareResult:
    """Pin the first of several teachers, or the endpoint; the result and model.json describe it for all of them."""
    ref = pin_source(spec.sources[0][1], spec.use.prompt_date)
    write_ref(Path(spec.out), ref)
    return _pinned(ref, "endpoint" if ref.endpoint else "existing", {"parameters": ref.parameters})


def _pinned(ref: ModelRef, origin: Origin, counts: dict[str, int]) -> PrepareResult:
    dtype = stored_dtype_name(Path(ref.path)) if ref.path else "not known"
    return PrepareResult(
        data_version=ref.version, counts=PrepareCounts(**counts), name=ref.name, origin=origin, dtype=dtype
    )


def _open(spec: PrepareSpec, config: ModelConfig) -> OpenModel:
    """The model that is fitted or written: an existing one, or a new one with random weights."""
    day = spec.use.prompt_date
    if config.name is None:
        return _build(spec, config)
    if file := gguf_of(config.name):
        return _dequantize(file, config, day)
    ref = pin(config, day)
    folder = Path(ref.path)
    dtype = spec.fit.weights if spec.fit else "float32"
    return OpenModel(open_model(folder, dtype), open_tokenizer(folder, day), ref, stored_dtype(folder))


def _build(spec: PrepareSpec, config: ModelConfig) -> OpenModel:
    tokenizer = (
        open_tokenizer(Path(spec.tokenizer_of), spec.use.prompt_date)
        if spec.tokenizer_of is not None
        else train_tokenizer(_texts(spec.rows), config.vocab_size)
    )
    model = build(config, tokenizer)
    parameters = parameter_count(model)
    name = short_name(str(config.architecture), parameters)
    made_of = hashing.canonical_json([config.model_dump(), hashing.sha256(tokenizer.backend_tokenizer.to_str())])
    ref = ModelRef(name=name, revision=hashing.sha256(made_of), parameters=parameters)
    return OpenModel(model, tokenizer, ref, torch.float32)


def _dequantize(file: Path, config: ModelConfig, day: date | None) -> OpenModel:
    """A GGUF file's model; its revision is the file's hash."""
    revision = file_sha256(file)
    if config.revision not in (None, revision):
        raise ModelError(
            f"{file} is pinned to revision {config.revision} and hashes to {revision}: remove `revision` to use the "
            "file as it is, or restore the pinned one"
        )
    model = read_gguf_model(file)
    tokenizer = prepare_tokenizer(read_gguf_tokenizer(file), model.config, file, day)
    ref = ModelRef(name=file.stem, revision=revision, parameters=parameter_count(model))
    return OpenModel(model, tokenizer, ref, written_dtype(file))


def _texts(paths: list[str]) -> Iterator[str]:
    """What a tokenizer is trained on: messages and gold answers of the training rows, never of held-out ones."""
    for path in paths:
        for row in parquet.read_table(Path(path), columns=["split", "messages", "reference"]):
            if row["split"] == "train":
                yield from (message["content"] for message in row["messages"])
                yield from row["reference"] or ()


def _fit(spec: PrepareSpec, config: ModelConfig, fit: TrainingConfig, start: OpenModel, device: str) -> PrepareResult:
    """Train the model on gold answers and write it, in the precision that an existing model is stored in."""
    data, left_out = _gold_set(spec, start, most_tokens(fit, start.model))
    trained, tokenizer, out = prepare_weights(start.model, fit), start.tokenizer, Path(spec.out)
    signal = TextSignal.of(fit, tokenizer.pad_token_id)
    with open_curves(spec.tensorboard) as curves:
        run = train(
            *(trained, tokenizer, data, fit, signal),
            device=device,
            work=Path(spec.work),
            start_revision=start.ref.revision,
            label=f"fit {spec.role} {start.ref.name}",
            callbacks=curves,
        )
    model = finish_weights(trained, start.dtype, out, start.ref)
    ref = write_model(model, tokenizer, out, name=start.ref.name, dtype=config.dtype)
    write_history(out, run.history)
    counted = {**data.counts, **left_out, "train_tokens": data.train_tokens, "steps": run.steps}
    return PrepareResult(
        data_version=ref.revision,
        counts=PrepareCounts(**counted, **start.size()),
        name=start.ref.name,
        origin="fitted",
        dtype=run.dtype,
        base_revision=start.ref.revision,
        fit=thinned(run),
    )


def _gold_set(spec: PrepareSpec, start: OpenModel, max_length: int) -> tuple[TrainingSet, dict[str, int]]:
    """The tokenized gold answers, and how many prompts and rows were left out, by reason."""
    rows, contaminated = _clean_rows(spec)
    examples, without_gold = gold_examples(rows)
    if not any(example["split"] == "train" for example in examples):
        raise TrainingError(
            f"the {spec.role} is to be fitted and 0 of {len(examples) + without_gold:,} prompts are for training "
            "and have a gold answer: add references to the training files, or remove `fit` and name a model "
            "that can answer"
        )
    ends = end_ids(start.tokenizer, start.model.generation_config)
    limits = RowLimits.of(start.model.config)
    data = tokenize(Dataset.from_list(examples), start.tokenizer, ends, max_length, limits)
    return data, {"no_gold": without_gold, "contaminated": contaminated}


def _clean_rows(spec: PrepareSpec) -> tuple[list[dict[str, Any]], int]:
    """The rows to fit to, and how many were left out because a held-out row has the same prompt."""
    rows = [row for path in spec.rows for row in parquet.read_table(Path(path))]
    if spec.held_out is None:
        return rows, 0
    held_out = {contamination_key(row) for row in parquet.read_table(Path(spec.held_out))}
    clean = [row for row in rows if contamination_key(row) not in held_out]
    return clean, len(rows) - len(clean)

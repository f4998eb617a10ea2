"""Resolve a model or build it, and fit it to gold answers if asked: `teacher_model` and `student_base`.

{name: /models/llama}                     -> model.json that points to the folder, and its revision
{architecture: llama, settings: …}        -> model/ with a tokenizer and random weights
either of them, with `fit`                -> model/ trained on the gold answers of the training rows
{endpoint: {url: …, model: …}}            -> model.json that names the endpoint; no request is sent

A teacher's folder also holds faculty.json: all the models that answer, with their revisions.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from datasets import Dataset
from transformers import PreTrainedModel

from distill_dagster.config import ModelConfig, TrainingConfig
from distill_dagster.errors import ModelError, TrainingError
from distill_dagster.models.building import build, parameter_count, short_name, train_tokenizer, write_model
from distill_dagster.models.loading import open_model, open_tokenizer, stored_dtype, stored_dtype_name
from distill_dagster.models.own_code import refuse_own_code
from distill_dagster.models.pinning import pin
from distill_dagster.models.ref import ModelRef, read_ref, write_ref
from distill_dagster.models.rendering import end_ids
from distill_dagster.quality.duplicates.prompt_keys import contamination_key
from distill_dagster.store import hashing, parquet
from distill_dagster.teachers.faculty import faculty_version, pin_faculty, pin_source, write_faculty
from distill_dagster.training.examples import TrainingSet, gold_examples, tokenize
from distill_dagster.training.history import thinned, write_history
from distill_dagster.training.loop import train
from distill_dagster.training.signals.text import TextSignal
from distill_dagster.training.specs import PrepareCounts, PrepareResult, PrepareSpec


@dataclass(frozen=True, slots=True)
class OpenModel:
    """An existing model or a new one, on the CPU in float32, before it is fitted or written."""

    model: PreTrainedModel
    tokenizer: Any  # transformers.PreTrainedTokenizerBase
    ref: ModelRef  # of a new model without a path, since its files are not written yet

    def size(self) -> dict[str, int]:
        """Its counts for the manifest."""
        return {"parameters": parameter_count(self.model), "vocabulary": len(self.tokenizer)}


def prepare_model(spec: PrepareSpec, device: str) -> PrepareResult:
    """Write `model.json` into `spec.out`, and `model/` beside it when the model is new or fitted.

    Raises:
        ModelError: the model does not exist, cannot be built, or needs its own code; or the teacher's student does.
        TrainingError: it is to be fitted and no training row has a gold answer, or the loss is no longer finite.
    """
    _refuse_student(spec.student)
    result = _pin_sources(spec) if spec.model is None else _prepare(spec, spec.model, device)
    if spec.role != "teacher":
        return result
    own = [(weight, pin_source(source)) for weight, source in spec.sources]
    faculty = pin_faculty(own or [(1.0, read_ref(Path(spec.out)))], spec.panel, spec.judge)
    write_faculty(Path(spec.out), faculty)
    return result.model_copy(update={"data_version": faculty_version(faculty)})


def _refuse_student(student: ModelConfig | None) -> None:
    """Refuse a student's folder before its teacher is paid; a model on the hub is refused when it is pinned."""
    folder = Path(student.name).expanduser() if student and student.name else None
    if folder and folder.is_dir():
        try:
            refuse_own_code(folder)
        except ModelError as e:
            raise ModelError(f"student.model: {e}") from e


def _prepare(spec: PrepareSpec, config: ModelConfig, device: str) -> PrepareResult:
    """Pin the model, or open it to fit it or to write it."""
    if config.name is not None and spec.fit is None:
        ref = pin(config)
        write_ref(Path(spec.out), ref)
        return _pinned(ref, "existing", {"parameters": ref.parameters})
    opened = _open(spec, config)
    if spec.fit is not None:
        return _fit(spec, config, spec.fit, opened, device)
    ref = write_model(opened.model, opened.tokenizer, Path(spec.out), name=opened.ref.name, dtype=config.dtype)
    return _pinned(ref, "built", opened.size())


def _pin_sources(spec: PrepareSpec) -> PrepareResult:
    """Pin the first of several teachers, or the endpoint; the result and model.json describe it for all of them."""
    ref = pin_source(spec.sources[0][1])
    write_ref(Path(spec.out), ref)
    return _pinned(ref, "endpoint" if ref.endpoint else "existing", {"parameters": ref.parameters})


def _pinned(ref: ModelRef, origin: Literal["existing", "endpoint", "built"], counts: dict[str, int]) -> PrepareResult:
    dtype = stored_dtype_name(Path(ref.path)) if ref.path else "not known"
    return PrepareResult(
        data_version=ref.revision, counts=PrepareCounts(**counts), name=ref.name, origin=origin, dtype=dtype
    )


def _open(spec: PrepareSpec, config: ModelConfig) -> OpenModel:
    """The model that is fitted or written: an existing one, or a new one with random weights."""
    if config.name is not None:
        ref = pin(config)
        return OpenModel(open_model(Path(ref.path), "float32"), open_tokenizer(Path(ref.path)), ref)
    tokenizer = (
        open_tokenizer(Path(spec.tokenizer_of))
        if spec.tokenizer_of is not None
        else train_tokenizer(_texts(spec.rows), config.vocab_size)
    )
    model = build(config, tokenizer)
    parameters = parameter_count(model)
    name = short_name(str(config.architecture), parameters)
    made_of = hashing.canonical_json([config.model_dump(), hashing.sha256(tokenizer.backend_tokenizer.to_str())])
    return OpenModel(model, tokenizer, ModelRef(name=name, revision=hashing.sha256(made_of), parameters=parameters))


def _texts(paths: list[str]) -> Iterator[str]:
    """What a tokenizer is trained on: messages and gold answers of the training rows, never of held-out ones."""
    for path in paths:
        for row in parquet.read_table(Path(path), columns=["split", "messages", "reference"]):
            if row["split"] == "train":
                yield from (message["content"] for message in row["messages"])
                yield from row["reference"] or ()


def _fit(spec: PrepareSpec, config: ModelConfig, fit: TrainingConfig, start: OpenModel, device: str) -> PrepareResult:
    """Train the model on gold answers and write it, in the precision that an existing model is stored in."""
    data, left_out = _gold_set(spec, start, fit.max_length)
    model, tokenizer, out = start.model, start.tokenizer, Path(spec.out)
    signal = TextSignal.of(fit, tokenizer.pad_token_id)
    run = train(
        *(model, tokenizer, data, fit, signal),
        device=device,
        work=Path(spec.work),
        start_revision=start.ref.revision,
        label=f"fit {spec.role} {start.ref.name}",
    )
    if config.name is not None:
        model.to(stored_dtype(Path(start.ref.path)))
    ref = write_model(model, tokenizer, out, name=start.ref.name, dtype=config.dtype)
    write_history(out, run.history)
    trained = {**data.counts, **left_out, "train_tokens": data.train_tokens, "steps": run.steps}
    return PrepareResult(
        data_version=ref.revision,
        counts=PrepareCounts(**trained, **start.size()),
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
    data = tokenize(Dataset.from_list(examples), start.tokenizer, ends, max_length)
    return data, {"no_gold": without_gold, "contaminated": contaminated}


def _clean_rows(spec: PrepareSpec) -> tuple[list[dict[str, Any]], int]:
    """The rows to fit to, and how many were left out because a held-out row has the same prompt."""
    rows = [row for path in spec.rows for row in parquet.read_table(Path(path))]
    if spec.held_out is None:
        return rows, 0
    held_out = {contamination_key(row) for row in parquet.read_table(Path(spec.held_out))}
    clean = [row for row in rows if contamination_key(row) not in held_out]
    return clean, len(rows) - len(clean)

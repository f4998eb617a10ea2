"""Resolve a model or make it, and fit it to gold answers if asked: `teacher_model` and `student_base`.

{name: /models/llama}                     -> model.json that points to the folder, and its revision
{architecture: llama, settings: …}        -> model/ with a tokenizer and random weights
either of them, with `fit`                -> model/ trained on the gold answers of the training rows
{endpoint: {url: …, model: …}}            -> model.json that names the endpoint; nothing is asked

A teacher's folder also holds faculty.json: who answers, with revisions, where there are several.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from distill_dagster.config import ModelConfig, TrainingConfig
from distill_dagster.errors import ModelError, TrainingError
from distill_dagster.models.building import build, parameter_count, short_name, train_tokenizer
from distill_dagster.models.loading import open_model, open_tokenizer, stored_dtype, stored_dtype_name
from distill_dagster.models.own_code import refuse_own_code
from distill_dagster.models.pinning import pin
from distill_dagster.models.ref import ModelRef, read_ref, write_ref
from distill_dagster.models.rendering import end_ids
from distill_dagster.quality.duplicates.prompt_keys import contamination_key
from distill_dagster.store import hashing, parquet
from distill_dagster.store.manifest import Produced
from distill_dagster.teachers.faculty import faculty_version, pin_faculty, pin_source, write_faculty
from distill_dagster.training.examples import TrainingSet, gold_examples, tokenize
from distill_dagster.training.loop import Outcome, train
from distill_dagster.training.output import training_facts, write_history, write_model
from distill_dagster.training.specs import PrepareSpec


def prepare_model(request: PrepareSpec, device: str) -> Produced:
    """Write `model.json` into `request.out`, and `model/` beside it when the model is new or fitted.

    Raises:
        ModelError: the model is not there, or cannot be built as asked; it or the teacher's student needs its own code.
        TrainingError: it is to be fitted and no training row has a gold answer, or the loss is no longer finite.
    """
    _refuse_student(request.student)
    produced = _pin_sources(request) if request.model is None else _prepare(request, request.model, device)
    if request.role != "teacher":
        return produced
    own = [(weight, pin_source(source)) for weight, source in request.sources]
    faculty = pin_faculty(own or [(1.0, read_ref(Path(request.out)))], request.panel, request.judge)
    write_faculty(Path(request.out), faculty)
    return replace(produced, data_version=faculty_version(faculty))


def _refuse_student(student: ModelConfig | None) -> None:
    """Refuse a student's folder before its teacher is paid; a model on the hub is refused when it is pinned."""
    folder = Path(student.name).expanduser() if student and student.name else None
    if folder and folder.is_dir():
        try:
            refuse_own_code(folder)
        except ModelError as e:
            raise ModelError(f"student.model: {e}") from e


def _prepare(request: PrepareSpec, config: ModelConfig, device: str) -> Produced:
    """Pin the model, or make and fit it."""
    if config.name is not None and request.fit is None:
        ref = pin(config)
        write_ref(Path(request.out), ref)
        return Produced(ref.revision, {"parameters": ref.parameters}, _pinned(ref, "existing"))
    model, tokenizer, base = _start(request, config)
    if request.fit is None:
        ref = write_model(model, tokenizer, Path(request.out), name=base.name, dtype=config.dtype)
        return Produced(ref.revision, _size(model, tokenizer), _pinned(ref, "built"))
    return _fit(request, config, model, tokenizer, base, device)


def _pin_sources(request: PrepareSpec) -> Produced:
    """The first of the teachers that are no `model` of this project's own stands for them all."""
    ref = pin_source(request.sources[0][1])
    write_ref(Path(request.out), ref)
    return Produced(
        ref.revision, {"parameters": ref.parameters}, _pinned(ref, "endpoint" if ref.endpoint else "existing")
    )


def _pinned(ref: ModelRef, origin: str) -> dict[str, Any]:
    return {"name": ref.name, "origin": origin, "dtype": stored_dtype_name(Path(ref.path)) if ref.path else "not known"}


def _size(model: Any, tokenizer: Any) -> dict[str, int]:
    return {"parameters": parameter_count(model), "vocabulary": len(tokenizer)}


def _start(request: PrepareSpec, config: ModelConfig) -> tuple[Any, Any, ModelRef]:
    """Weights, tokenizer and identity of what is fitted or published: an existing model's, or new ones."""
    if config.name is not None:
        ref = pin(config)
        return open_model(Path(ref.path), "float32"), open_tokenizer(Path(ref.path)), ref
    tokenizer = (
        open_tokenizer(Path(request.tokenizer_of))
        if request.tokenizer_of is not None
        else train_tokenizer(_texts(request.rows), config.vocab_size)
    )
    model = build(config, tokenizer)
    parameters = parameter_count(model)
    name = short_name(str(config.architecture), parameters)
    made_of = hashing.canonical_json([config.model_dump(), hashing.sha256(tokenizer.backend_tokenizer.to_str())])
    return model, tokenizer, ModelRef(path="", name=name, revision=hashing.sha256(made_of), parameters=parameters)


def _texts(paths: list[str]) -> Iterator[str]:
    """What a tokenizer is trained on: messages and gold answers of the training rows, never of held-out ones."""
    for path in paths:
        for row in parquet.read_table(Path(path), columns=["split", "messages", "reference"]):
            if row["split"] == "train":
                yield from (message["content"] for message in row["messages"])
                yield from row["reference"] or ()


def _fit(
    request: PrepareSpec, config: ModelConfig, model: Any, tokenizer: Any, base: ModelRef, device: str
) -> Produced:
    fit = request.fit
    assert fit is not None, "called where there is something to fit"
    data, left_out = _gold_set(request, model, tokenizer, fit.max_length)
    label, work = f"fit {request.role} {base.name}", Path(request.work)
    outcome = train(model, tokenizer, data, fit, device=device, work=work, base=base.revision, label=label)
    if config.name is not None:
        model.to(stored_dtype(Path(base.path)))
    ref = write_model(model, tokenizer, Path(request.out), name=base.name, dtype=config.dtype)
    write_history(Path(request.out), outcome)
    return Produced(
        ref.revision,
        _counts(data, outcome, left_out) | _size(model, tokenizer),
        _facts(base, outcome, fit, device),
    )


def _gold_set(request: PrepareSpec, model: Any, tokenizer: Any, max_length: int) -> tuple[TrainingSet, dict[str, int]]:
    from datasets import Dataset

    rows, contaminated = _clean_rows(request)
    examples, without_gold = gold_examples(rows)
    if not any(example["split"] == "train" for example in examples):
        raise TrainingError(
            f"the {request.role} is to be fitted and 0 of {len(examples) + without_gold:,} prompts are for training "
            "and have a gold answer: add references to the training files, or remove `fit` and name a model "
            "that can answer"
        )
    ends = end_ids(tokenizer, model.generation_config)
    data = tokenize(Dataset.from_list(examples), tokenizer, ends, max_length)
    return data, {"no_gold": without_gold, "contaminated": contaminated}


def _clean_rows(request: PrepareSpec) -> tuple[list[dict[str, Any]], int]:
    """The rows to fit to, and how many were left out because a held-out row asks the same."""
    rows = [row for path in request.rows for row in parquet.read_table(Path(path))]
    if request.held_out is None:
        return rows, 0
    held_out = {contamination_key(row) for row in parquet.read_table(Path(request.held_out))}
    clean = [row for row in rows if contamination_key(row) not in held_out]
    return clean, len(rows) - len(clean)


def _counts(data: TrainingSet, outcome: Outcome, left_out: dict[str, int]) -> dict[str, int]:
    return {**data.counts, **left_out, "train_tokens": data.train_tokens, "steps": outcome.steps}


def _facts(base: ModelRef, outcome: Outcome, config: TrainingConfig, device: str) -> dict[str, Any]:
    return {
        "name": base.name,
        "origin": "fitted",
        "base_revision": base.revision,
        "device": device,
        **training_facts(outcome, config, device),
    }

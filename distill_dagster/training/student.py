"""Train the student on the validated set: `examples.parquet` in, `model/`, `model.json` and `history.json` out.

examples.parquet    8,912 rows of messages and the teacher's answer, split train | validation
model/              model.safetensors, tokenizer.json, chat_template.jinja, config.json, generation_config.json
adapter/            adapter_model.safetensors, adapter_config.json, if it was trained by LoRA
history.json        [{"step": 10, "loss": 2.91, "learning_rate": 0.0004, …}, {"step": 80, "validation_loss": 1.2, …}, …]
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill_dagster.models.building import parameter_count, write_model
from distill_dagster.models.loading import open_model, stored_dtype
from distill_dagster.models.rendering import end_ids
from distill_dagster.models.row_limits import RowLimits
from distill_dagster.models.tokenizer import open_tokenizer
from distill_dagster.store.disk import file_sha256
from distill_dagster.training.adapter import finish_weights, prepare_weights
from distill_dagster.training.card import write_card
from distill_dagster.training.copying import publish_best
from distill_dagster.training.curves import open_curves
from distill_dagster.training.examples import most_tokens, read_examples, tokenize
from distill_dagster.training.history import thinned, write_history
from distill_dagster.training.loop import train
from distill_dagster.training.rounds import publish_last
from distill_dagster.training.signals import open_signal, written_out
from distill_dagster.training.specs import TrainCounts, TrainResult, TrainSpec

if TYPE_CHECKING:
    from transformers import TrainerCallback


def train_student(spec: TrainSpec, device: str, callbacks: Sequence["TrainerCallback"] = ()) -> TrainResult:
    """Train `spec.student_base` on the examples and write it into `spec.out`.

    If rounds are finished, or a sweep has a best trial, that student is only written. `callbacks` only watch the
    training or stop it.

    Raises:
        TrainingError: no row can train; nothing is written then.
        DivergedError: the loss is no longer finite; nothing is written then.
        ModelError: the model that training starts from cannot be loaded, nor the teacher if it runs beside it.
    """
    if spec.finished:
        return publish_last(spec)
    if spec.best_trial:
        return publish_best(spec)
    base, out, work = Path(spec.student_base.path), Path(spec.out), Path(spec.work)
    tokenizer = open_tokenizer(base, spec.student_base.prompt_date)
    model = open_model(base, spec.training.weights)
    spec = written_out(spec, model)
    config, signal = spec.training, open_signal(spec, model, tokenizer, work / "datasets", device)
    examples = read_examples(Path(spec.examples), work / "datasets")
    ends, limits = end_ids(tokenizer, model.generation_config), RowLimits.of(model.config)
    data = tokenize(examples, tokenizer, ends, most_tokens(config, model), limits).joined(signal.join)
    trained, start = prepare_weights(model, config), _start(spec)
    how: Any = {"device": device, "work": work, "start_revision": start, "label": _label(spec)}
    with open_curves(spec.tensorboard) as curves:
        run = train(trained, tokenizer, data, config, signal, **how, callbacks=[*curves, *callbacks])
    model = finish_weights(trained, stored_dtype(base), out, spec.student_base)
    ref = write_model(model, tokenizer, out, name=spec.name, dtype=spec.student_base.dtype)
    write_history(out, run.history)
    counts = TrainCounts(
        **data.counts, train_tokens=data.train_tokens, steps=run.steps, parameters=parameter_count(model)
    )
    write_card(spec, counts, run)
    said = thinned(run)
    said = said.model_copy(update={"training": {**said.training, "loss": config.loss}})
    return TrainResult(data_version=ref.revision, counts=counts, base=spec.student_base.name, **dict(said))


def _label(spec: TrainSpec) -> str:
    """What progress is reported under, such as `train intent, trial 3`."""
    part = f", round {spec.round}" if spec.round else "" if spec.trial is None else f", trial {spec.trial}"
    return f"train {spec.name}{part}"


def _start(spec: TrainSpec) -> str:
    """What a checkpoint belongs to besides config and rows: the weights at the start, and the teacher's side."""
    teacher = [spec.taught_by.revision] if spec.training.reads_teacher else []
    stored = [*(spec.logits if spec.training.reads_logits else []), *filter(None, [spec.rollout_logits])]
    return " ".join([spec.student_base.revision, *teacher, *(file_sha256(Path(path)) for path in stored)])

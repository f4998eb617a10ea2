"""Train the student on the validated set: `examples.parquet` in, `model/`, `model.json` and `history.json` out.

examples.parquet    8,912 rows of messages and the teacher's answer, split train | validation
model/              model.safetensors, tokenizer.json, chat_template.jinja, config.json, generation_config.json
history.json        [{"step": 10, "loss": 2.91, "learning_rate": 0.0004}, {"step": 80, "validation_loss": 1.2, …}, …]
"""

from pathlib import Path

from distill_dagster.models.building import parameter_count
from distill_dagster.models.loading import open_model, open_tokenizer, stored_dtype
from distill_dagster.models.rendering import end_ids
from distill_dagster.process import library_versions
from distill_dagster.store import files
from distill_dagster.store.manifest import Produced
from distill_dagster.training.card import CardFacts, model_card
from distill_dagster.training.examples import read_examples, tokenize
from distill_dagster.training.loop import train
from distill_dagster.training.output import training_facts, write_history, write_model
from distill_dagster.training.specs import TrainSpec


def train_student(request: TrainSpec, device: str) -> Produced:
    """Train `request.base` on the examples and write it into `request.out`.

    Raises:
        TrainingError: no row can train, or the loss is no longer finite; nothing is written then.
        ModelError: the base cannot be loaded.
    """
    base, out, work, config = Path(request.base.path), Path(request.out), Path(request.work), request.training
    tokenizer, model = open_tokenizer(base), open_model(base, "float32")
    examples = read_examples(Path(request.examples), work / "datasets")
    data = tokenize(examples, tokenizer, end_ids(tokenizer, model.generation_config), config.max_length)
    label, revision = f"train {request.name}", request.base.revision
    outcome = train(model, tokenizer, data, config, device=device, work=work, base=revision, label=label)
    model.to(stored_dtype(base))
    ref = write_model(model, tokenizer, out, name=request.name, dtype=request.base.dtype)
    write_history(out, outcome)
    counts = {
        **data.counts,
        "train_tokens": data.train_tokens,
        "steps": outcome.steps,
        "parameters": parameter_count(model),
    }
    card = CardFacts(
        *(request.name, request.task, request.teacher, request.base, config, counts),
        kept=outcome.kept,
        versions=library_versions(),
    )
    (out / files.WEIGHTS_FOLDER / "README.md").write_text(model_card(card), encoding="utf-8")
    return Produced(
        ref.revision, counts, {"base": request.base.name, "device": device, **training_facts(outcome, config, device)}
    )

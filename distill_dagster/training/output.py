"""What a training leaves behind: `model/`, `model.json`, `history.json`, and the facts for the manifest."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from distill_dagster.config import TrainingConfig
from distill_dagster.models.building import save
from distill_dagster.models.pinning import pin_folder
from distill_dagster.models.ref import ModelRef, write_ref
from distill_dagster.store import files
from distill_dagster.training.loop import Outcome

MOST_POINTS = 100


def write_model(model: Any, tokenizer: Any, out: Path, *, name: str, dtype: str) -> ModelRef:
    """Save a model into `out/model` and record it in `out/model.json`; its revision is the hash of its files."""
    folder = out / files.WEIGHTS_FOLDER
    save(model, tokenizer, folder)
    ref = pin_folder(folder, name=name, dtype=dtype).model_copy(update={"path": str(folder)})
    write_ref(out, ref)
    return ref


def write_history(out: Path, outcome: Outcome) -> None:
    """All of the training's losses as JSON."""
    (out / files.HISTORY_FILE).write_text(json.dumps(outcome.history, indent=1) + "\n", encoding="utf-8")


def training_facts(outcome: Outcome, config: TrainingConfig, device: str) -> dict[str, Any]:
    """An outcome for the manifest, with at most 100 points of its history and the config that made it."""
    facts = {**asdict(outcome), "history": thin(outcome.history), "training": config.model_dump()}
    return {**facts, "dtype": "float32 weights, bfloat16 arithmetic" if device.startswith("cuda") else "float32"}


def thin(history: list[dict[str, float]], most: int = MOST_POINTS) -> list[dict[str, float]]:
    """At most `most` points: every validation loss that fits, and training losses evenly spaced between them."""
    validation = [point for point in history if "validation_loss" in point][-most:]
    losses = [point for point in history if "loss" in point]
    room = most - len(validation)
    chosen = [losses[i * len(losses) // room] for i in range(room)] if len(losses) > room else losses
    return sorted([*validation, *chosen], key=lambda point: point["step"])

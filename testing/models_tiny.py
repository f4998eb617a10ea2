"""A model that builds in milliseconds, and rows that it can learn, for the tests of models and training."""

from collections.abc import Sequence
from pathlib import Path

from distill_dagster.config import ModelConfig
from distill_dagster.models.building import build, save, train_tokenizer
from distill_dagster.models.pinning import pin_folder
from distill_dagster.models.ref import ModelRef
from distill_dagster.store import parquet, schemas
from distill_dagster.training.record import LossPoint

LLAMA = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
TINY = ModelConfig(architecture="llama", settings={**LLAMA, "max_position_embeddings": 128}, vocab_size=400)
COLOURS = ("red", "green", "blue", "yellow")
THINGS = ("door", "cup", "car", "hat", "wall", "lamp", "shoe", "box")


def rows(count: int, split: str = "train", task: str = "qa") -> list[dict]:
    """Raw rows that name a colour and ask for it."""
    made = []
    for i in range(count):
        colour, thing = COLOURS[i % 4], THINGS[(i // 4) % 8]
        content = f"The {thing} number {i} is {colour}. Which colour?"
        made.append(raw_row(f"{split}-{i}", [{"role": "user", "content": content}], [colour], split, task))
    return made


def raw_row(row_id: str, messages: list[dict], reference: list[str], split: str = "train", task: str = "qa") -> dict:
    return {
        "row_id": row_id,
        "shard": split,
        "split": split,
        "task": task,
        "messages": messages,
        "reference": reference,
        "group": None,
        "source_line": 1,
        "meta": "{}",
    }


def write_rows(path: Path, table: list[dict]) -> str:
    parquet.write_table(path, table, schemas.RAW)
    return str(path)


def write_examples(path: Path, train: int = 64, validation: int = 16) -> str:
    """An examples.parquet whose answers are the colours."""

    def example(row: dict) -> dict:
        kept = {key: row[key] for key in ("row_id", "shard", "split", "task", "reference")}
        answer = row["reference"][0]
        messages = [*row["messages"], {"role": "assistant", "content": answer}]
        return {**kept, "messages": messages, "sample": 0, "turn": 0, "answer": answer, "label": None}

    table = [example(row) for row in [*rows(train), *rows(validation, "validation")]]
    parquet.write_table(path, table, schemas.EXAMPLE)
    return str(path)


def write_model(folder: Path, model: ModelConfig = TINY) -> ModelRef:
    """A new model with random weights, saved and pinned."""
    texts = [m["content"] for row in rows(32) for m in row["messages"]] + list(COLOURS)
    tokenizer = train_tokenizer(texts, model.vocab_size)
    save(build(model, tokenizer), tokenizer, folder)
    return pin_folder(folder, name=folder.name)


def without_speed(history: Sequence[LossPoint]) -> list[dict]:
    """The points of a training's history without their speed, which differs from run to run."""
    return [point.model_dump(exclude={"tokens_per_second"}) for point in history]

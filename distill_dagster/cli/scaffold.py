"""Write a new project: a commented config that runs at once, its JSON Schema, and sample rows to replace."""

import re
from pathlib import Path

from distill_dagster.config import TaskName
from distill_dagster.config.reading import CONFIG_NAME
from distill_dagster.config.schema import SCHEMA_NAME, schema_text
from distill_dagster.errors import ConfigError
from distill_dagster.store.disk import write_text

SAMPLE_ROWS = {"train_rows": 1000, "validation_rows": 60, "test_rows": 150, "shards": 4}
TRAIN_ROWS = {"nli": 1600, "conversation": 600}  # nli is harder to learn; each row of a conversation has two prompts

HEAD = """\
# yaml-language-server: $schema={schema}
# A distillation project. Relative paths start from this file's folder; docs/config.md describes every field.
"""
FIELDS = """\
name: {name}
task: {task} # of every row that does not name its own: nli, conversation, qa, math, summarization or classification
store: {store} # every artefact is published here

data: # each file is one shard: .jsonl, .jsonl.gz, .jsonl.zst, .json or .parquet; a local path or an fsspec URL
  train: data/train/*.jsonl # sample rows: replace them with your own
  validation: data/validation.jsonl
  test: data/test.jsonl # held out: no model is trained on it

teacher:
  model: # a new, tiny model, so that this runs on any machine; for a real one: `name: /models/llama-3.1-8b-instruct`
    architecture: llama
    settings: # tied, large initial weights: a small model learns faster
      {{hidden_size: 128, intermediate_size: 256, num_hidden_layers: 2, num_attention_heads: 4, initializer_range: 0.08,
      tie_word_embeddings: true}}
    vocab_size: 600
  # Fits the teacher to the gold answers first. A changed row fits it again, and it then answers every row again.
  # A teacher that is already good at the task needs no `fit`, and answers only the rows that changed.
  fit: {{learning_rate: 2.5e-3, epochs: 10, batch_size: 16, evaluations: 2}}
  generation: {{temperature: 0, max_new_tokens: 32}}

student:
  model: # for a real one: `name: /models/llama-3.2-1b`
    architecture: llama
    settings:
      {{hidden_size: 64, intermediate_size: 128, num_hidden_layers: 2, num_attention_heads: 4, initializer_range: 0.1,
      tie_word_embeddings: true}}
    tokenizer: teacher
  # for a pretrained student: 2.0e-5 and 3 epochs
  training: {{learning_rate: 4.0e-3, epochs: 12, batch_size: 16, evaluations: 2}}

quality:
  contamination: exact # the sample rows share the words of a few templates; remove this line for your own rows

evaluation:
  retention_target: 0.92 # PASS needs the whole 95 % interval of student's score / teacher's score above it
"""


def write_project(folder: Path, task: TaskName) -> Path:
    """Write distill.yaml, its schema, .gitignore and data/ into a new or empty folder; returns the config's path.

    Raises:
        ConfigError: the folder is not empty.
    """
    config = folder / CONFIG_NAME
    if config.exists():
        raise ConfigError(f"{config} exists already: choose another folder, or edit that file")
    if folder.exists() and (there := sorted(path.name for path in folder.iterdir())):
        raise ConfigError(
            f"{folder} is not empty (it holds {there[0]}): choose a new or empty folder; no file is replaced"
        )
    write_sample(folder / "data", task)
    write_text(folder / SCHEMA_NAME, schema_text())
    write_text(folder / ".gitignore", "/store/\n/.distill/\n")
    fields = FIELDS.format(name=project_name(folder), task=task, store="store")
    write_text(config, HEAD.format(schema=SCHEMA_NAME) + fields)
    return config


def write_sample(folder: Path, task: TaskName) -> None:
    """Write the sample rows of a task: train/, validation.jsonl and test.jsonl."""
    from distill_dagster.demo.world import write_dataset

    rows = {"train_rows": TRAIN_ROWS.get(task, SAMPLE_ROWS["train_rows"])}
    write_dataset(folder, tasks=(task,), **{**SAMPLE_ROWS, **rows})


def project_name(folder: Path) -> str:
    """A project name from the folder's: every character but letters, digits, `_` and `-` becomes `-`."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", folder.resolve().name).strip("-_")[:60] or "distillation"

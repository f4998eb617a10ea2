"""A new project's folder: a commented distill.yaml that runs at once, on sample rows to replace."""

import re
from pathlib import Path

from distill_dagster.config import TaskName
from distill_dagster.config.reading import CONFIG_NAME
from distill_dagster.errors import ConfigError
from distill_dagster.store.disk import write_text

SAMPLE_ROWS = {"train_rows": 400, "validation_rows": 60, "test_rows": 100, "shards": 4}

TEMPLATE = """\
# A distillation project. Paths are relative to this file; every field is described in distill_dagster/config/.
name: {name}
task: {task} # of every row that does not name its own: nli, conversation, qa, math, summarization, classification
store: store # every artefact is published here

data: # one file is one shard; .jsonl, .jsonl.gz, .jsonl.zst; local paths or fsspec URLs
  train: data/train/*.jsonl # sample rows: put your own in their place
  validation: data/validation.jsonl
  test: data/test.jsonl # held out: nothing is trained on it

teacher:
  model: # a new, tiny model, so that this runs anywhere. Your own: `name: /models/llama-3.1-8b-instruct`
    architecture: llama
    settings:
      {{hidden_size: 128, intermediate_size: 256, num_hidden_layers: 3, num_attention_heads: 4}}
    vocab_size: 600
  # fit it to the gold answers first; a teacher that is good at the task already needs no `fit`
  fit: {{learning_rate: 2.0e-3, epochs: 12, batch_size: 32}}
  generation: {{temperature: 0, max_new_tokens: 64}}

student:
  model: # at home: `name: /models/llama-3.2-1b`
    architecture: llama
    settings:
      {{hidden_size: 48, intermediate_size: 96, num_hidden_layers: 2, num_attention_heads: 4}}
    tokenizer: teacher
  training: {{learning_rate: 4.0e-3, epochs: 20, batch_size: 32}} # a pretrained student: learning_rate 2.0e-5, epochs 3

quality:
  contamination: exact # for these rows, whose words are mostly their template's; your own: remove this line

evaluation:
  retention_target: 0.92 # PASS needs the whole 95 % interval of student/teacher above it
"""


def write_project(folder: Path, task: TaskName) -> Path:
    """Write distill.yaml and data/ into a new or empty folder; returns the config's path.

    Raises:
        ConfigError: the folder is not empty, or the task has no sample rows.
    """
    from distill_dagster.demo.world import TASKS, write_dataset

    config = folder / CONFIG_NAME
    if config.exists():
        raise ConfigError(f"{config} is there already: choose another folder, or edit that file")
    if folder.exists() and (there := sorted(path.name for path in folder.iterdir())):
        raise ConfigError(
            f"{folder} is not empty (it holds {there[0]}): choose a new or empty folder, nothing is replaced"
        )
    if task not in TASKS:
        raise ConfigError(
            f"there are no sample rows for {task!r}: choose one of {', '.join(TASKS)} and replace rows and task"
        )
    write_dataset(folder / "data", tasks=(task,), **SAMPLE_ROWS)
    write_text(config, TEMPLATE.format(name=project_name(folder), task=task))
    return config


def project_name(folder: Path) -> str:
    """A folder's name as a project name: other characters than letters, digits, `_` and `-` become `-`."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", folder.resolve().name).strip("-_")[:60] or "distillation"

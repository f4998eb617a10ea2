"""The student's model card: a README.md whose front matter the Hugging Face hub reads.

---
library_name: transformers
pipeline_tag: text-generation
base_model: Qwen/Qwen2.5-0.5B
tags: [distillation, distill-dagster, classification]
---
# support-intents
…
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from distill_dagster.config import TrainingConfig
from distill_dagster.models.ref import ModelRef


@dataclass(frozen=True, slots=True)
class CardFacts:
    """What a card says; `counts` are those of the training (`train_rows`, `steps`, …)."""

    name: str
    task: str
    teacher: ModelRef
    base: ModelRef
    training: TrainingConfig
    counts: Mapping[str, int]
    kept: str  # weights: best | last
    versions: Mapping[str, str]


def model_card(facts: CardFacts) -> str:
    """The card as Markdown with YAML front matter."""
    front = yaml.safe_dump(_front_matter(facts), sort_keys=False, allow_unicode=True)
    sections = [
        f"# {_plain(facts.name)}",
        f"A student of {facts.base.parameters:,} parameters that has learned the task `{facts.task}` from the "
        f"answers of a teacher of {facts.teacher.parameters:,} parameters.",
        _table("Lineage", {"teacher": _pinned(facts.teacher), "base": _pinned(facts.base)}),
        _table("Data", {name: f"{count:,}" for name, count in facts.counts.items()}),
        _table("Training", {**{n: str(v) for n, v in facts.training.model_dump().items()}, "kept weights": facts.kept}),
        _table("Made with", facts.versions),
    ]
    return f"---\n{front}---\n\n" + "\n\n".join(sections) + "\n"


def _front_matter(facts: CardFacts) -> dict[str, Any]:
    front: dict[str, Any] = {"library_name": "transformers", "pipeline_tag": "text-generation"}
    if "/" in facts.base.name:  # the hub links only names of its own
        front["base_model"] = facts.base.name
    return {**front, "tags": ["distillation", "distill-dagster", facts.task]}


def _pinned(ref: ModelRef) -> str:
    return f"{_plain(ref.name)} at revision {ref.revision[:12]}"


def _plain(text: str) -> str:
    """A name as Markdown text and nothing else."""
    return "".join(f"\\{c}" if c in r"\`*_{}[]<>#|!" else " " if c in "\r\n" else c for c in text)


def _table(title: str, values: Mapping[str, str]) -> str:
    rows = "\n".join(f"| {_plain(name)} | {_plain(value)} |" for name, value in values.items())
    return f"## {title}\n\n| | |\n| --- | --- |\n{rows}"

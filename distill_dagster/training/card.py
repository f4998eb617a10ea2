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

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from distill_dagster.config.signals import OBJECTIVES
from distill_dagster.models.ref import ModelRef
from distill_dagster.process import library_versions
from distill_dagster.store import files
from distill_dagster.training.record import RoundRecord, TrainingRun
from distill_dagster.training.specs import BestTrial, TrainCounts, TrainSpec
from distill_dagster.training.usage import usage

MOST_NEW_TOKENS = 256  # in the snippet: a training does not know how long answers are asked for


def model_card(spec: TrainSpec, counts: TrainCounts, run: TrainingRun, versions: Mapping[str, str]) -> str:
    """The card as Markdown with YAML front matter."""
    front = yaml.safe_dump(_front_matter(spec), sort_keys=False, allow_unicode=True)
    teacher = {"teacher": _pinned(spec.teacher)} if spec.teacher else {}
    lineage = {**teacher, "student before distillation": _pinned(spec.student_base)}
    if spec.cut:
        lineage["cut out of the teacher"] = spec.cut.words
    shown = spec.training.model_dump(exclude={*OBJECTIVES, "lora"})
    settings = {name: str(value) for name, value in shown.items()} | _lora(spec)
    trained = {"precision": run.dtype, "trained weights": f"{run.trainable_parameters:,}", "kept weights": run.kept}
    stopped = {"stopped early": run.stopped.words} if run.stopped else {}
    training = {"signal": spec.training.signal, "loss": spec.training.loss, **settings, **trained, **stopped}
    sections = [
        f"# {_plain(spec.name)}",
        f"A student of {spec.student_base.parameters:,} parameters that has learned the task `{spec.task}` from "
        f"{_answers(spec.teacher)}.",
        usage(MOST_NEW_TOKENS),
        _table("Lineage", lineage),
        _table("Data", {name: f"{count:,}" for name, count in counts.model_dump().items()}),
        _table("Training", training),
        *([_table("Sweep", _sweep(spec.best_trial))] if spec.best_trial else []),
        *([_rounds([finished.record for finished in spec.finished])] if spec.finished else []),
        _table("Made with", versions),
    ]
    return f"---\n{front}---\n\n" + "\n\n".join(sections) + "\n"


def write_card(spec: TrainSpec, counts: TrainCounts, run: TrainingRun) -> None:
    """Write the card beside the weights in `spec.out`."""
    card = model_card(spec, counts, run, library_versions())
    (Path(spec.out) / files.WEIGHTS_FOLDER / "README.md").write_text(card, encoding="utf-8")


def _sweep(best: BestTrial) -> dict[str, str]:
    """The settings that a sweep found."""
    return {"trials": f"{best.of:,}", "best": f"trial {best.number}"} | {k: str(v) for k, v in best.point.items()}


def _rounds(records: Sequence[RoundRecord]) -> str:
    """A line for each round of on-policy training."""
    names = list(RoundRecord.model_fields)
    lines = [" | ".join(_cell(value) for value in record.model_dump().values()) for record in records]
    head = " | ".join(name.replace("_", " ") for name in names)
    rows = "\n".join(f"| {line} |" for line in lines)
    return f"## Rounds\n\n| {head} |\n|{' --- |' * len(names)}\n{rows}"


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"


def _front_matter(spec: TrainSpec) -> dict[str, Any]:
    front: dict[str, Any] = {"library_name": "transformers", "pipeline_tag": "text-generation"}
    if "/" in spec.student_base.name:  # the hub links only names of its own
        front["base_model"] = spec.student_base.name
    return {**front, "tags": [*(["distillation"] if spec.teacher else []), "distill-dagster", spec.task]}


def _lora(spec: TrainSpec) -> dict[str, str]:
    """The adapters, which the published weights have merged in."""
    return {"LoRA": f"{spec.training.lora}, merged"} if spec.training.lora else {}


def _answers(teacher: ModelRef | None) -> str:
    """What the student learned, and from which teacher. The size of a teacher behind an endpoint is not known."""
    if teacher is None:
        return "gold answers alone, without a teacher"
    size = f"{teacher.parameters:,} parameters" if teacher.parameters else "unknown size"
    return f"the answers of a teacher of {size}"


def _pinned(ref: ModelRef) -> str:
    return f"{_plain(ref.name)} at revision {ref.revision[:12]}"


def _plain(text: str) -> str:
    """A name as Markdown text and nothing else."""
    return "".join(f"\\{c}" if c in r"\`*_{}[]<>#|!" else " " if c in "\r\n" else c for c in text)


def _table(title: str, values: Mapping[str, str]) -> str:
    rows = "\n".join(f"| {_plain(name)} | {_plain(value)} |" for name, value in values.items())
    return f"## {title}\n\n| | |\n| --- | --- |\n{rows}"

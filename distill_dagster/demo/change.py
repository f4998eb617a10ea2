"""One changed row asks one prompt: a copy of the finished demo whose teacher is fixed, and an edit of one of its rows.

.demo/store/                       what the demo has made, the teacher that was fitted to its rows included
.demo/change/llama-1.1M/           that teacher, as an existing model: a changed row does not make another one
.demo/change/distill.yaml          the demo's config with another teacher
.demo/change/data/, store/         copies of the demo's rows, artefacts and replies

The teacher's revision is the hash of its files, so the copy has the demo's answers, and only the edited prompt is new.
"""

import itertools
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import yaml

from distill_dagster.config.reading import CONFIG_NAME, load_config
from distill_dagster.demo.qa import make_qa
from distill_dagster.demo.world import group_of
from distill_dagster.errors import ConfigError
from distill_dagster.generation.specs import GenerateResult
from distill_dagster.lineage.freshness import is_fresh
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.lineage.stages import stages_of
from distill_dagster.models.ref import ModelRef, read_ref
from distill_dagster.store.disk import write_text

CHANGED_FOLDER = "change"
LAST_STAGE = "validated_synthetic_set"  # the stages up to it need seconds; the student's training needs minutes
TASK = "qa"  # of the edited row: one prompt, whose answer is one word
HEAD = "# The demo with the teacher that it has fitted. `distill-dagster demo --change` writes this file.\n"


@dataclass(frozen=True, slots=True)
class Edit:
    """One row before and after."""

    config: Path
    file: Path
    line: int  # 1-based
    before: str  # the question, on one line
    after: str


def change_row(folder: Path) -> Edit:
    """Give one row of the copy in `folder`/change another question; the first call makes the copy.

    Raises:
        ConfigError: the demo in `folder` has not been run, or not to its end.
    """
    changed = folder / CHANGED_FOLDER
    if not (changed / CONFIG_NAME).is_file():
        _copy_project(folder, changed)
    file = sorted((changed / "data" / "train").glob("part-*.jsonl"))[0]
    rows = _read(file)
    at = next(i for i, row in enumerate(rows) if row["task"] == TASK)
    before = rows[at]
    rows[at] = _with_new_question(before, changed / "data")
    write_text(file, "".join(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows))
    return Edit(changed / CONFIG_NAME, file, at + 1, _question(before), _question(rows[at]))


def asked_prompts(project: Project, made: list[str]) -> tuple[int, int]:
    """How many prompts were asked to make the answers named in `made`, and how many prompts all shards have."""
    asked = total = 0
    for shard in Snapshot(project).shards:
        manifest = project.store.get("teacher_outputs", shard)
        total += manifest.counts["requests"]
        asked += manifest.read(GenerateResult).asked if f"teacher_outputs[{shard}]" in made else 0
    return asked, total


def _copy_project(folder: Path, target: Path) -> None:
    """Copy the demo into `target`, whole or not at all."""
    teacher = _fitted_teacher(folder)
    half = target.with_name(f".{target.name}")
    shutil.rmtree(half, ignore_errors=True)
    shutil.copytree(folder / "data", half / "data")
    shutil.copytree(
        folder / "store", half / "store", ignore=shutil.ignore_patterns(".dagster", "work", "previous.json")
    )
    shutil.copytree(teacher.path, half / teacher.name)
    write_text(
        half / CONFIG_NAME, HEAD + yaml.safe_dump(_settings(folder / CONFIG_NAME, teacher.name), sort_keys=False)
    )
    half.replace(target)


def _fitted_teacher(folder: Path) -> ModelRef:
    config = folder / CONFIG_NAME
    look = Snapshot(Project(load_config(config))) if config.is_file() else None
    if look is None or not _is_finished(look):
        raise ConfigError(f"{folder} holds no finished demo: run `distill-dagster demo` first, then `demo --change`")
    return read_ref(look.get("teacher_model").folder)


def _is_finished(look: Snapshot) -> bool:
    """Whether every artefact up to the set is up to date, so that a copy has nothing to make."""
    names = [stage.name for stage in stages_of(look.config)]
    stages = stages_of(look.config)[: names.index(LAST_STAGE) + 1]
    return all(
        is_fresh(look, stage.name, key) for stage in stages for key in (look.shards if stage.sharded else [None])
    )


def _settings(config: Path, teacher: str) -> dict[str, Any]:
    """The demo's settings with the fixed teacher, under Dagster names of their own."""
    settings = yaml.safe_load(config.read_text(encoding="utf-8"))
    settings["teacher"]["model"] = {"name": f"./{teacher}"}
    del settings["teacher"]["fit"]
    return {"key_prefix": CHANGED_FOLDER, **settings}


def _with_new_question(row: dict[str, Any], data: Path) -> dict[str, Any]:
    """The row with a question that no row of the demo has; the next call finds another one."""
    taken = {other["group"] for file in data.rglob("*.jsonl") for other in _read(file)}
    draw = Random(_question(row))
    item = next(item for item in map(make_qa, itertools.repeat(draw)) if group_of(item) not in taken)
    return {**row, "messages": list(item.messages), "reference": item.reference, "group": group_of(item)}


def _read(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def _question(row: dict[str, Any]) -> str:
    return " ".join(row["messages"][-1]["content"].split())

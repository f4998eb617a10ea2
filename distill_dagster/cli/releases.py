"""The commands about releases: releases, approve, rollback, compare."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from distill_dagster.cli.app import ConfigOption, app, explained
from distill_dagster.cli.console import out, say, table
from distill_dagster.config.reading import CONFIG_NAME, load_config

if TYPE_CHECKING:
    from distill_dagster.config import DistillConfig, ReleaseConfig
    from distill_dagster.release.specs import ReleaseResult

JsonOption = Annotated[bool, typer.Option("--json", help="print JSON instead of a table")]


@app.command()
@explained
def releases(config: ConfigOption = Path(CONFIG_NAME), as_json: JsonOption = False) -> None:
    """Show every decision about a release, the first one first, what is released now, and where it is published."""
    from distill_dagster.assets.views.release import as_row
    from distill_dagster.cli.outcome import print_published
    from distill_dagster.cli.released import read_history, read_published
    from distill_dagster.lineage.project import Project

    project = Project(load_config(config))
    decisions, result = read_history(project)
    published = read_published(project)
    if as_json:
        document = {
            **result.model_dump(mode="json", include={"champion", "first", "waiting"}),
            "decisions": [decision.model_dump(mode="json") for decision in decisions],
            "published": published and published.model_dump(mode="json", include={"student", "release", "places"}),
        }
        print(json.dumps(document, ensure_ascii=False, allow_nan=False))
        return
    shown = ("number", "at", "student", "outcome", "released", "who", "why")
    rows = [[str(row[name]) for name in shown] for row in map(as_row, decisions)]
    out.print(table("Releases", list(shown), rows))
    _say_released(result)
    if published is not None:
        print_published(published, result.champion)


@app.command()
@explained
def approve(config: ConfigOption = Path(CONFIG_NAME)) -> None:
    """Release the student that waits for approval."""
    from distill_dagster.release.changes import approve as approved
    from distill_dagster.release.findings import require_licences

    def change(rule: "ReleaseConfig", who: str) -> "Callable[[Path, Path], ReleaseResult]":
        return lambda earlier, target: approved(earlier, target, who, rule.keep)

    read = load_config(config)
    require_licences(read)
    _change(read, "approve", change)


@app.command()
@explained
def rollback(config: ConfigOption = Path(CONFIG_NAME)) -> None:
    """Release the student that was released before; `approve` undoes this."""
    from distill_dagster.release.changes import roll_back

    def change(rule: "ReleaseConfig", who: str) -> "Callable[[Path, Path], ReleaseResult]":
        return lambda earlier, target: roll_back(earlier, target, who)

    _change(load_config(config), "rollback", change)


@app.command()
@explained
def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="`student`, `released`, or a name that `releases` shows")],
    b: Annotated[str, typer.Argument(metavar="B", help="the same")],
    config: ConfigOption = Path(CONFIG_NAME),
    as_json: JsonOption = False,
) -> None:
    """Show by how much student A differs from student B on the same held-out rows, by task, with intervals."""
    from distill_dagster.cli.released import KnownStudents
    from distill_dagster.lineage.project import Project
    from distill_dagster.release.comparing import compare_students
    from distill_dagster.release.gate import short

    project = Project(load_config(config))
    known = KnownStudents(project)
    first, second = known.named(a), known.named(b)
    found = compare_students(known.items_of(first), known.items_of(second), project.config.evaluation)
    if as_json:
        print(json.dumps([task.model_dump(mode="json") for task in found], ensure_ascii=False, allow_nan=False))
        return
    rows = [[task.task, f"{task.a:.4f}", f"{task.b:.4f}", str(task.difference)] for task in found]
    out.print(table(None, ["task", a, b, f"{a} - {b}"], rows))
    if first == second:
        say(f"{a} and {b} are the same student, {short(first)}")


def _change(
    config: "DistillConfig",
    command: str,
    change: "Callable[[ReleaseConfig, str], Callable[[Path, Path], ReleaseResult]]",
) -> None:
    """Change the release, and print what is released now."""
    from distill_dagster.cli.outcome import print_unpublished
    from distill_dagster.cli.released import read_published
    from distill_dagster.lineage.project import Project
    from distill_dagster.operations.instance import open_instance
    from distill_dagster.operations.releasing import change_release
    from distill_dagster.process import user_name
    from distill_dagster.store.disk import room_for

    rule, who = _rule_of(config), f"distill-dagster {command} ({user_name()})"
    with room_for(config.local_root), open_instance(config) as instance:
        result = change_release(Project(config), instance, change(rule, who))
    _say_released(result)
    if rule.publish and result.champion:
        print_unpublished(read_published(Project(config)), result.champion)


def _rule_of(config: "DistillConfig") -> "ReleaseConfig":
    from distill_dagster.errors import ConfigError

    if config.release is None:
        raise ConfigError("the config has no `release`, so nothing is released: add `release: {}`")
    return config.release


def _say_released(result: "ReleaseResult") -> None:
    from distill_dagster.release.gate import short

    waits = f"; {short(result.waiting)} waits for `distill-dagster approve`" if result.waiting else ""
    say(f"released: {short(result.champion)}{waits}")

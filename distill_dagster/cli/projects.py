"""The commands that write files of their own: init, schema, demo, export-data."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from distill_dagster.cli.app import ConfigOption, app, explained, writes
from distill_dagster.cli.commands import execute, walk
from distill_dagster.cli.console import say, say_warning, shown_path
from distill_dagster.config import TaskName
from distill_dagster.config.reading import CONFIG_NAME, load_config
from distill_dagster.quality.trainer_formats import ExportSplit, TrainerFormat


@app.command()
@explained
def init(
    folder: Annotated[Path, typer.Argument(help="a new or empty folder")],
    task: Annotated[TaskName, typer.Option(help="the task of the sample rows")] = "qa",
) -> None:
    """Write a new project: a commented distill.yaml and a few sample rows to replace with your own."""
    from distill_dagster.cli.scaffold import write_project

    with writes(folder, "choose another folder"):
        config = write_project(folder, task)
    called = sys.argv[0]
    command = Path(called).absolute() if os.sep in called else called  # a relative path is wrong inside the folder
    say(f"{config} is ready. Next, in {folder}: {command} validate, then run")


@app.command()
@explained
def schema(
    output: Annotated[Path | None, typer.Option(help="write a file instead of printing")] = None,
) -> None:
    """Write the JSON Schema of distill.yaml, with which editors complete its fields and mark typos."""
    from distill_dagster.config.schema import schema_text

    if output is None:
        print(schema_text(), end="")
        return
    with writes(output, "choose another --output"):
        output.write_text(schema_text(), encoding="utf-8")


@app.command()
@explained
def demo(
    folder: Annotated[
        Path | None, typer.Argument(help="a new or empty folder, or one that holds the demo; .demo if left out")
    ] = None,
    change: Annotated[
        bool, typer.Option("--change", help="after the demo: edit one row of a copy, and count the prompts it asks")
    ] = False,
) -> None:
    """Write the demo, a project folder with made-up data, and run the whole lineage on it."""
    from distill_dagster.demo.project import DEMO_FOLDER, write_demo

    target = folder or DEMO_FOLDER
    if change:
        change_demo(target)
        return
    with writes(target, "choose another folder"):
        written = write_demo(target)
    execute(load_config(written))


def change_demo(folder: Path) -> None:
    """Edit one row of the demo's copy, make its set again, and print how many prompts were asked."""
    from distill_dagster.cli.outcome import print_outcome
    from distill_dagster.demo.change import LAST_STAGE, asked_prompts, change_row

    with writes(folder, "choose another folder"):
        edit = change_row(folder)
    say(f"{shown_path(edit.file)}, line {edit.line}:\n- {edit.before}\n+ {edit.after}")
    runner, outcome = walk(load_config(edit.config), LAST_STAGE)
    if outcome.failed:
        raise typer.Exit(print_outcome(runner, outcome, ended=False))
    asked, total = asked_prompts(runner.look.project, outcome.materialized)
    say(f"the student is stale now: `distill-dagster run -c {shown_path(edit.config)}` trains it on the changed set")
    print(f"{asked:,} of {total:,} prompts asked")


@app.command()
@explained
def export_data(
    target: Annotated[
        Path, typer.Argument(metavar="OUT", help="a new file; its ending, .jsonl or .parquet, chooses how")
    ],
    form: Annotated[TrainerFormat, typer.Option("--format", help="the trainer that reads it")],
    split: Annotated[ExportSplit, typer.Option(help="the examples to write")] = "train",
    config: ConfigOption = Path(CONFIG_NAME),
) -> None:
    """Write the validated set as trainers read it."""
    from distill_dagster.cli.export import export_set

    with writes(target, "choose another OUT"):
        count, warning = export_set(load_config(config), target, form, split)
    if warning:
        say_warning(warning)
    say(f"{target}: {count:,} examples")

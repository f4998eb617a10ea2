"""The commands. Each is a few lines over the library; see `distill-dagster --help`."""

import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from distill_dagster.cli.console import bars, err, out, say, say_error, say_step, say_warning, shown_path, table
from distill_dagster.config import DistillConfig, FormatName, TaskName
from distill_dagster.config.reading import CONFIG_NAME, CONFIG_VARIABLE, load_config
from distill_dagster.errors import ConfigError, UserError
from distill_dagster.quality.trainer_formats import ExportSplit, TrainerFormat

if TYPE_CHECKING:
    from distill_dagster.operations.runner import Outcome, Runner

app = typer.Typer(no_args_is_help=True)
ConfigOption = Annotated[
    Path, typer.Option("--config", "-c", envvar=CONFIG_VARIABLE, help="the project's distill.yaml")
]
Compat = Literal["azure"]
FAILED, WRONG_INPUT, INTERRUPTED = 1, 2, 130  # cli/outcome.py has those of a run


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"distill-dagster {version('distill-dagster')}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="print the version and exit")
    ] = False,
) -> None:
    """Distil a large teacher language model into a small student, as a Dagster asset graph."""


def explained(command: Callable[..., None]) -> Callable[..., None]:
    """Print a user's error without a traceback and exit with 2."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except UserError as e:
            say_error(str(e))
            raise typer.Exit(WRONG_INPUT) from e

    return run


@contextlib.contextmanager
def writes(path: Path, way_out: str) -> Iterator[None]:
    """Explain why `path` cannot be written, with the way out."""
    try:
        yield
    except OSError as e:
        where = f": {e.filename}" if e.filename and Path(e.filename) != path else ""
        raise ConfigError(f"{path} cannot be written ({e.strerror}{where}): {way_out}") from e


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
def validate(
    files: Annotated[
        list[str] | None, typer.Argument(help="files, folders of saved datasets, URLs, * patterns")
    ] = None,
    task: Annotated[TaskName | None, typer.Option(help="with FILES: the task of rows that name none")] = None,
    format: Annotated[FormatName, typer.Option(help="with FILES: the rows' format")] = "auto",
    compat: Annotated[Compat | None, typer.Option(help="show another system's verdicts beside ours")] = None,
    config: ConfigOption = Path(CONFIG_NAME),
    as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of tables")] = False,
) -> None:
    """Judge every row of FILES, or of the config's files, without making anything; exits with 1 if one is refused."""
    from distill_dagster.cli.validation import print_tables, validation_of, write_json

    validation = validation_of(files or [], task, format, compat, config)
    if as_json:
        write_json(validation, sys.stdout)
    else:
        print_tables(validation, out)
    if validation.refused:
        raise typer.Exit(FAILED)


@app.command()
@explained
def plan(
    config: ConfigOption = Path(CONFIG_NAME),
    as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of tables")] = False,
) -> None:
    """Show what a run would make and why, and what its requests would cost; sends and makes nothing.

    Exits with 1 if a source file cannot be used, or rows of two shards share an id.
    """
    from distill_dagster.cli.planning import closing_lines, plan_tables
    from distill_dagster.cli.preflight import preflight_document, preflight_table, stop_if_hopeless
    from distill_dagster.lineage.project import Project
    from distill_dagster.lineage.snapshot import Snapshot
    from distill_dagster.planning.plan import make_plan
    from distill_dagster.preflight.look import preflight

    look = Snapshot(Project(load_config(config)))
    planned = make_plan(look)
    requirements = preflight(look, planned.steps, whole=False, asks=planned.total.new > 0)
    if as_json:
        document = {**planned.document(), "preflight": preflight_document(requirements)}
        print(json.dumps(document, ensure_ascii=False, allow_nan=False))
    else:
        for found in [*plan_tables(planned), *([preflight_table(requirements)] if requirements else [])]:
            out.print(found)
        for line in closing_lines(planned):
            say(line)
    for problem in planned.problems:
        say_error(problem)
    stop_if_hopeless(requirements)
    if planned.problems:
        raise typer.Exit(FAILED)


@app.command()
@explained
def check(
    config: ConfigOption = Path(CONFIG_NAME),
    until: Annotated[str | None, typer.Option(help="look at what a run needs up to this asset")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of a table")] = False,
) -> None:
    """Look whether a run can work: keys, endpoints (one request each), models, devices, memory, disk, write access."""
    from distill_dagster.cli.preflight import look_at_all, preflight_document, preflight_table, stop_if_hopeless

    settings = load_config(config)
    _require_stage(settings, until)
    requirements = look_at_all(settings, until)
    if as_json:
        print(json.dumps(preflight_document(requirements), ensure_ascii=False, allow_nan=False))
    elif requirements:
        out.print(preflight_table(requirements))
    else:
        out.print("Nothing is stale: a run would make nothing, and needs nothing.")
    stop_if_hopeless(requirements)


def _require_stage(config: DistillConfig, until: str | None) -> None:
    """Refuse an `--until` that names no stage of the project."""
    from distill_dagster.lineage.stages import stages_of

    names = [stage.name for stage in stages_of(config)]
    if until is not None and until not in names:
        raise ConfigError(f"--until {until}: no such asset; choose one of {', '.join(names)}")


@app.command()
@explained
def status(
    config: ConfigOption = Path(CONFIG_NAME),
    as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of tables")] = False,
) -> None:
    """Show what is fresh, stale and failing, and what is made next.

    Exits with 1 if the last run of a step failed, a check of severity error fails, or a source file cannot be used.
    """
    from distill_dagster.cli.status import is_failing, print_status, read_status
    from distill_dagster.lineage.project import Project
    from distill_dagster.lineage.snapshot import Snapshot
    from distill_dagster.operations.instance import open_instance

    settings = load_config(config)
    with open_instance(settings) as instance:
        found = read_status(Snapshot(Project(settings)), instance)
    if as_json:
        print(json.dumps(found, ensure_ascii=False, allow_nan=False))
    else:
        print_status(found)
    if is_failing(found):
        raise typer.Exit(FAILED)


@app.command()
@explained
def run(
    config: ConfigOption = Path(CONFIG_NAME),
    until: Annotated[str | None, typer.Option(help="stop after this asset")] = None,
) -> None:
    """Make what is stale; ends with a table, the report's path, and one line of JSON."""
    execute(load_config(config), until)


def execute(config: DistillConfig, until: str | None = None) -> None:
    """Run the lineage (or its first part, up to `until`) and print how it ended.

    Raises:
        PreflightError: the run cannot work, and nothing was made.
    """
    from distill_dagster.cli.outcome import print_outcome

    runner, outcome = walk(config, until)
    if code := print_outcome(runner, outcome, ended=until in (None, "eval_report")):
        raise typer.Exit(code)


def walk(config: DistillConfig, until: str | None = None) -> tuple["Runner", "Outcome"]:
    """Look whether the run can work, then run the lineage, or its first part, up to `until`.

    Raises:
        PreflightError: the run cannot work, and nothing was made.
    """
    from distill_dagster.cli.preflight import look_at_all, show_and_stop
    from distill_dagster.definitions import build_lineage
    from distill_dagster.lineage.project import Project
    from distill_dagster.lineage.snapshot import Snapshot
    from distill_dagster.operations.instance import open_instance
    from distill_dagster.operations.runner import Runner
    from distill_dagster.store.disk import room_for

    _require_stage(config, until)
    show_and_stop(look_at_all(config, until))
    try:
        with room_for(Path(config.store)), open_instance(config) as instance, bars():
            runner = Runner(Snapshot(Project(config)), build_lineage(config), instance, say_step)
            outcome = runner.run(until)
    except KeyboardInterrupt:
        say_error("interrupted; what was made and answered is kept, and the next run goes on from there")
        raise typer.Exit(INTERRUPTED) from None
    return runner, outcome


@app.command()
@explained
def report(
    config: ConfigOption = Path(CONFIG_NAME),
    as_json: Annotated[bool, typer.Option("--json", help="print the whole report as JSON")] = False,
) -> None:
    """Show the last report as a table, and its path."""
    from distill_dagster.cli.outcome import print_report, read_report, report_page
    from distill_dagster.lineage.project import Project

    project = Project(load_config(config))
    document = read_report(project)
    if as_json:
        print(json.dumps(document.as_json(), ensure_ascii=False, allow_nan=False))
        return
    print_report(document, report_page(project))


@app.command()
@explained
def logits(
    file: Annotated[Path, typer.Argument(help="a logits.parquet, as teacher_logits publishes it")],
    as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of a table")] = False,
) -> None:
    """Show what a logits file holds: rows, tokens, vocabulary, and the bytes per token of each column."""
    from distill_dagster.logits.size import measure_file

    measured = measure_file(file)
    if as_json:
        print(json.dumps(measured, ensure_ascii=False, allow_nan=False))
        return
    sizes = {**measured["columns"], "total": measured}
    rows = [[name, f"{size['bytes']:,}", f"{size['bytes_per_token']:,.2f}"] for name, size in sizes.items()]
    title = f"{measured['rows']:,} rows, {measured['tokens']:,} tokens"
    out.print(table(title, ["column", "bytes", "bytes per token"], rows))
    words = [f"{name} {measured[name]}" for name in ("k", "vocab_size", "precision", "temperature")]
    say(", ".join(words))


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


@app.command()
@explained
def dev(
    config: ConfigOption = Path(CONFIG_NAME),
    port: Annotated[int, typer.Option(min=1, max=65535, help="port on the loopback interface")] = 3000,
) -> None:
    """Open the Dagster UI on the project's own instance, on loopback only: Dagster has no login."""
    from distill_dagster.cli.plain_log import plain_logs
    from distill_dagster.cli.serving import HOST, require_free, watch_start
    from distill_dagster.operations.instance import open_instance

    settings = load_config(config)
    require_free(port)
    with open_instance(
        settings
    ) as instance:  # sets DAGSTER_HOME; creates the database before several processes need it
        say(f"the UI opens at http://{HOST}:{port}; Dagster's home is {shown_path(instance.root_directory)}", err)
    os.environ[CONFIG_VARIABLE] = str(config.resolve())
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    watch_start(port)
    plain_logs()
    command = [sys.executable, "-W", "ignore", "-m", "dagster", "dev", "-m", "distill_dagster.definitions"]
    os.execv(sys.executable, [*command, "--host", HOST, "--port", str(port)])

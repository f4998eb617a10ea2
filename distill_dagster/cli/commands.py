"""The commands that look at a project or run it. Each is a few lines over the library."""

import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from distill_dagster.cli.app import FAILED, INTERRUPTED, ConfigOption, app, explained
from distill_dagster.cli.console import bars, err, out, say, say_error, say_step, shown_path, table
from distill_dagster.config import DistillConfig, FormatName, TaskName
from distill_dagster.config.reading import CONFIG_NAME, CONFIG_VARIABLE, load_config
from distill_dagster.errors import ConfigError

if TYPE_CHECKING:
    from distill_dagster.operations.runner import Outcome, Runner

Compat = Literal["azure"]


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
    requirements = preflight(look, planned.steps, whole=False, plans_memory=True, asks=planned.total.new > 0)
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
    from distill_dagster.lineage.project import Project
    from distill_dagster.lineage.snapshot import Snapshot

    settings = load_config(config)
    _require_stage(settings, until)
    requirements = look_at_all(Snapshot(Project(settings)), until)
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
    from distill_dagster.cli.status import print_status, read_status
    from distill_dagster.lineage.project import Project
    from distill_dagster.lineage.snapshot import Snapshot
    from distill_dagster.operations.instance import open_instance

    settings = load_config(config)
    with open_instance(settings) as instance:
        found = read_status(Snapshot(Project(settings)), instance)
    if as_json:
        print(json.dumps(found.model_dump(mode="json"), ensure_ascii=False, allow_nan=False))
    else:
        print_status(found)
    if found.is_failing:
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
    from distill_dagster.cli.outcome import LAST_ASSETS, print_outcome

    runner, outcome = walk(config, until)
    if code := print_outcome(runner, outcome, ended=until in LAST_ASSETS):
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
    from distill_dagster.operations.instance import HOME, dagster_home, open_instance
    from distill_dagster.operations.runner import Runner
    from distill_dagster.store.disk import room_for

    _require_stage(config, until)
    if HOME in os.environ:
        dagster_home(config)
    look = Snapshot(Project(config))
    show_and_stop(look_at_all(look, until))
    try:
        with room_for(config.local_root), open_instance(config) as instance, bars():
            runner = Runner(look, build_lineage(config), instance, say_step)
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
def dev(
    config: ConfigOption = Path(CONFIG_NAME),
    port: Annotated[int, typer.Option(min=1, max=65535, help="port that the UI listens on")] = 3000,
    host: Annotated[str, typer.Option(help="address that the UI listens on")] = "127.0.0.1",
    has_proxy: Annotated[
        bool, typer.Option("--i-have-a-proxy", help="with a --host beyond loopback: a login is in front of it")
    ] = False,
) -> None:
    """Open the Dagster UI on the project's own instance, on loopback: Dagster has no login."""
    from distill_dagster.cli.plain_log import plain_logs
    from distill_dagster.cli.serving import in_url, require_free, require_login, watch_start
    from distill_dagster.operations.instance import open_instance
    from distill_dagster.telemetry.logs import wants_json

    settings = load_config(config)
    require_login(host, has_proxy)
    require_free(port, host)
    with open_instance(settings) as instance:  # sets DAGSTER_HOME; creates the database before several need it
        home = shown_path(instance.root_directory)
        say(f"the UI opens at http://{in_url(host)}:{port}; Dagster's home is {home}", err)
    os.environ[CONFIG_VARIABLE] = str(config.resolve())
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    watch_start(port, host)
    plain_logs()
    command = [sys.executable, "-W", "ignore", "-m", "dagster", "dev", "-m", "distill_dagster.definitions"]
    form = ["--log-format", "json"] if wants_json() else []
    os.execv(sys.executable, [*command, "--host", host, "--port", str(port), *form])

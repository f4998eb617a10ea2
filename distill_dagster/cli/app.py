"""The Typer app, its options, and what every command shares.

commands.py, projects.py and releases.py hold the commands.
"""

import contextlib
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from distill_dagster.cli.console import say_error
from distill_dagster.config.reading import CONFIG_VARIABLE
from distill_dagster.errors import ConfigError, UserError

app = typer.Typer(no_args_is_help=True)
ConfigOption = Annotated[
    Path, typer.Option("--config", "-c", envvar=CONFIG_VARIABLE, help="the project's distill.yaml")
]
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
    from distill_dagster.process import close_to_others
    from distill_dagster.telemetry.logs import log_as_json

    close_to_others()
    log_as_json()


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

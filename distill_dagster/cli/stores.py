"""The commands about stores: copy, sweep."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from distill_dagster.cli.app import ConfigOption, app, explained
from distill_dagster.cli.console import say
from distill_dagster.config.reading import CONFIG_NAME, load_config
from distill_dagster.errors import ConfigError

store = typer.Typer(no_args_is_help=True, help="Copy a store to another place, and delete what nobody can reach in it.")
app.add_typer(store, name="store")
Place = Annotated[str, typer.Argument(help="a folder, or the URL of a folder in a bucket")]


@store.command()
@explained
def copy(
    source: Place,
    target: Place,
    local: Annotated[
        Path | None,
        typer.Option(
            help="the local folder of a SOURCE in a bucket, whose unsent replies are copied too; by default that of "
            "the config, if SOURCE is its store",
            exists=True,
            file_okay=False,
        ),
    ] = None,
    config: ConfigOption = Path(CONFIG_NAME),
) -> None:
    """Copy the store SOURCE to TARGET: artefacts, replies and alerts. A copy that was stopped goes on where it was."""
    from distill_dagster.cli.moving import copy_store

    def progress(key: str, is_new: bool) -> None:
        say(f"{'copied' if is_new else 'there'}: {key}")

    copied = copy_store(_place(source), _place(target), progress, local or _local_folder(_place(source), config))
    say(f"Set `store: {_place(target)}` in the project's config: everything that was fresh is fresh there.")
    print(json.dumps({"artefacts": copied.artefacts, "files_of_replies": copied.replies}, allow_nan=False))


@store.command()
@explained
def sweep(
    config: ConfigOption = Path(CONFIG_NAME),
    hours: Annotated[float, typer.Option(min=1, help="delete what nobody could reach for so long")] = 24.0,
) -> None:
    """Delete the files in a bucket that no manifest names: of replaced versions, and of processes that were killed."""
    from distill_dagster.config.bucket import is_bucket
    from distill_dagster.store.objects.bucket import open_bucket
    from distill_dagster.store.objects.sweep import sweep as sweep_bucket

    place = load_config(config).store
    if not is_bucket(place):
        raise ConfigError(
            f"{place} is a local store, in which each publication deletes what nobody can reach, and `gc` the rest"
        )
    deleted = sweep_bucket(open_bucket(place), timedelta(hours=hours))
    print(json.dumps({"deleted": len(deleted)}, allow_nan=False))


def _local_folder(source: str, config: Path) -> Path | None:
    """The local folder beside a store in a bucket, if the config is there and names that store."""
    from distill_dagster.config.bucket import is_bucket

    if not is_bucket(source) or not config.is_file():
        return None
    read = load_config(config)
    return read.local_root if read.store.rstrip("/") == source else None


def _place(given: str) -> str:
    """The absolute path, or the URL."""
    from distill_dagster.config.bucket import bucket_problem, is_bucket

    if not is_bucket(given):
        return str(Path(given).expanduser().resolve())
    if problem := bucket_problem(given):
        raise ConfigError(problem)
    return given.rstrip("/")

"""The command gc: what a project can do without, and its deletion."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from distill_dagster.cli.app import ConfigOption, app, explained
from distill_dagster.cli.console import out, say, table
from distill_dagster.config.reading import CONFIG_NAME, load_config

if TYPE_CHECKING:
    from distill_dagster.clearing.specs import Lot, Part, Rules
    from distill_dagster.config import DistillConfig


@app.command()
@explained
def gc(
    config: ConfigOption = Path(CONFIG_NAME),
    days: Annotated[float, typer.Option(min=1, help="age from which versions, runs and ticks go")] = 30.0,
    keep: Annotated[int, typer.Option(min=1, help="newest versions of an artefact that stay; a store has two")] = 1,
    reply_days: Annotated[float, typer.Option(min=1, help="time for which a reply outlives its row")] = 90.0,
    yes: Annotated[bool, typer.Option("--yes", help="delete; without it, nothing is deleted")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of tables")] = False,
) -> None:
    """Show what the project can do without and why the rest stays; with --yes, delete it.

    Old versions of artefacts, replies to rows that are gone, and Dagster's old runs, events and ticks.
    """
    from distill_dagster.clearing.specs import Rules

    rules = Rules(keep=keep, days=days, reply_days=reply_days, now=datetime.now(UTC))
    found: list[Lot] = []
    try:
        for lot in clear(load_config(config), rules, delete=yes):
            found.append(lot)
    except BaseException:  # said above the error
        if yes and any(lot.why is None for lot in found):
            _show(found, yes, as_json)
        raise
    _show(found, yes, as_json)


def clear(config: "DistillConfig", rules: "Rules", *, delete: bool) -> "Iterator[Lot]":
    """What goes, and what stays; with `delete`, what is yielded is gone, and what could not go is among what stays.

    Raises:
        DataError: the store cannot be read or written, or a file of the release is gone. What was yielded before is
            deleted, and may not be all that is: the part that failed may have begun.
    """
    from distill_dagster.definitions import build_lineage
    from distill_dagster.operations.clearing import look_at_all
    from distill_dagster.store.disk import room_for

    graph = build_lineage(config).resolve_asset_graph()
    with room_for(config.local_root), look_at_all(config, graph, rules) as parts:
        for part in parts:
            yield from (lot for lot in (_deleted(part) if delete else part.lots) if lot.count)


def _deleted(part: "Part") -> "list[Lot]":
    """What went, and what stays."""
    return [*part.delete(), *(lot for lot in part.lots if lot.why is not None)]


def _show(found: "Sequence[Lot]", deleted: bool, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"deleted": deleted, **_document(found)}, ensure_ascii=False, allow_nan=False), flush=True)
        return
    going, kept = ([lot for lot in found if (lot.why is None) == goes] for goes in (True, False))
    if going:
        _print("Deleted" if deleted else "Would be deleted", going)
    _print("Kept", kept)
    if not going:
        say("nothing is old enough to be deleted")
    elif not deleted:
        say("nothing was deleted: `distill-dagster gc --yes` deletes it")


def _document(lots: "Sequence[Lot]") -> dict[str, Any]:
    def entry(lot: "Lot") -> dict[str, Any]:
        ends = {"oldest": lot.oldest, "newest": lot.newest}
        said = {"kind": lot.kind, "count": lot.count, "bytes": lot.size, "names": list(lot.names)}
        return said | {end: at and at.isoformat(timespec="seconds") for end, at in ends.items()}

    return {
        "going": [entry(lot) for lot in lots if lot.why is None],
        "kept": [{**entry(lot), "why": lot.why} for lot in lots if lot.why is not None],
    }


def _print(title: str, lots: "Sequence[Lot]") -> None:
    has_reasons = any(lot.why for lot in lots)
    columns = ["kind", "count", "size", "from", "to", *(["why"] if has_reasons else [])]
    rows = [[*_cells(lot), *([lot.why] if has_reasons else [])] for lot in lots]
    out.print(table(title, columns, rows))


def _cells(lot: "Lot") -> list[Any]:
    from distill_dagster.report.numbers import size as size_of

    days = [at and at.date().isoformat() for at in (lot.oldest, lot.newest)]
    size = "" if lot.size is None else size_of(lot.size)
    return [lot.kind, f"{lot.count:,}", size, *days]

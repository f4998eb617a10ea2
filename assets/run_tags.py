"""The tags that say how a run was started and why it makes something.

distill/invocation    distill-dagster run | automation: an input changed | schedule: job redistill_job | …
distill/because       raw_dataset[train-part-03] changed, 1 of 400 rows
distill/host          the machine, or container, of the run's process: orphans.py looks for the process there
"""

import socket
from collections.abc import Mapping

import dagster as dg

from distill_dagster.process import user_name

INVOCATION, BECAUSE, HOST = "distill/invocation", "distill/because", "distill/host"
LONGEST = 500  # characters of a tag, which the UI shows beside the run


def mark_run(context: dg.AssetExecutionContext, title: str, why: str) -> None:
    """Tag the run with the reason for one of its assets. A run of several assets names each before its reason."""
    run = context.run
    tags = dict((context.instance.get_run_by_id(run.run_id) or run).tags)
    if len(run.asset_selection or ()) != 1:
        why = f"{title}: {why}"
    because = f"{tags[BECAUSE]}; {why}" if BECAUSE in tags else why
    context.log.info(f"made because: {why}")
    context.instance.add_run_tags(run.run_id, {BECAUSE: short(because), INVOCATION: started(tags), **host()})


def host() -> dict[str, str]:
    """The tag of where this process runs."""
    return {HOST: socket.gethostname()}


def started_by(context: dg.AssetExecutionContext) -> str:
    """How the run was started, and the user of its process, such as `distill-dagster run (ada)`."""
    return f"{started(context.run.tags)} ({user_name()})"


def add_rows(context: dg.AssetExecutionContext, shard: str | None, rows: str) -> None:
    """Add to the reason of a run that read a changed source file how many rows changed, which is known afterwards."""
    context.log.info(f"{rows} differ from the version before")
    run = context.instance.get_run_by_id(context.run.run_id)
    why = run.tags.get(BECAUSE, "") if run else ""
    if why.endswith(f"{shard} changed"):
        context.instance.add_run_tags(context.run.run_id, {BECAUSE: short(f"{why}, {rows}")})


def short(text: str) -> str:
    """The text, cut to the length of a tag."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def started(tags: Mapping[str, str]) -> str:
    """How a run with these tags was started, as far as Dagster says."""
    if INVOCATION in tags:
        return tags[INVOCATION]
    if "dagster/backfill" in tags:
        return "a backfill"
    return "the Dagster UI" if tags.get("dagster/from_ui") == "true" else "dg launch, or another caller of Dagster"

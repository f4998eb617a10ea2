"""What the command line shows: a bar for long work, a line for each step, tables at the end."""

import contextlib
import re
import sys
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from distill_dagster.progress import listen, log_listener

out = Console(width=None if sys.stdout.isatty() else 120)  # in a log or a pipe, tables are 120 columns wide
err = Console(stderr=True)

QUIET_SECONDS = 20.0
NUMBER = re.compile(r"(at most |about |< )?[-+−$]?\d|–$")  # how a cell of numbers begins; its unit may follow
STATES = {"made": "green", "fresh": "dim", "failed": "bold red", "held": "yellow"}


@contextlib.contextmanager
def bars() -> Iterator[None]:
    """Show a bar on standard error for each piece of work inside the block, while it lasts.

    If it is no terminal but, for example, the log of a CI job, print a line every `QUIET_SECONDS` instead.
    """
    if not err.is_terminal:
        tell = log_listener(lambda line: err.print(Text(f"         {line}")), QUIET_SECONDS)
        with listen(lambda label, done, total, ended: None if ended else tell(label, done, total, ended)):
            yield
        return
    columns = (TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as progress:
        shown: dict[str, Any] = {}

        def listener(label: str, done: int, total: int, ended: bool) -> None:
            if label not in shown:
                shown[label] = progress.add_task(label, total=total)
            progress.update(shown[label], completed=done, total=total)
            if ended:
                progress.remove_task(shown.pop(label))

        with listen(listener):
            yield


def say_step(title: str, state: str, why: str = "") -> None:
    """Print one line to standard error when a step ends, with the first line of the reason if it was not made.

    On a terminal, a bar shows that a step has started.
    """
    if state == "started" and not err.is_terminal:  # a terminal shows the bar instead
        err.print(Text(f" making  {title}"))
    if state in STATES:
        reason = f": {why.strip().splitlines()[0]}" if why.strip() else ""
        err.print(Text(f"{state:>7}  {title}{reason}", style=STATES[state]), soft_wrap=True)


def say_error(message: str) -> None:
    """Print an error to standard error, without markup, because data may look like markup."""
    err.print(Text(f"error: {message}", style="bold red"), soft_wrap=True)


def say_warning(message: str) -> None:
    """Print a warning in the same way."""
    err.print(Text(f"warning: {message}", style="yellow"), soft_wrap=True)


def table(title: str | None, columns: list[str], rows: list[list[str]], whole_labels: bool = False) -> Table:
    """A table with numbers aligned to the right. With `whole_labels`, the first column is never wrapped."""
    grid = Table(title=title, title_justify="left")
    for i, column in enumerate(columns):
        of_numbers = i > 0 and all(NUMBER.match(row[i]) for row in rows if row[i])
        justify = "right" if of_numbers else "left"
        grid.add_column(column, justify=justify, overflow="fold", no_wrap=whole_labels and i == 0)
    for row in rows:
        grid.add_row(*(Text(str(cell)) for cell in row))
    return grid

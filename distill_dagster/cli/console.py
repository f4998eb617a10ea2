"""What the command line shows: a bar for long work, a line for each step, tables at the end."""

import contextlib
import logging
import re
import sys
import textwrap
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.table import Table
from rich.text import Text

from distill_dagster.progress import Progress, listen, log_listener
from distill_dagster.telemetry.logs import wants_json, write_line

out = Console(width=None if sys.stdout.isatty() else 120)  # in a log or a pipe, tables are 120 columns wide
err = Console(stderr=True)

QUIET_SECONDS = 20.0
BAR_SECONDS = 0.5  # between two texts beside a bar: reading a loss waits for the device
NUMBER = re.compile(r"(at most |about |< )?[-+−$]?\d|–$")  # how a cell of numbers begins; its unit may follow
FOLDED_WORD = 6  # characters of a long word, such as a path, that a narrow column shows on each line
STATES = {"made": "green", "fresh": "dim", "failed": "bold red", "held": "yellow"}


@contextlib.contextmanager
def bars() -> Iterator[None]:
    """Show a bar on standard error for each piece of work inside the block, while it lasts.

    If it is no terminal but, for example, the log of a CI job, print a line every `QUIET_SECONDS` instead.
    """
    if wants_json() or not err.is_terminal:
        tell = log_listener(_say_progress, QUIET_SECONDS)
        with listen(lambda progress: None if progress.ended else tell(progress)):
            yield
        return
    columns = (
        TextColumn("  {task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[more]}"),
    )
    with Bars(*columns, console=err, transient=True) as progress:
        shown: dict[str, Any] = {}
        seen: dict[str, float] = {}

        def listener(work: Progress) -> None:
            if work.label not in shown:
                shown[work.label] = progress.add_task(work.label, total=work.total, more="")
            task = shown[work.label]
            if work.ended:
                progress.remove_task(shown.pop(work.label))
            elif time.monotonic() - seen.get(work.label, 0.0) >= BAR_SECONDS:
                seen[work.label] = time.monotonic()
                progress.update(task, completed=work.done, total=work.total, more=work.more())
            else:
                progress.update(task, completed=work.done, total=work.total)

        with listen(listener):
            yield


def _say_progress(line: str) -> None:
    say(line if wants_json() else f"         {line}", err)


def say(message: str, console: Console = out, style: str = "", level: int = logging.INFO) -> None:
    """Print a message without markup, because data may look like markup.

    A terminal shows it folded between words, so that no number is torn; a log or a pipe has it on one line. What goes
    to standard error is a JSON line of this level where DISTILL_LOG_FORMAT asks for that.
    """
    if console is err and wants_json():
        write_line(level, message)
        return
    text = fold(message, console.width) if console.is_terminal else message
    console.print(Text(text, style=style), soft_wrap=True)


def fold(text: str, width: int) -> str:
    """The text in lines of at most `width` characters, except for a longer word, such as a path, which stays whole."""
    wrapper = textwrap.TextWrapper(width, break_long_words=False, break_on_hyphens=False)
    return "\n".join(wrapper.fill(line) for line in text.split("\n"))


def shown_path(path: Path | str) -> str:
    """A path for people: relative to the working folder if it lies below it. A URL stays as it is."""
    below = "://" not in str(path) and Path(path).is_relative_to(Path.cwd())
    return str(Path(path).relative_to(Path.cwd())) if below else str(path)


def say_step(title: str, state: str, why: str = "") -> None:
    """Print one line to standard error when a step ends, with the first line of the reason if it was not made.

    On a terminal, a bar shows that a step has started.
    """
    if state == "started":
        if wants_json() or not err.is_terminal:  # a terminal shows the bar instead
            say(_line("making", title), err)
    elif state in STATES:
        reason = f": {why.strip().splitlines()[0]}" if why.strip() else ""
        level = logging.ERROR if state == "failed" else logging.INFO
        say(_line(state, f"{title}{reason}"), err, STATES[state], level)


def _line(state: str, what: str) -> str:
    return f"{state} {what}" if wants_json() else f"{state:>7}  {what}"


def say_error(message: str) -> None:
    """Print an error to standard error."""
    say(message if wants_json() else f"error: {message}", err, "bold red", logging.ERROR)


def say_warning(message: str) -> None:
    """Print a warning in the same way."""
    say(message if wants_json() else f"warning: {message}", err, "yellow", logging.WARNING)


@dataclass(frozen=True, slots=True)
class Grid:
    """A table with numbers aligned to the right. Where it is narrow, words are folded, and numbers stay whole.

    With `whole_labels`, the first column is never folded. A terminal that is too narrow for all columns gets one line
    for each cell.
    """

    title: str | None
    columns: list[str]
    rows: list[list[str]]
    whole_labels: bool = False

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        widths = self._widths(options.max_width - 3 * len(self.columns) - 1)
        yield Text("\n".join(self._lines(options.max_width))) if widths is None else self._table(widths)

    def _widths(self, room: int) -> list[int] | None:
        """The widths of the columns: what each wants, up to a limit for all of them, and at least what it needs.

        None if there is too little room.
        """
        each = zip(self.columns, *self.rows, strict=True)
        wanted = [max([1, *(cell_len(line) for cell in cells for line in cell.splitlines())]) for cells in each]
        least = [min(self._least_width(i), wanted[i]) for i in range(len(self.columns))]
        limits = range(max(wanted, default=0), -1, -1)  # rich's own division of the room cuts off what a column needs
        found = ([max(few, min(many, limit)) for few, many in zip(least, wanted, strict=True)] for limit in limits)
        return next((widths for widths in found if sum(widths) <= room), None)

    def _has_numbers(self, i: int) -> bool:
        return i > 0 and all(NUMBER.match(row[i]) for row in self.rows if row[i])

    def _least_width(self, i: int) -> int:
        """What a column needs: whole labels, numbers and words of its title, and of other texts a part of a word."""
        whole = self.whole_labels and i == 0
        words = [word for row in self.rows for word in ([row[i]] if whole else row[i].split())]
        longest = max(map(cell_len, words), default=0)
        needed = longest if whole or self._has_numbers(i) else min(longest, FOLDED_WORD)
        return max(needed, *map(cell_len, self.columns[i].split()), 1)

    def _table(self, widths: list[int]) -> Table:
        grid = Table(title=self.title, title_justify="left")
        for i, (column, width) in enumerate(zip(self.columns, widths, strict=True)):
            grid.add_column(column, justify="right" if self._has_numbers(i) else "left", overflow="fold", width=width)
        for row in self.rows:
            grid.add_row(*map(Text, row))
        return grid

    def _lines(self, width: int) -> Iterator[str]:
        if self.title:
            yield fold(self.title, width)
        for row in self.rows:
            yield fold(row[0], width)
            cells = zip(self.columns[1:], row[1:], strict=True)
            yield from (fold(f"  {column}: {cell}", width) for column, cell in cells if cell)


def table(title: str | None, columns: list[str], rows: list[list[Any]], whole_labels: bool = False) -> Grid:
    """A table of cells of any type; an empty cell is None or ""."""
    return Grid(title, columns, [["" if cell is None else str(cell) for cell in row] for row in rows], whole_labels)

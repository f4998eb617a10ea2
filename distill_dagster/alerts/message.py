"""The text of an alert: a title and a body in plain text.

    [intent] ERROR: enough_answers on teacher_outputs[train-part-03]

    ERROR: check enough_answers failed on teacher_outputs, shard train-part-03
    612 of 1,250 prompts have a whole answer (49.0%); at least 70.0% are wanted
    success_share: 0.4896, failed: 12, truncated: 626
    Nothing that follows is made until the check passes.
    http://127.0.0.1:3000/runs/6d3c…
    1. row train.csv#15: truncated
       The premise says that the order

The notifier sends plain text and escapes it for HTML, Markdown and Slack, so that rows of a dataset cannot format, link
or run anything. `shown` does the rest: it makes a row one redacted, shortened line without control characters, and
breaks its links, tags and @names with an invisible character.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from distill_dagster.redaction import redact

AlertSeverity = Literal["info", "warn", "error"]
EXAMPLE = 160  # characters of an example row
DESCRIPTION = 600  # characters of what a check or an error says
NUMBERS = 12  # of a check's numbers
DETAILED = 5  # failures that one message describes in full
LISTED = 20  # further failures that it names
LOOKED_AT = 20  # characters read for each one shown, because redaction shortens the text
WORD_JOINER = "\u2060"
BREAKS = {"Cc": " ", "Zl": " ", "Zp": " ", "Cf": "", "Cs": "", "Co": ""}  # Cf: also bidirectional overrides
LIVE = re.compile(r"@|:(?=//)|\bwww(?=\.)|<(?=\S)")  # services turn these into mentions, links and tags


@dataclass(frozen=True, slots=True)
class Example:
    """A row that shows what is wrong; its three texts come unchanged from the table."""

    row: str  # its id, or its line in the source file
    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed check, or a run that failed for another reason (then `check` is None)."""

    asset: str
    shard: str | None
    check: str | None
    severity: AlertSeverity
    description: str
    run_id: str
    blocking: bool = False
    numbers: dict[str, int | float | str] = field(default_factory=dict)
    examples: tuple[Example, ...] = ()

    @property
    def place(self) -> str:
        """The asset or its shard, such as `teacher_outputs[train-part-03]`."""
        return f"{self.asset}[{self.shard}]" if self.shard else self.asset

    @property
    def key(self) -> str:
        """Equal keys are the same failure for `alerts.repeat_hours`; another severity makes another failure."""
        return f"{self.check or 'run'} on {self.place}: {self.severity}"

    @property
    def title(self) -> str:
        """The failure in one line."""
        return f"{self.severity.upper()}: {f'{self.check} on' if self.check else 'run failed at'} {self.place}"


@dataclass(frozen=True, slots=True)
class Message:
    """The text that is delivered, with the highest severity of its failures."""

    title: str
    body: str
    severity: AlertSeverity


def shown(text: str, limit: int) -> str:
    """Text from outside as one harmless line of at most `limit` visible characters; see the module's docstring."""
    characters = (BREAKS.get(unicodedata.category(c), c) for c in text[: limit * LOOKED_AT])
    line = redact(" ".join("".join(characters).split()))
    cut = line if len(line) <= limit else line[: limit - 1] + "…"
    return LIVE.sub(lambda match: match[0] + WORD_JOINER, cut)


def by_severity(failures: Sequence[Failure]) -> list[Failure]:
    """Errors first, otherwise in the given order; a message describes the first `DETAILED` in full."""
    return sorted(failures, key=lambda failure: failure.severity != "error")


def compose(project: str, failures: Sequence[Failure], ui_url: str) -> Message:
    """One message about all `failures` (at least one), errors first."""
    ordered = by_severity(failures)
    first, rest = ordered[0], len(ordered) - 1
    blocks = [_block(failure, ui_url) for failure in ordered[:DETAILED]]
    listed = ordered[DETAILED : DETAILED + LISTED]
    if listed:
        lines = [f"{failure.title} {_link(failure, ui_url)}" for failure in listed]
        more = rest + 1 - DETAILED - len(listed)
        blocks.append("\n".join(["Also:", *lines, *([f"and {more:,} more"] if more else [])]))
    title = f"[{project}] {first.title}" + (f", and {rest:,} more" if rest else "")
    return Message(title, "\n\n".join(blocks), first.severity)


def _block(failure: Failure, ui_url: str) -> str:
    what = f"check {failure.check} failed on" if failure.check else "the run failed at"
    shard = f", shard {failure.shard}" if failure.shard else ""
    numbers = ", ".join(f"{name}: {_number(value)}" for name, value in list(failure.numbers.items())[:NUMBERS])
    held = "Nothing that follows is made until the check passes." if failure.blocking else ""
    lines = [
        f"{failure.severity.upper()}: {what} {failure.asset}{shard}",
        shown(failure.description, DESCRIPTION),
        numbers,
        held,
        _link(failure, ui_url),
        *(_example(number, example) for number, example in enumerate(failure.examples, 1)),
    ]
    return "\n".join(line for line in lines if line)


def _link(failure: Failure, ui_url: str) -> str:
    return f"{ui_url}/runs/{failure.run_id}"


def _number(value: int | float | str) -> str:
    if isinstance(value, str):
        return shown(value, 60)
    return f"{value:.4g}" if isinstance(value, float) else f"{value:,}"


def _example(number: int, example: Example) -> str:
    text = shown(example.text, EXAMPLE)
    head = f"{number}. {shown(example.row, 80)}: {shown(example.reason, 120)}"
    return f"{head}\n   {text}" if text else head

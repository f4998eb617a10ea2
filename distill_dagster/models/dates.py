"""Pins the date that a chat template writes into every prompt.

Templates of several families write today's date: they call `strftime_now`, which asks the clock, or they read
`date_string`. Then the same row has other tokens tomorrow. So the template is changed where the tokenizer is opened,
before anything is rendered, and the student's folder ships the changed template:

    {{ 'Today: ' + strftime_now('%d %b %Y') }}    ->    {%- macro strftime_now(format) -%}…{%- endmacro %}
                                                        {{ 'Today: ' + strftime_now('%d %b %Y') }}

The macro hides the function of that name. It replaces each directive (`%d`) by its value, so that any program that
renders the folder's template writes the same date. A template that writes no date stays as it is.
"""

import re
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from distill_dagster.models.entries import entry
from distill_dagster.models.templates import change_templates

CLOCK, DATE_STRING = "strftime_now", "date_string"
DEFAULT = date(2024, 7, 26)  # Llama 3's own template falls back to it where it cannot ask the clock
DATE_STRING_FORMAT = "%d %b %Y"  # the one that Llama 3 documents
DIRECTIVES = "aAbBcdDeFHIjmMpRSTuUVwWxXyYzZG"  # of `strftime`, each with and without a zero in front where it has one
PADDED = "dHIjmMSUWy"
OURS = re.compile(
    rf"\A(\{{%- macro {CLOCK}\(format\) -%\}}.*?\{{%- endmacro %\}}\n)?"
    rf"(\{{%- set {DATE_STRING} = '\d\d \w+ \d+' %\}}\n)?"
)


def pin_date(tokenizer: Any, chosen: date | None) -> None:
    """Let the tokenizer's templates write `chosen`, or `DEFAULT` where they would ask the clock.

    Without `chosen` a template keeps the date that it was pinned to before, and its own value of `date_string`.
    """
    change_templates(tokenizer, lambda template: pinned_template(template, chosen))


def mentions_date(folder: Path) -> bool:
    """Whether a chat template in a model's folder may write a date."""
    texts = [path.read_text(encoding="utf-8", errors="replace") for path in sorted(folder.glob("*.jinja"))]
    texts.append(str(entry(folder / "tokenizer_config.json", "chat_template")))
    return any(CLOCK in text or DATE_STRING in text for text in texts)


def pinned_template(template: str, chosen: date | None) -> str:
    """The template with the date in front; unchanged if it writes none."""
    before = OURS.match(template)
    assert before is not None, "both groups are optional"
    own = template[before.end() :]
    if chosen is None and (before[1] or CLOCK not in own):
        return template
    macro = _macro(chosen or DEFAULT) if CLOCK in own else ""
    text = f"{{%- set {DATE_STRING} = '{chosen.strftime(DATE_STRING_FORMAT)}' %}}\n" if chosen else ""
    return macro + (text if DATE_STRING in own else "") + own


def _macro(day: date) -> str:
    """`strftime_now` as a Jinja macro. Its last line break is the one that `trim_blocks` drops."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    names = [f"-{letter}" for letter in PADDED] + list(DIRECTIVES)
    values = {f"%{name}": midnight.strftime(f"%{name}") for name in names}
    replaced = "".join(f" | replace('{name}', '{value}')" for name, value in values.items())
    return f"{{%- macro {CLOCK}(format) -%}}{{{{- format{replaced} -}}}}{{%- endmacro %}}\n"

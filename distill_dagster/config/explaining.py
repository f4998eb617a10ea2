"""Says what is wrong with a config, with the line of each field, and what was meant if that is near.

    /p/distill.yaml:34: unknown field learning_rat, did you mean learning_rate? (in student.training)

One problem is one line. Several are listed below the file's name.
"""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from distill_dagster.config.credentials import NAMES_A_VARIABLE, PLACE, shown
from distill_dagster.config.k8s import LABEL, NAME, NO_LABEL
from distill_dagster.config.key_shapes import dotted, name_shown, without_keys
from distill_dagster.config.project import DistillConfig
from distill_dagster.config.section import Section
from distill_dagster.config.written import Location, Place
from distill_dagster.errors import ConfigError

FORMS = {  # what the patterns of the fields mean
    r"^[A-Za-z_][A-Za-z0-9_]*$": "put the variable's NAME here, not its value: letters, digits and _",
    r"^https?://[^/@\s]+(/\S*)?$": "write a URL such as https://host/path, without credentials",
    r"^[A-Za-z0-9][A-Za-z0-9_-]{0,60}$": "use letters, digits, _ and -, at most 61, and begin with a letter or digit",
    r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}$": "use letters, digits, ., _ and -, at most 96; begin with a letter or digit",
    r"^[A-Za-z0-9._-]+/[A-Za-z0-9._-]+$": "write the name on the hub with its owner, such as openai/gsm8k",
    r"^[a-z][a-z0-9+.-]*://[^@\s]+$": "write a URL such as s3://models/support, without credentials",
    r"^[\x20-\x7e]+$": "use printable ASCII characters",
    r"^(auto|[A-Za-z0-9._-]+:[0-9]{1,5})$": "write auto, or the head's address such as 10.0.0.1:6379",
    r"^\S+$": "write it without spaces",
    NAME: "use lower-case letters, digits, - and ., and begin with a letter or digit",
    LABEL: "write a key such as nvidia.com/gpu",
    NO_LABEL: "write a key such as nvidia.com/gpu.memory, or nothing",
    r"^([A-Za-z_][A-Za-z0-9_]*)?$": "use letters, digits and _, and do not begin with a digit",
}
LONGEST_NAME = 40
QUOTED = re.compile(r"'([^']*)'")


@dataclass(frozen=True, slots=True)
class Source:
    """Where a config comes from: its name, its values before variables are expanded, and where they are written."""

    where: str
    raw: Any = None
    places: Mapping[Location, Place] = field(default_factory=dict)

    def error(self, problems: Sequence[tuple[Location, str]]) -> ConfigError:
        """The error that lists the problems, each with its location."""
        if len(problems) == 1:
            ((at, message),) = problems
            return ConfigError(f"{self._at(self.where, at)}: {message}")
        name = Path(self.where).name if self.places else ""
        lines = [f"  {self._at(name, at)}: {message}" if name else f"  {message}" for at, message in problems]
        return ConfigError(f"{self.where}: {len(problems)} problems\n" + "\n".join(lines))

    def written(self, at: Location) -> str | None:
        """The text of a plain scalar, such as `1.10` for the number 1.1; None if it is quoted or not in a file."""
        place = self.places.get(at)
        return place.text if place else None

    def before(self, at: Location) -> Any:
        """The value before variables are expanded."""
        value = self.raw
        for part in at:
            if not _holds(value, part):
                return None
            value = value[part]
        return value

    def _at(self, name: str, at: Location) -> str:
        """The name with the line of the location, or of the nearest section around it."""
        for end in range(len(at), -1, -1):
            if at[:end] in self.places and end:
                return f"{name}:{self.places[at[:end]].line}"
        return name


def explain(error: ValidationError, source: Source, values: Any) -> ConfigError:
    """The error that lists what pydantic found in `values`."""
    found = [_explain(details, source, values) for details in error.errors()]
    return source.error(list(dict.fromkeys(found)))


def locate(loc: Sequence[str | int], values: Any) -> Location:
    """A pydantic location without the names of union branches: only keys and indices that the values have."""
    at: list[str | int] = []
    for part in loc:
        if _holds(values, part):
            at.append(part)
            values = values[part]
    return tuple(at)


def _holds(values: Any, part: str | int) -> bool:
    if isinstance(values, dict):
        return part in values
    return isinstance(values, list) and isinstance(part, int) and part < len(values)


def _explain(details: ErrorDetails, source: Source, values: Any) -> tuple[Location, str]:
    at, kind = locate(details["loc"], values), details["type"]
    if kind == "extra_forbidden":
        return at, _unknown(at)
    if kind == "missing":
        return at, f"{dotted((*at, details['loc'][-1]))}: this field is required"
    message = without_keys(details["msg"].removeprefix("Value error, "))
    if kind == "string_pattern_mismatch":
        message = FORMS[details["ctx"]["pattern"]]  # pyright: ignore[reportTypedDictNotRequiredAccess]
    elif kind == "string_type" and details["input"] is None:
        message = "this is no text: write it in quotes if it is, or leave the field out"
    elif kind == "literal_error":
        message += _near(str(details["input"]), QUOTED.findall(message), quote="'")
    return at, f"{dotted(at)}: {message}{_got(details['input'], source, at)}".removeprefix(": ")


def _unknown(at: Location) -> str:
    """An unknown field, with the one that was meant, or the section that it belongs to."""
    *section, name = at
    said = f"unknown field {_name(name)}"
    inside = f" (in {dotted(tuple(section))})" if section else ""
    if name_shown(name) != str(name):
        return f"{said}, which looks like a key{inside}: {PLACE}"
    known = [*getattr(section_at(tuple(section)), "model_fields", ())]
    fields = list(fields_of(DistillConfig))
    near = difflib.get_close_matches(str(name), dict.fromkeys(str(path[-1]) for path in fields), n=1, cutoff=0.8)
    is_nearer = bool(near) and near[0] not in (name, *known)  # a field of another section than any of this one
    if not is_nearer and (own := _near(str(name), known)):
        return f"{said}{own}{inside}"
    if elsewhere := [path for path in fields if path[-1] == name]:
        return f"{said}{inside}: it belongs in {dotted(elsewhere[0][:-1]) or 'the top level'}"
    if near:
        place = next(path for path in fields if path[-1] == near[0])
        return f"{said}, did you mean {near[0]}?{inside} It belongs in {dotted(place[:-1]) or 'the top level'}"
    return f"{said}{inside}: remove it; docs/config.md lists the fields"


def _name(part: str | int) -> str:
    text = name_shown(part)
    return text if len(text) <= LONGEST_NAME else f"{text[:LONGEST_NAME]}…"


def _near(given: str, known: Sequence[str], quote: str = "") -> str:
    near = difflib.get_close_matches(given, known, n=1, cutoff=0.7)
    return f", did you mean {quote}{near[0]}{quote}?" if near else ""


def _got(value: Any, source: Source, at: Location) -> str:
    """The value that was given; that of a variable is not shown, for it may be a secret."""
    before = source.before(at)
    if isinstance(before, str) and before != value and at[-1:] and at[-1] not in NAMES_A_VARIABLE:
        return f" (got the value of {shown(before, at)})"
    return f" (got {shown(value, at)})" if isinstance(value, str | int | float | bool | None) else ""


def section_at(at: Location) -> type[Section] | None:
    """The section of the config at a location; None if no such section exists."""
    model: type[Section] | None = DistillConfig
    for part in at:
        if isinstance(part, str):
            known = model.model_fields.get(part) if model else None
            model = _section_in(known.annotation) if known else None
    return model


def fields_of(model: type[Section], above: Location = ()) -> Iterator[Location]:
    """The location of every field, section by section."""
    for name, info in model.model_fields.items():
        yield (*above, name)
        if inner := _section_in(info.annotation):
            yield from fields_of(inner, (*above, name))


def _section_in(annotation: Any) -> type[Section] | None:
    """The section in an annotation such as `list[MixedTeacher]` or `BestOfConfig | None`."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    return next((found for inner in get_args(annotation) if (found := _section_in(inner))), None)

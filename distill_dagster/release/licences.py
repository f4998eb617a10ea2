"""The terms of models, as dated data (licences.yaml), and which of them are those of a name, a host, or a model card.

>>> for_model("meta-llama/Llama-3.1-8B-Instruct").name_starts_with
'Llama'
>>> for_model("someone/Llama-3.1-8B-merged") is None       # nobody has read what holds for it
True
>>> for_host("api.openai.com").training
'not_competing'

None of this is legal advice.
"""

import re
from collections.abc import Iterable
from datetime import date
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Literal

import yaml
from pydantic import Field, field_validator

from distill_dagster.config import Section, TaskName

FILE = Path(__file__).with_name("licences.yaml")
NOT_ADVICE = "This is not legal advice: it sums up the terms as they were on the dates that it names."

Training = Literal["allowed", "same_family", "not_competing", "research"]


class Licence(Section):
    """The terms of one family of models, or of a maker's API; licences.yaml explains the fields."""

    family: str
    maker: str
    models: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    hub: tuple[str, ...] = ()
    licence: str
    hub_licence: str | None = None
    training: Training
    excepted_tasks: tuple[TaskName, ...] = ()
    exception: str = ""
    derivative: bool = False
    name_starts_with: str = ""
    outputs_notices: tuple[str, ...] = ()
    weights_notices: tuple[str, ...] = ()
    duties: tuple[str, ...] = ()
    clause: str
    url: str = Field(pattern=r"^https://")
    read: date
    copied_from: str = Field(alias="copy")

    @field_validator("models")
    @classmethod
    def _are_patterns(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in value:
            re.compile(pattern)
        return value

    @property
    def source(self) -> str:
        """Where the terms are, and when they were read."""
        return f"{self.url}, read {self.read.isoformat()}"

    @property
    def is_service(self) -> bool:
        """Whether these are the terms of an API, which has no weights to pass on."""
        return bool(self.hosts)


@cache
def licences() -> tuple[Licence, ...]:
    """All entries, in the order of the file."""
    found = yaml.safe_load(FILE.read_text(encoding="utf-8"))["licences"]
    return tuple(Licence.model_validate(entry) for entry in found)


def for_model(name: str) -> Licence | None:
    """The terms of a model by its whole name, in any case; None: unknown."""
    return _only(entry for entry in licences() if any(re.fullmatch(p, name, re.IGNORECASE) for p in entry.models))


def for_host(host: str) -> Licence | None:
    """The terms of the API at a host; None: unknown."""
    return _only(entry for entry in licences() if any(fnmatch(host.casefold(), pattern) for pattern in entry.hosts))


def for_hub_licence(licence: str) -> Licence | None:
    """The terms behind a licence id of the hub, such as `apache-2.0`; None: unknown."""
    return _only(entry for entry in licences() if licence.casefold() in entry.hub)


def _only(found: Iterable[Licence]) -> Licence | None:
    entries = list(found)
    assert len(entries) < 2, f"licences.yaml has several entries: {', '.join(entry.family for entry in entries)}"
    return entries[0] if entries else None

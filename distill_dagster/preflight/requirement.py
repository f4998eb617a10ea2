"""A requirement of the steps that a run would make, and whether it is met.

Requirement("key", "gpt-4o", "error", "… OPENAI_API_KEY, which is not set: export it, and start again")
Requirement("memory", "student_checkpoint", "warning", "about 19.8 GB of 24.0 GB, before activations")
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from distill_dagster.errors import UserError

State = Literal["ok", "warning", "error", "not checked"]
LATER = "`distill-dagster check` looks at it"


@dataclass(frozen=True, slots=True)
class Requirement:
    """What is needed, by whom, and what was found. `error`: the run cannot work; `warning`: it probably will not."""

    what: (
        str  # key | endpoint | model | licence | rows | gold answers | pairing | export | package | place | memory | …
    )
    of: str  # the model, the step or the folder that needs it
    state: State
    found: str


def require(what: str, of: str, look: Callable[[], str]) -> Requirement:
    """`ok` with what `look` returns, or `error` with the user's error that it raises."""
    try:
        return Requirement(what, of, "ok", look())
    except UserError as e:
        return Requirement(what, of, "error", str(e))


def errors_of(requirements: Iterable[Requirement]) -> list[Requirement]:
    """The requirements that make the run impossible."""
    return [requirement for requirement in requirements if requirement.state == "error"]

"""What the licences say about a project: whether its student may be released, under which name, with which notices.

    teacher gpt-4o, task qa                    disallowed   no model that competes with the maker's
    teacher gpt-4o, task classification        to check     allowed on a condition that nobody here can see
    teacher Llama 3.1                          allowed      a released name begins with `Llama`
    teacher my-model behind an endpoint        to check     its licence is not listed

A disallowed use stops a release. One to check needs `release.i_have_checked_the_licence: true`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from distill_dagster.config import DistillConfig
from distill_dagster.errors import ConfigError
from distill_dagster.release.licences import Licence
from distill_dagster.release.used_models import Role, UsedModel, used_models

State = Literal["allowed", "to check", "disallowed"]
CONFIRM = "`release.i_have_checked_the_licence: true`"


@dataclass(frozen=True, slots=True)
class LicenceFinding:
    """What one licence says of the use of one model. `licence` is None if it is unknown."""

    role: Role
    name: str
    licence: Licence | None
    state: State
    says: str


def findings(config: DistillConfig) -> list[LicenceFinding]:
    """A finding for every model of others that the project uses, and for each of its licences."""
    found = used_models(config)
    return [_judge(used, config, found) for used in found]


def _judge(used: UsedModel, config: DistillConfig, found: Sequence[UsedModel]) -> LicenceFinding:
    licence = used.licence
    if licence is None:
        state, says = "to check", f"{used.why}: read the terms, and confirm with {CONFIRM} that they allow this"
    elif used.role == "student":
        state, says = _as_base(licence)
    else:
        state, says = _as_teacher(licence, config, found)
    return LicenceFinding(used.role, used.name, licence, state, says)


def _as_base(licence: Licence) -> tuple[State, str]:
    """Whether a student may be derived from the weights."""
    if licence.training == "research":
        return "to check", f"{_research(licence)}; confirm with {CONFIRM} that this use is research"
    return "allowed", f"{licence.licence}{_naming(licence)} ({licence.source})"


def _as_teacher(licence: Licence, config: DistillConfig, found: Sequence[UsedModel]) -> tuple[State, str]:
    """Whether a student may be trained on the outputs."""
    terms = f"{licence.clause} ({licence.source})"
    if licence.training == "research":
        return "to check", f"{_research(licence)}; confirm with {CONFIRM} that this use is research"
    if licence.training == "not_competing" and config.task in licence.excepted_tasks:
        return "to check", f"allowed only by {licence.exception} ({licence.source}); if that holds, set {CONFIRM}"
    if licence.training == "not_competing" or (licence.training == "same_family" and not _in_family(licence, found)):
        return "disallowed", f"this teacher's terms do not allow training on its outputs: {terms}"
    return "allowed", f"{licence.licence}{_naming(licence)} ({licence.source})"


def _in_family(licence: Licence, found: Sequence[UsedModel]) -> bool:
    """Whether the student is derived from a model of the same family."""
    return any(used.role == "student" and used.licence == licence for used in found)


def _research(licence: Licence) -> str:
    return f"{licence.licence} allows research only: {licence.clause} ({licence.source})"


def _naming(licence: Licence) -> str:
    return f"; a released name begins with `{licence.name_starts_with}`" if licence.name_starts_with else ""


def release_problems(config: DistillConfig, found: Sequence[LicenceFinding] | None = None) -> list[str]:
    """Why the student of this project may not be released; [] if no licence holds it back.

    `found` are the findings, if they are known already.
    """
    found = findings(config) if found is None else found
    return [*_uses(config, found), *name_problems(config, found)]


def require_licences(config: DistillConfig) -> None:
    """Raise ConfigError with the clauses if the student of this project may not be released."""
    if problems := release_problems(config):
        raise ConfigError("; ".join(problems))


def _uses(config: DistillConfig, found: Sequence[LicenceFinding]) -> Iterator[str]:
    checked = config.release is not None and config.release.i_have_checked_the_licence
    for finding in found:
        what = f"{finding.role} {finding.name}: {finding.says}"
        if finding.state == "disallowed":
            yield f"{what}. Its student cannot be released: take a teacher whose terms allow it"
        elif finding.state == "to check" and not checked:
            yield what


def name_problems(config: DistillConfig, found: Sequence[LicenceFinding]) -> Iterator[str]:
    """What is wrong with `release.name`, by each licence that demands how a name begins."""
    name = released_name(config, found)
    for finding in found:
        prefix = finding.licence.name_starts_with if finding.licence else ""
        if not _begins(name, prefix):
            assert finding.licence is not None, "an unknown licence demands no name"
            yield (
                f"{finding.role} {finding.name}: {finding.licence.licence} demands a name that begins with `{prefix}`, "
                f"and `release.name` is {name!r}: name it {_hyphens(prefix)}-{name}, or leave `release.name` out "
                f"({finding.licence.source})"
            )


def released_name(config: DistillConfig, found: Sequence[LicenceFinding] | None = None) -> str:
    """`release.name`, or else the project's name behind the longest prefix that a licence demands."""
    if config.release and config.release.name:
        return config.release.name
    found = findings(config) if found is None else found
    prefix = max((f.licence.name_starts_with for f in found if f.licence), key=len, default="")
    return config.name if _begins(config.name, prefix) else f"{_hyphens(prefix)}-{config.name}"


def _begins(name: str, prefix: str) -> bool:
    """Whether a name begins with a prefix; a hyphen, as the hub wants it, counts as a space."""
    return _hyphens(name).startswith(_hyphens(prefix))


def _hyphens(text: str) -> str:
    return text.replace(" ", "-").replace("_", "-")


def stays_under(found: Sequence[LicenceFinding]) -> list[Licence]:
    """The licences that hold for the student's own weights: those of its base, and those that follow its teachers."""
    held = [f.licence for f in found if f.licence and not f.licence.is_service]
    bases = [f.licence for f in found if f.role == "student"]
    return list(dict.fromkeys(licence for licence in held if licence in bases or licence.derivative))


def notices(found: Sequence[LicenceFinding]) -> list[str]:
    """The sentences that belong beside the released weights, each once."""
    weights = [text for licence in stays_under(found) for text in licence.weights_notices]
    outputs = [text for f in found if f.role == "teacher" and f.licence for text in f.licence.outputs_notices]
    return list(dict.fromkeys([*weights, *outputs]))


def notice_file(found: Sequence[LicenceFinding]) -> str | None:
    """The text of the file NOTICE beside the released weights; None if no licence demands one."""
    sentences = notices(found)
    return "\n\n".join(sentences) + "\n" if sentences else None


def duties(found: Sequence[LicenceFinding]) -> list[tuple[Licence, tuple[str, ...]]]:
    """What whoever passes the student on must do besides, by the licences that hold for its weights or its outputs."""
    held = stays_under(found)
    taught = [f.licence for f in found if f.licence and f.licence.outputs_notices]
    return [(licence, licence.duties) for licence in dict.fromkeys([*held, *taught]) if licence.duties]

"""What the licences of the models say, before a teacher is paid whose answers may not be learned.

A disallowed use, and one that a licence allows on a condition, are warnings in every project. An unknown licence, and a
name that a licence refuses, only hold back a release: they are warnings where the project has a section `release:`.
"""

from collections.abc import Iterator

from distill_dagster.config import DistillConfig
from distill_dagster.preflight.pending import Pending
from distill_dagster.preflight.requirement import Requirement, State
from distill_dagster.release.findings import LicenceFinding, findings, name_problems

ASKS_OR_PINS = {"teacher_model", "teacher_outputs", "student_base"}


def licence_requirements(pending: Pending) -> Iterator[Requirement]:
    """A requirement for each finding, if a pending step pins a model or asks the teacher."""
    if not ASKS_OR_PINS & set(pending.stages):
        return
    config = pending.config
    found = findings(config)
    for finding in found:
        if finding.licence or config.release:
            state = _state(finding, config)
            yield Requirement("licence", finding.name, state, finding.says + _held(finding, state, config))
    for problem in name_problems(config, found) if config.release else ():
        yield Requirement("licence", "release.name", "warning", problem)


def _held(finding: LicenceFinding, state: State, config: DistillConfig) -> str:
    """What an unconfirmed licence holds back."""
    is_held = config.release is not None and finding.state == "to check" and state == "warning"
    return "; no student is released until you confirm this" if is_held else ""


def _state(finding: LicenceFinding, config: DistillConfig) -> State:
    if finding.state == "allowed":
        return "ok"
    is_checked = config.release is not None and config.release.i_have_checked_the_licence
    return "ok" if finding.state == "to check" and is_checked else "warning"

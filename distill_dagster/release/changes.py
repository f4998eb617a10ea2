"""How the state changes: by a judgement of the worker, or by a person's decision.

    approve       the student that waits becomes the released one
    roll back     the student that was released before becomes the released one again; the withdrawn one waits

So an approval undoes a rollback. A student that was rolled back is never released again without an approval.
"""

from pathlib import Path

from distill_dagster.errors import DataError
from distill_dagster.release.gate import short
from distill_dagster.release.register import Register, folders_in, read_register, write_register
from distill_dagster.release.specs import ReleaseResult, ReleaseState


def promoted(state: ReleaseState, student: str, keep: int) -> ReleaseState:
    """The state in which a student is the released one, and at most `keep` released students are kept."""
    champions = [student, *(other for other in state.champions if other != student)][:keep]
    return state.model_copy(update={"first": state.first or student, "champions": champions, "waiting": None})


def without_waiting(register: Register, why: str, who: str, run_id: str | None = None) -> Register:
    """The register in which no student waits any more; refused with this reason is the one that did."""
    waiting = register.state.waiting
    if waiting is None:
        return register
    state = register.state.model_copy(update={"waiting": None})
    return register.with_decision(state, student=waiting, outcome="refused", why=why, who=who, run_id=run_id)


def approve(earlier: Path, out: Path, who: str, keep: int) -> ReleaseResult:
    """Write the release in which the student that waits is the released one.

    Raises:
        DataError: no student waits.
    """
    register = read_register(earlier)
    state, student = register.state, register.state.waiting
    if student is None:
        raise DataError(
            f"no student waits for approval; the released one is {short(state.champion)}. `distill-dagster releases` "
            "lists the decisions"
        )
    why = f"it replaces {short(state.champion)}" if state.champion else "it is the first release"
    after = register.with_decision(
        promoted(state, student, keep), student=student, outcome="approved", why=why, who=who
    )
    return write_register(out, after, folders_in(earlier, state))


def roll_back(earlier: Path, out: Path, who: str) -> ReleaseResult:
    """Write the release in which the student that was released before is the released one again.

    Raises:
        DataError: no earlier released student is kept.
    """
    register = read_register(earlier)
    state = register.state
    if len(state.champions) < 2:
        if state.champion is None:
            raise DataError("no student is released yet: `distill-dagster releases` says why")
        if state.champion == state.first:
            raise DataError(f"{short(state.champion)} is the first released student: there is no earlier one")
        raise DataError(
            f"the released student is {short(state.champion)}, and no earlier one is kept: `release.keep` says how "
            "many are"
        )
    withdrawn, again, *_ = state.champions
    if state.waiting:
        why = f"{short(withdrawn)}, with which it was compared, was rolled back while it waited for approval"
        register = without_waiting(register, why, who)
    after = state.model_copy(update={"champions": state.champions[1:], "waiting": withdrawn})
    why = f"{short(again)} is the released student again; `distill-dagster approve` undoes this"
    register = register.with_decision(after, student=withdrawn, outcome="rolled back", why=why, who=who)
    return write_register(out, register, folders_in(earlier, state))

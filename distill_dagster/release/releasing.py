"""The worker that judges the present student, and publishes which student is released.

    released 77b0…, challenger 3f2a… passes      3f2a… is released, and 77b0… is kept for a rollback
                    challenger 3f2a… does not    77b0… stays released; the decision says why

A promotion is one publication of the store, so a reader finds the old release or the new one, whole. A refusal
publishes the same model with one decision more, and the artefact's data version stays. Judging the same student again
with the same outcome adds no decision.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from distill_dagster.evaluation.items import item_groups
from distill_dagster.models.ref import read_ref
from distill_dagster.release.changes import promoted, without_waiting
from distill_dagster.release.gate import GateResult, judge, short
from distill_dagster.release.register import Register, folder_of, folders_in, read_register, write_register
from distill_dagster.release.scores import OF_PREDICTIONS, Scored, by_item, items_of
from distill_dagster.release.scoring import score_again
from distill_dagster.release.specs import ReleaseResult, ReleaseSpec
from distill_dagster.report.document import StatedVerdict, read_verdict
from distill_dagster.store import files, parquet
from distill_dagster.store.sharing import replace_texts


def release_student(spec: ReleaseSpec, device: str) -> ReleaseResult:
    """Judge `spec.student`, and write the release into `spec.out`.

    Raises:
        DataError: two students were not scored on the same items.
        ModelError: a kept student that has to be scored again cannot be loaded.
    """
    earlier = Path(spec.earlier) if spec.earlier else None
    before = read_register(earlier)
    folders = {**folders_in(earlier, before.state), spec.student: Path(spec.checkpoint)}
    scored = _scores(spec, before, folders, device)
    after = _decided(spec, _on_present_rows(spec, before, scored))
    result = write_register(Path(spec.out), after, folders)
    if spec.student in after.state.kept:
        replace_texts(folder_of(Path(spec.out), after.state, spec.student) / files.WEIGHTS_FOLDER, spec.beside)
    return result


def _scores(spec: ReleaseSpec, before: Register, folders: dict[str, Path], device: str) -> Scored:
    """The comparable scores: those of the release before, of the challenger, and of students that are asked again."""
    scored = dict(before.scored) if before.state.measured == spec.measured else {}
    for student in spec.unscored:
        model = read_ref(folders[student]).model_copy(update={"dtype": spec.dtype})
        scored[student] = score_again(spec.asks, model, student, device)
    return {**scored, spec.student: items_of(parquet.read_table(Path(spec.predictions), OF_PREDICTIONS))}


def _on_present_rows(spec: ReleaseSpec, before: Register, scored: Scored) -> Register:
    """The register with the present scores. A student that waits was judged by other ones if the rows changed."""
    if before.state.measured not in (None, spec.measured) and before.state.waiting != spec.student:
        why = "the held-out rows, or how students are measured, changed while it waited for approval"
        before = without_waiting(before, why, spec.who, spec.run_id)
    state = before.state.model_copy(update={"test": spec.test, "measured": spec.measured})
    return replace(before, state=state, scored=scored)


def _decided(spec: ReleaseSpec, register: Register) -> Register:
    """The register after the challenger was judged, unless it is the released student or nothing is new."""
    state, student = register.state, spec.student
    if student == state.champion:
        return register
    scored, first = register.scored, state.first if state.first != state.champion else None
    verdict = read_verdict(Path(spec.report))
    found = (
        GateResult(False, "; ".join(spec.problems))
        if spec.problems
        else judge(
            verdict,
            by_item(scored[student]),
            by_item(scored[state.champion]) if state.champion else None,
            by_item(scored[first]) if first else None,
            spec.release,
            spec.evaluation,
            item_groups(scored[student]),
        )
    )
    if not found.passes:
        left = state.model_copy(update={"waiting": None}) if state.waiting == student else state
        return _said(spec, register, left, "refused", found, verdict)
    if needs_approval := _needs_approval(spec, register):
        register = _displaced(spec, register, f"{short(student)} passed too, and waits in its place")
        waits = register.state.model_copy(update={"waiting": student})
        return _said(spec, register, waits, "waiting", replace(found, why=f"{found.why}; {needs_approval}"), verdict)
    register = _displaced(spec, register, f"{short(student)} was released while it waited for approval")
    after = promoted(register.state, student, spec.release.keep)
    return _said(spec, register, after, "promoted", found, verdict)


def _needs_approval(spec: ReleaseSpec, register: Register) -> str | None:
    """Why a student that passes has to be approved; None if it has not."""
    last = register.last_of(spec.student, "promoted", "approved", "rolled back")
    if last and last.outcome == "rolled back":
        return f"it was rolled back at {last.at}: `distill-dagster approve` releases it"
    return "`distill-dagster approve` releases it" if spec.release.approve == "manual" else None


def _displaced(spec: ReleaseSpec, register: Register, why: str) -> Register:
    is_other = register.state.waiting not in (None, spec.student)
    return without_waiting(register, why, spec.who, spec.run_id) if is_other else register


def _said(
    spec: ReleaseSpec, register: Register, state: Any, outcome: Any, found: GateResult, verdict: StatedVerdict
) -> Register:
    """The register with the decision, unless the last one about the student says the same."""
    said = {"outcome": outcome, "why": found.why, "margin": spec.release.margin}
    about = {"test": state.test, "champion": state.champion}
    last = register.last_of(spec.student)
    if last and {**said, **about}.items() <= last.model_dump().items():
        return replace(register, state=state)
    return register.with_decision(
        state,
        **said,
        student=spec.student,
        who=spec.who,
        run_id=spec.run_id,
        verdict=verdict.verdict,
        against_champion=found.against_champion,
        against_first=found.against_first,
    )

"""What a release holds besides the model: the state, all decisions so far, and the scores; and how they are written.

    model.json, model/         the released student, as student_checkpoint has it
    kept/3f2a91c07d3e55ab/     the same of another student: released before, the first one, or one that waits
    release.json               the state
    releases.jsonl             the decisions; each publication holds the lines of the one before, byte for byte
    scores.parquet             the scores of every student that was judged on the present held-out rows

The models are hard links to those of student_checkpoint and of the release before.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from distill_dagster.release.scores import Scored, read_scores, write_scores
from distill_dagster.release.specs import ReleaseCounts, ReleaseDecision, ReleaseResult, ReleaseState
from distill_dagster.store import files, hashing
from distill_dagster.store.sharing import share

PARTS = (files.MODEL_FILE, files.WEIGHTS_FOLDER, files.ADAPTER_FOLDER, files.HISTORY_FILE)
REGISTER = (files.RELEASE_FILE, files.DECISIONS_FILE, files.SCORES_FILE)  # what `read_register` reads
JUDGED = ("promoted", "refused", "waiting")
NOTHING = hashing.sha256("no student is released")  # the data version then


@dataclass(frozen=True, slots=True)
class Register:
    """The state, the decisions with their text on disk, and the scores by student."""

    state: ReleaseState = field(default_factory=ReleaseState)
    decisions: tuple[ReleaseDecision, ...] = ()
    text: str = ""
    scored: Scored = field(default_factory=dict)

    def looks(self, test: str, student: str | None = None) -> int:
        """How many students were judged on an eval_dataset, `student` included."""
        judged = {found.student for found in self.decisions if found.test == test and found.outcome in JUDGED}
        return len(judged | ({student} if student else set()))

    def last_of(self, student: str, *outcomes: str) -> ReleaseDecision | None:
        """The last decision about a student, of one of these outcomes if some are given."""
        found = (
            d for d in reversed(self.decisions) if d.student == student and (not outcomes or d.outcome in outcomes)
        )
        return next(found, None)

    def with_decision(self, state: ReleaseState, **said: Any) -> "Register":
        """The register after a decision that leads to `state`."""
        decision = ReleaseDecision(
            number=len(self.decisions) + 1,
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            champion=state.champion,
            test=state.test,
            looks=self.looks(state.test, said["student"] if said["outcome"] in JUDGED else None) if state.test else 0,
            **said,
        )
        line = decision.model_dump_json() + "\n"
        return replace(self, state=state, decisions=(*self.decisions, decision), text=self.text + line)


def read_register(folder: Path | None) -> Register:
    """The register in the folder of a release; an empty one for None."""
    if folder is None:
        return Register()
    text = (folder / files.DECISIONS_FILE).read_text(encoding="utf-8")
    state = ReleaseState.model_validate_json((folder / files.RELEASE_FILE).read_text(encoding="utf-8"))
    return Register(state, tuple(read_decisions(text)), text, read_scores(folder))


def read_decisions(text: str) -> list[ReleaseDecision]:
    """The decisions in the text of a releases.jsonl."""
    return [ReleaseDecision.model_validate_json(line) for line in text.splitlines() if line]


def folder_of(release: Path, state: ReleaseState, student: str) -> Path:
    """The folder that holds the model of a kept student."""
    return release if student == state.champion else release / files.KEPT_FOLDER / student[:16]


def folders_in(release: Path | None, state: ReleaseState) -> dict[str, Path]:
    """Student -> the folder of its model, of all that a release keeps."""
    return {student: folder_of(release, state, student) for student in state.kept} if release else {}


def unscored(earlier: Path | None, student: str, measured: str) -> list[str]:
    """The champion and the first release, where the release before has no score of them that is comparable."""
    before = read_register(earlier)
    known = before.scored if before.state.measured == measured else {}
    needed = dict.fromkeys(filter(None, (before.state.champion, before.state.first)))
    return [other for other in needed if other != student and other not in known]


def write_register(out: Path, register: Register, folders: Mapping[str, Path]) -> ReleaseResult:
    """Write a release into `out`; `folders` has the model of each student that is to be kept."""
    state = register.state
    for student in state.kept:
        share(folders[student], folder_of(out, state, student), PARTS)
    (out / files.RELEASE_FILE).write_text(state.model_dump_json(indent=1) + "\n", encoding="utf-8")
    (out / files.DECISIONS_FILE).write_text(register.text, encoding="utf-8")
    write_scores(out, register.scored)
    return ReleaseResult(
        data_version=state.champion or NOTHING,
        counts=_counts(register, register.decisions),
        champion=state.champion,
        first=state.first,
        waiting=state.waiting,
        decision=register.decisions[-1] if register.decisions else None,
    )


def _counts(register: Register, decisions: Sequence[ReleaseDecision]) -> ReleaseCounts:
    return ReleaseCounts(
        decisions=len(decisions),
        looks=register.looks(register.state.test) if register.state.test else 0,
        kept=len(register.state.kept),
        items=max(map(len, register.scored.values()), default=0),
    )

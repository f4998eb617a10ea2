"""Students with made scores that are judged for a release, in a store of their own; no model runs.

students = Students(tmp_path, margin=0.01)
students.judge("a", wrong=50)              # of 1,000 items; the first one whose retention passes is released
students.judge("b", wrong=20).champion     # "b" followed by zeros
"""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from distill_dagster.config import EvaluationConfig, PublishConfig, ReleaseConfig, VerdictWord
from distill_dagster.evaluation.specs import BenchmarkSpec
from distill_dagster.lineage.published import files_of
from distill_dagster.lineage.releases import earlier_release
from distill_dagster.lineage.student import RELEASED
from distill_dagster.models.ref import ModelRef
from distill_dagster.release.publish.specs import PublishSpec
from distill_dagster.release.register import Register, read_register, unscored
from distill_dagster.release.releasing import release_student
from distill_dagster.release.specs import ReleaseResult, ReleaseSpec
from distill_dagster.report.document import StatedVerdict
from distill_dagster.store import files, parquet, schemas
from distill_dagster.store.artefacts import Store
from distill_dagster.store.manifest import Manifest
from testing.report_parts import predictions

EVALUATION = EvaluationConfig(resamples=2000)
NAME = 64  # characters of a data version


def named(student: str) -> str:
    """The data version of a student with a short name."""
    return student.ljust(NAME, "0")


def write_verdict(folder: Path, verdict: VerdictWord) -> str:
    """Write the part of a report.json that holds the verdict."""
    said = StatedVerdict(verdict=verdict, target=0.92, reason="", items_needed=None, text=f"it is {verdict}")
    path = folder / f"{verdict}.json"
    path.write_text(json.dumps({"verdict": said.model_dump()}), encoding="utf-8")
    return str(path)


class Students:
    """A store with a release, and made students that are judged for it."""

    def __init__(self, folder: Path, items: int = 1000, **release: Any) -> None:
        self.folder, self.items, self.rule = folder, items, ReleaseConfig(**release)
        self.store, self.runs = Store(folder / "store"), 0

    def checkpoint(self, student: str) -> Path:
        """The folder of a student_checkpoint; unless a test has written a real one, its weights are its name."""
        folder = self.folder / "checkpoints" / student
        if (folder / files.MODEL_FILE).exists():
            return folder
        weights = folder / files.WEIGHTS_FOLDER
        weights.mkdir(parents=True, exist_ok=True)
        (weights / "weights.txt").write_text(student)
        ref = ModelRef(path=files.WEIGHTS_FOLDER, name=student, revision=named(student))
        (folder / files.MODEL_FILE).write_text(ref.model_dump_json())
        return folder

    def spec(
        self,
        student: str,
        out: Path,
        *,
        wrong: int | Collection[int] = 0,
        verdict: VerdictWord = "PASS",
        rows: str = "rows",
        who: str = "a test",
        problems: Collection[str] = (),
    ) -> ReleaseSpec:
        """The spec of a student that is wrong on these items, or on this number of the first ones."""
        missed = set(range(wrong)) if isinstance(wrong, int) else set(wrong)
        found = predictions("student", [float(item not in missed) for item in range(self.items)])
        path = self.folder / f"{student}-{rows}.parquet"
        whole = {"prompt_tokens": 1, "completion_tokens": 1, "latency_ms": 1.0}
        parquet.write_table(path, [{**row, **whole} for row in found], schemas.PREDICTION)
        earlier = self.earlier
        return ReleaseSpec(
            student=named(student),
            checkpoint=str(self.checkpoint(student)),
            predictions=str(path),
            report=write_verdict(self.folder, verdict),
            test=rows,
            measured=rows,
            asks=BenchmarkSpec(
                role="student",
                model=ModelRef(name=student, revision=named(student)),
                rows=str(self.folder / f"{rows}.raw.parquet"),
                max_new_tokens=8,
                evaluation=EVALUATION,
                responses="",
                out=str(out),
            ),
            dtype="auto",
            unscored=unscored(earlier, named(student), rows),
            earlier=str(earlier) if earlier else None,
            release=self.rule,
            problems=list(problems),
            beside={"README.md": f"the card of {student} on {rows}"},
            evaluation=EVALUATION,
            who=who,
            out=str(out),
        )

    def judge(self, student: str, **how: Any) -> ReleaseResult:
        """Judge a student and publish the release."""
        self.runs += 1

        def make(out: Path, work: Path) -> ReleaseResult:
            return release_student(self.spec(student, out, **how), "cpu")

        self.store.publish(RELEASED, None, fingerprint=f"{self.runs:012}", inputs={"run": self.runs}, make=make)
        return self.manifest.read(ReleaseResult)

    def published_at(self, place: Path, out: Path) -> PublishSpec:
        """The spec that publishes the present release in a folder."""
        manifest = self.manifest
        return PublishSpec(
            project="students",
            student=manifest.read(ReleaseResult).champion,
            folder=str(manifest.file(files.WEIGHTS_FOLDER)),
            files=files_of(manifest),
            places=PublishConfig.model_validate({"folder": {"path": str(place)}}),
            out=str(out),
        )

    @property
    def earlier(self) -> Path | None:
        """The folder of the present release; None if there is none."""
        manifest = earlier_release(self.store)
        return manifest.folder if manifest else None

    @property
    def manifest(self) -> Manifest:
        """The manifest of the present release."""
        return self.store.get(RELEASED)

    @property
    def register(self) -> Register:
        """The state, the decisions and the scores of the present release."""
        return read_register(self.manifest.folder)

    @property
    def outcomes(self) -> list[str]:
        """Every decision, such as `promoted a`."""
        return [f"{found.outcome} {found.student.rstrip('0')}" for found in self.register.decisions]

    @property
    def weights(self) -> str:
        """The content of the released model's file: the name of its student."""
        return self.manifest.file(f"{files.WEIGHTS_FOLDER}/weights.txt").read_text()

"""The published artefacts that a released student was made from, as typed results.

made = Made.of(config, manifests)      every manifest of the project, as a snapshot has them
made.student.counts.steps              what the worker of student_checkpoint reported
made.document.benchmarks["student"]    report.json
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from distill_dagster.config import DistillConfig
from distill_dagster.errors import NotPublishedError
from distill_dagster.evaluation.specs import Benchmark
from distill_dagster.models.ref import ModelRef, read_ref
from distill_dagster.quality.specs import SetResult
from distill_dagster.report.document import ReportDocument, read_document
from distill_dagster.store import files
from distill_dagster.store.manifest import Manifest, title_of
from distill_dagster.teachers.faculty import Faculty, read_faculty
from distill_dagster.training.specs import PrepareResult, TrainResult

LINEAGE = (
    *("teacher_model", "validated_synthetic_set", "student_base", "student_checkpoint"),
    *("eval_dataset", "student_benchmark", "eval_report"),
)

GOLD_STUDENT = ("gold_set", "gold_student_checkpoint", "gold_student_benchmark")  # only compared with the student


@dataclass(frozen=True, slots=True)
class Made:
    """A project's artefacts, each under its title, and what they say."""

    config: DistillConfig
    manifests: Mapping[str, Manifest]

    @classmethod
    def of(cls, config: DistillConfig, manifests: Iterable[Manifest]) -> "Made":
        """From the manifests of all artefacts, in the order of the stages.

        Raises:
            NotPublishedError: one that every student is made from, or measured by, is missing.
        """
        found = {title_of(manifest.asset, manifest.shard): manifest for manifest in manifests}
        for name in LINEAGE:
            if name not in found:
                raise NotPublishedError.of(name, config.store)
        return cls(config, found)

    @property
    def student(self) -> TrainResult:
        """The training."""
        return self.manifests["student_checkpoint"].read(TrainResult)

    @property
    def student_ref(self) -> ModelRef:
        """The trained weights."""
        return read_ref(self.manifests["student_checkpoint"].folder)

    @property
    def base(self) -> PrepareResult:
        """What is known of the student before distillation."""
        return self.manifests["student_base"].read(PrepareResult)

    @property
    def base_ref(self) -> ModelRef:
        """The weights that the training started from."""
        return read_ref(self.manifests["student_base"].folder)

    @property
    def faculty(self) -> Faculty:
        """The teachers, the panel and the judge, pinned."""
        return read_faculty(self.manifests["teacher_model"].folder)

    @property
    def examples(self) -> SetResult:
        """The validated set."""
        return self.manifests["validated_synthetic_set"].read(SetResult)

    @property
    def document(self) -> ReportDocument:
        """The report."""
        return read_document(self.manifests["eval_report"].file(files.REPORT_FILE))

    @property
    def measured(self) -> Benchmark:
        """The student's benchmark, as in the report."""
        return self.document.benchmarks["student"]

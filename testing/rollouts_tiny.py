"""A tiny teacher and student with one tokenizer, rollouts of the student, and the teacher's distributions over them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill_dagster.config import LogitsConfig, OnPolicyConfig
from distill_dagster.logits.specs import CaptureResult
from distill_dagster.logits.table import LogitsRow, read_logits
from distill_dagster.models.building import build, save
from distill_dagster.models.loading import open_model
from distill_dagster.models.pinning import pin_folder
from distill_dagster.models.ref import ModelRef
from distill_dagster.models.tokenizer import open_tokenizer
from distill_dagster.rollouts.capture import capture_rollouts
from distill_dagster.rollouts.sampling import sample_rollouts
from distill_dagster.rollouts.specs import CaptureRolloutsSpec, SampleResult, SampleSpec
from distill_dagster.store import files, parquet
from testing.models_tiny import TINY, write_examples, write_model

WIDE = TINY.model_copy(update={"settings": {**TINY.settings, "initializer_range": 0.3}})


@dataclass
class Pair:
    """Both models in a folder; each method writes into a folder of its own there."""

    root: Path
    teacher: ModelRef
    student: ModelRef
    examples: str

    @classmethod
    def new(cls, root: Path) -> "Pair":
        """Models with random weights that are far apart."""
        teacher = write_model(root / "teacher", WIDE)
        tokenizer = open_tokenizer(root / "teacher")
        save(build(WIDE.model_copy(update={"seed": 5}), tokenizer), tokenizer, root / "student")
        student = pin_folder(root / "student", name="student")
        return cls(root, teacher, student, write_examples(root / "examples.parquet", train=12, validation=4))

    def model(self, who: str) -> Any:
        """The weights of `teacher` or `student`."""
        return open_model(self.root / who, "float32").eval()

    def sample_spec(self, name: str = "rollouts", **changes: Any) -> SampleSpec:
        """What samples the student; `rounds` and others may be changed."""
        (self.root / name).mkdir(exist_ok=True)
        given = {"student": self.student, "rounds": OnPolicyConfig(), "round": 1, "max_new_tokens": 12}
        places = {"examples": self.examples, "out": str(self.root / name), "work": str(self.root / f"{name}-work")}
        return SampleSpec(**{**given, **places, **changes})

    def sample(self, name: str = "rollouts", **changes: Any) -> tuple[SampleResult, list[dict[str, Any]]]:
        """The result, and the rows of rollouts.parquet."""
        result = sample_rollouts(self.sample_spec(name, **changes), "cpu")
        return result, parquet.read_table(self.root / name / files.ROLLOUTS_FILE)

    def capture(
        self, k: int = 8, united: bool = False, tail: str = "bucket", sampled_by: ModelRef | None = None
    ) -> tuple[CaptureResult, dict[Any, LogitsRow]]:
        """The result, and the rows of logits.parquet by key."""
        out = self.root / "logits"
        out.mkdir(exist_ok=True)
        spec = CaptureRolloutsSpec(
            teacher=self.teacher,
            logits=LogitsConfig(k=k, tail=tail, batch_tokens=256),
            student=self.student if united else None,
            sampled_by=sampled_by or self.student,
            stage="rollout_logits_1",
            rollouts=str(self.root / "rollouts" / files.ROLLOUTS_FILE),
            out=str(out),
        )
        captured = capture_rollouts(spec, "cpu")
        return captured, {row.key: row for row in read_logits(out / files.LOGITS_FILE)}

"""What the steps that are not up to date need: endpoints, models, and kinds of compute.

Nothing is needed for a step that is up to date: a teacher that has answered everything needs no key.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from distill_dagster.config import DistillConfig, EndpointConfig, ModelConfig
from distill_dagster.lineage.endpoints import endpoints_of
from distill_dagster.lineage.rounds import rounds_in
from distill_dagster.lineage.stages import STAGES, stages_of
from distill_dagster.planning.steps import Step


@dataclass(frozen=True, slots=True)
class Pending:
    """The steps that a run would make, in order."""

    config: DistillConfig
    steps: tuple[Step, ...]

    @classmethod
    def of(cls, config: DistillConfig, steps: Sequence[Step], until: str | None = None) -> "Pending":
        """Those of the plan's steps that are not up to date, up to the stage `until`."""
        names = [stage.name for stage in stages_of(config)]
        wanted = names[: names.index(until) + 1] if until else names
        return cls(config, tuple(step for step in steps if not step.is_fresh and step.asset in wanted))

    @property
    def stages(self) -> list[str]:
        """The stages of the steps, in order."""
        return list(dict.fromkeys(step.asset for step in self.steps))

    @property
    def endpoints(self) -> list[EndpointConfig]:
        """Every endpoint that these stages ask, each once."""
        found = [endpoint for name in self.stages for endpoint in endpoints_of(name, self.config)]
        return [endpoint for i, endpoint in enumerate(found) if endpoint not in found[:i]]

    @property
    def models(self) -> list[tuple[str, ModelConfig]]:
        """The models that are pinned or built, with their fields in the config."""
        teacher, student = self.config.teacher, self.config.student
        found = [("student.model", student.model)] if student.model and "student_base" in self.stages else []
        if "teacher_model" not in self.stages:
            return found
        sources = [(f"teacher.mix.{i}.model", source.model) for i, source in enumerate(teacher.mix)]
        if teacher.best_of:
            panel = enumerate(teacher.best_of.teachers)
            sources += [(f"teacher.best_of.teachers.{i}.model", source.model) for i, source in panel]
            judge = teacher.best_of.judge
            sources.append(("teacher.best_of.judge.model", judge.model if judge else None))
        own = [("teacher.model", teacher.model), *sources]
        return [(field, model) for field, model in own if model is not None] + found

    @property
    def on_devices(self) -> list[str]:
        """The stages that lease what their kind of compute declares."""
        return [name for name in self.stages if STAGES[name].compute and self._needs_device(name)]

    def _needs_device(self, name: str) -> bool:
        teacher = self.config.teacher
        if name == "student_base":
            return bool(self.config.student.init and self.config.student.init.measures)
        if name == "student_checkpoint" and (rounds_in(self.config) is not None or self.config.student.sweep):
            return False
        if name == "teacher_model":
            return teacher.fit is not None
        if name == "teacher_outputs":
            return teacher.model is not None or any(source.model for source in teacher.sources)
        if name == "teacher_benchmark":
            return not endpoints_of(name, self.config)
        return True


def trained_by(stage: str) -> str | None:
    """The model that a stage trains, or writes after its training: `teacher` or `student`; None: it trains none."""
    if stage == "teacher_model":
        return "teacher"
    return "student" if STAGES[stage].worker in ("train_student", "train_trial") else None

"""One share of gold answers: its teacher and its set, and students by arm and seed."""

import argparse
import math
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._signals_against_gold.rows import Rows, labelled, train_count
from distill_dagster.config import (
    DistillConfig,
    EvaluationConfig,
    LogitsConfig,
    ModelConfig,
    StudentTrainingConfig,
    TrainingConfig,
)
from distill_dagster.evaluation.asking import ask_local
from distill_dagster.evaluation.benchmark import judge
from distill_dagster.evaluation.items import item_scores
from distill_dagster.evaluation.specs import BenchmarkSpec
from distill_dagster.generation.specs import GenerateSpec
from distill_dagster.logits.specs import CaptureSpec
from distill_dagster.models.ref import ModelRef, read_ref
from distill_dagster.quality.specs import GoldSetSpec, SetSpec
from distill_dagster.rollouts.specs import CaptureRolloutsSpec, SampleSpec
from distill_dagster.store import files, parquet, schemas
from distill_dagster.tasks.prompts import prompts_of
from distill_dagster.teachers.faculty import Faculty
from distill_dagster.training.signals.on_policy import mixture
from distill_dagster.training.specs import PrepareSpec, TrainSpec
from distill_dagster.workers import run_worker

EVALUATION = EvaluationConfig(batch_tokens=8192)
ROUNDS = 2
ARMS: dict[str, dict[str, Any]] = {  # what an arm changes in the student's training
    "gold": {},
    "text": {},
    "bucket": {"signal": "logits"},
    "sampled": {"signal": "logits"},
    "hidden": {"signal": "hidden"},
    "on_policy": {"signal": "on_policy", "on_policy": {"rounds": ROUNDS}},
    "restarted": {},
}
TAILS = ("bucket", "sampled")
IN_ROUNDS = ("on_policy", "restarted")
COLD = 0.5  # share of their steps before the first round


class Experiment:
    """One share of gold answers: its teacher, and students by arm and seed.

    Args:
        folder: An empty one.
        rows: Training and validation rows with all gold answers.
        others: What the teacher is fitted to; if empty, the labelled part of `rows`.
        test: Rows that are scored.
        share: Of the training rows that keep their gold answers.
        config: The models, the trainings, and how the teacher answers.
        options: `steps` and `fit_steps`, the optimizer steps of a student and of the fit, `arms`, and `first_seed`.
    """

    def __init__(
        self,
        folder: Path,
        rows: Rows,
        others: Rows,
        test: Rows,
        share: float,
        config: DistillConfig,
        options: argparse.Namespace,
    ) -> None:
        self.folder, self.test, self.config, self.options = folder, test, config, options
        self.losses: dict[str, list[float]] = {}  # arm -> the lowest validation loss of each seed
        self.steps: dict[str, set[int]] = {}  # arm -> the optimizer steps of its students
        self.trained_on: dict[str, int] = {}  # set -> its training rows
        self.rows = labelled(rows, share)
        self.raw, self.fitted_to, self.held_out = (str(folder / f"{name}.parquet") for name in ("raw", "fit", "test"))
        self.fit_rows = train_count(others) or round(share * train_count(rows))
        parquet.write_table(Path(self.raw), self.rows, schemas.RAW)
        parquet.write_table(Path(self.fitted_to), others or self.rows, schemas.RAW)
        parquet.write_table(Path(self.held_out), test, schemas.RAW)
        self.labels = sorted({row["reference"][0] for row in rows}) if rows[0]["task"] == "classification" else None

    def teach(self) -> ModelRef:
        """Fit the teacher, let it answer, capture its distributions, and build the set."""
        source = self.config.teacher
        assert source.fit is not None, "a project without it is refused"
        fit = source.fit.model_copy(update={"epochs": _epochs(self.options.fit_steps, self.fit_rows, source.fit)})
        places = {**self._places("teacher"), "rows": [self.fitted_to]}
        model = _seeded(source.model, self.options.first_seed)
        run_worker("prepare_model", PrepareSpec(role="teacher", model=model, fit=fit, **places))
        teacher = read_ref(self.folder / "teacher")
        answer = GenerateSpec(
            faculty=Faculty(teachers=[(1.0, teacher)]),
            generation=source.generation,
            rows=self.raw,
            labels=self.labels,
            responses=self._new("responses"),
            journal="shard",
            out=self._new("answers"),
        )
        run_worker("generate_shard", answer)
        answers = str(self.folder / "answers" / files.TEACHER_FILE)
        for tail in TAILS:
            if tail in self.options.arms:
                places = {"rows": self.raw, "answers": answers, "out": self._new(tail)}
                logits = LogitsConfig(k=64, tail=tail, batch_tokens=8192)
                run_worker("capture_logits", CaptureSpec(model=teacher, logits=logits, **places))
        given = {"raw": [self.raw], "test": self.held_out, "quality": self.config.quality, "learn": "answer"}
        given["work"] = str(self.folder / "work")
        built: Any = run_worker("build_set", SetSpec(**given, teacher=[answers], out=self._new("set")))
        gold: Any = run_worker("build_gold_set", GoldSetSpec(**given, out=self._new("gold_set")))
        self.trained_on = {"set": built.counts.train, "gold_set": gold.counts.train}
        return teacher

    def student(self, arm: str, seed: int, teacher: ModelRef) -> ModelRef:
        """One training; in rounds, the cold start and a training for each."""
        base = self.folder / f"base-{seed}"
        if not base.exists():
            model = self.config.student.model
            assert model is not None, "a project without it is refused"
            donor, model = teacher.path if model.architecture else None, _seeded(model, seed)
            places = self._places(base.name)
            run_worker("prepare_model", PrepareSpec(role="student", model=model, tokenizer_of=donor, **places))
        training, name = self._training(arm, seed), f"{arm}-{seed}"
        given: dict[str, Any] = {
            "teacher": None if arm == "gold" else teacher,
            "examples": str(self.folder / self._set(arm) / files.EXAMPLES_FILE),
            "logits": [str(self.folder / arm / files.LOGITS_FILE)] if arm in TAILS else [],
            "name": "student",
            "task": self.rows[0]["task"],
        }
        rows = self.trained_on[self._set(arm)]
        rounds = ROUNDS if arm in IN_ROUNDS else 0
        cold = self.options.steps * (COLD if rounds else 1)
        student, loss, steps = self._train(name, read_ref(base), training.start, cold, rows, given)
        for number in range(1, rounds + 1):
            mixed, each = rows, (self.options.steps - cold) / rounds
            if arm == "on_policy":
                sampled, read = self._rollouts(f"{name}-{number}", number, training, student, teacher)
                mixed = sum(mixture(sampled, rows, training.rounds.share))
                given = {**given, **read}
            student, loss, more = self._train(f"{name}-{number}", student, training, each, mixed, given)
            steps += more
        self.losses.setdefault(arm, []).append(loss)
        self.steps.setdefault(arm, set()).add(steps)
        return student

    def _training(self, arm: str, seed: int) -> StudentTrainingConfig:
        settings = self.config.student.training.on_text.model_dump()
        return StudentTrainingConfig.model_validate({**settings, **ARMS[arm], "seed": seed})

    def _set(self, arm: str) -> str:
        return "gold_set" if arm == "gold" else "set"

    def _train(
        self,
        name: str,
        start: ModelRef,
        training: StudentTrainingConfig,
        steps: float,
        rows: int,
        given: dict[str, Any],
    ) -> tuple[ModelRef, float, int]:
        """Train on so many rows; returns the student, its lowest validation loss and its steps."""
        training = training.model_copy(update={"epochs": _epochs(steps, rows, training)})
        places: dict[str, Any] = {"out": self._new(name), "work": self._new(f"{name}-work")}
        result: Any = run_worker("train_student", TrainSpec(student_base=start, training=training, **given, **places))
        return read_ref(Path(places["out"])), result.best_validation_loss, result.steps

    def _rollouts(
        self, name: str, number: int, training: StudentTrainingConfig, student: ModelRef, teacher: ModelRef
    ) -> tuple[int, dict[str, Any]]:
        """Sample the student and let the teacher read the samples: how many there are, and what the training takes."""
        sampled = SampleSpec(
            student=student,
            rounds=training.rounds,
            round=number,
            max_new_tokens=self.config.teacher.generation.max_new_tokens,
            examples=str(self.folder / "set" / files.EXAMPLES_FILE),
            out=self._new(f"{name}-rollouts"),
            work=self._new(f"{name}-rollouts-work"),
        )
        found: Any = run_worker("sample_rollouts", sampled)
        rollouts = str(Path(sampled.out) / files.ROLLOUTS_FILE)
        read = CaptureRolloutsSpec(
            teacher=teacher,
            logits=LogitsConfig(k=64, batch_tokens=8192),
            student=None,
            sampled_by=student,
            stage=f"rollout_logits_{number}",
            rollouts=rollouts,
            out=self._new(f"{name}-logits"),
        )
        run_worker("capture_rollouts", read)
        places = {"rollouts": rollouts, "rollout_logits": str(Path(read.out) / files.LOGITS_FILE)}
        return found.counts.rollouts, {"round": number, **places}

    def scores(self, model: ModelRef) -> np.ndarray:
        """The score of every test row, (rows,)."""
        prompts = [(row, prompt) for row in self.test for prompt in prompts_of(row)]
        spec = BenchmarkSpec(
            role="student",
            model=model,
            rows=self.held_out,
            max_new_tokens=self.config.teacher.generation.max_new_tokens,
            labels=self.labels,
            evaluation=EVALUATION,
            responses="",
            out="",
        )
        replies = ask_local(spec, "cpu", [prompt for _, prompt in prompts], lambda _: None)
        judged = [judge(spec, row, prompt, reply) for (row, prompt), reply in zip(prompts, replies, strict=True)]
        return np.array(list(item_scores(judged).values()))

    def _places(self, name: str) -> dict[str, Any]:
        return {
            "rows": [self.raw],
            "held_out": self.held_out,
            "out": self._new(name),
            "work": self._new(f"{name}-work"),
        }

    def _new(self, name: str) -> str:
        (self.folder / name).mkdir(parents=True, exist_ok=True)
        return str(self.folder / name)


def _seeded(model: ModelConfig | None, seed: int) -> ModelConfig | None:
    """The model with random weights of this seed, if it is a new one."""
    return model.model_copy(update={"seed": seed}) if model and model.architecture else model


def _epochs(steps: float, rows: int, training: TrainingConfig) -> float:
    """The epochs over so many rows that come nearest to these optimizer steps."""
    batches = math.ceil(rows / training.batch_size)
    return steps / math.ceil(batches / training.gradient_accumulation)

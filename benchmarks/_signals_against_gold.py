"""Does a signal help? The same student on gold answers alone and on each signal, with all or few prompts labelled.

    python -m benchmarks._signals_against_gold [FOLDER] [--shares 1 0.1 0.03] [--seeds 3] [--rows 1600] [--test 400]
        [--arms gold text bucket sampled] [--teacher MODEL --student MODEL] [--steps 1000] [--fit-steps 900]
        [--teacher-rows 3000]

FOLDER holds train/*.jsonl, validation.jsonl and test.jsonl; by default it is the demo's data. For each share, that part
of the training rows keeps its gold answer, and the rest are prompts without one. The teacher is fitted to these gold
answers, or, as one that knows the task from elsewhere, to `--teacher-rows` other rows. It answers all prompts; its
answers pass the quality filters. Students start from the same weights, random ones or those of a pretrained
MODEL, with which a teacher goes that was pretrained too:

    gold      the gold answers alone, as `evaluation.gold_student` trains on them
    text      the teacher's answers to all prompts
    bucket    the same answers with the teacher's distributions, alpha 0.5, the tail as one outcome
    sampled   the same with a sampled tail
    hidden    the same answers with the teacher's hidden states, alpha 0.5, cosine

Every training of a role has the same number of optimizer steps, and keeps the weights with the lowest validation loss.
A score is the mean over test rows and seeds. Intervals are 95 % ones over rows, each row's mean over the seeds being
one item, so they do not hold what other seeds or another teacher would change. Differences are paired by row. The
loss is the lowest validation loss, the mean over seeds: CE on the teacher's answers, for `gold` on the gold answers.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from distill_dagster.config import (
    DataConfig,
    EvaluationConfig,
    GenerationConfig,
    LogitsConfig,
    ModelConfig,
    QualityConfig,
    StudentTrainingConfig,
    TrainingConfig,
)
from distill_dagster.demo.world import write_dataset
from distill_dagster.evaluation.asking import ask_local
from distill_dagster.evaluation.benchmark import judge
from distill_dagster.evaluation.items import item_scores
from distill_dagster.evaluation.specs import BenchmarkSpec
from distill_dagster.evaluation.statistics import mean_interval
from distill_dagster.generation.specs import GenerateSpec
from distill_dagster.logits.specs import CaptureSpec
from distill_dagster.models.ref import ModelRef, read_ref
from distill_dagster.quality.specs import GoldSetSpec, SetSpec
from distill_dagster.sources.files.discovery import SourceFile
from distill_dagster.sources.specs import ReadSpec
from distill_dagster.store import files, parquet, schemas
from distill_dagster.tasks.prompts import prompts_of
from distill_dagster.teachers.faculty import Faculty
from distill_dagster.training.specs import PrepareSpec, TrainSpec
from distill_dagster.workers import run_worker

TASKS = ("nli", "qa", "math")
NEW_TOKENS = 24
EVALUATION = EvaluationConfig(batch_tokens=8192)
COMMON: dict[str, int | float | bool | str] = {"max_position_embeddings": 256, "tie_word_embeddings": True}
TEACHER = {"hidden_size": 160, "intermediate_size": 448, "num_hidden_layers": 3, "num_attention_heads": 8}
STUDENT = {"hidden_size": 48, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
BATCH = 16
TRAINING: dict[str, Any] = {"batch_size": BATCH, "evaluations": 6, "early_stopping_patience": None}
TEACHER_STEPS, STUDENT_STEPS = 900, 1000
ARMS = ("gold", "text", "bucket", "sampled", "hidden")
PRETRAINED = {"teacher": 1e-4, "student": 3e-4}  # learning rates of models that were pretrained

TAILS: set[Literal["bucket", "sampled"]] = {"bucket", "sampled"}

Rows = list[dict[str, Any]]


class Experiment:
    """One share of gold answers: its teacher, and students by arm and seed."""

    def __init__(
        self, folder: Path, rows: Rows, others: Rows, test: Rows, share: float, options: argparse.Namespace
    ) -> None:
        self.folder, self.test, self.options = folder, test, options
        self.losses: dict[str, list[float]] = {}  # arm -> the lowest validation loss of each seed
        self.rows = _labelled(rows, share)
        self.labelled = share * _train_count(rows)
        self.raw, self.fitted_to, self.held_out = (str(folder / f"{name}.parquet") for name in ("raw", "fit", "test"))
        self.fit_rows = _train_count(others) or self.labelled
        parquet.write_table(Path(self.raw), self.rows, schemas.RAW)
        parquet.write_table(Path(self.fitted_to), others or self.rows, schemas.RAW)
        parquet.write_table(Path(self.held_out), test, schemas.RAW)
        self.labels = sorted({row["reference"][0] for row in rows}) if rows[0]["task"] == "classification" else None

    def teach(self) -> ModelRef:
        """Fit the teacher, let it answer, capture both tails, and build the set."""
        pretrained = self.options.teacher
        rate = PRETRAINED["teacher"] if pretrained else 2e-3
        epochs = self.options.fit_steps * BATCH / self.fit_rows
        fit = TrainingConfig(learning_rate=rate, epochs=epochs, **TRAINING)
        model = ModelConfig(name=pretrained) if pretrained else _model(TEACHER, 0.08, 0)
        places = {**self._places("teacher"), "rows": [self.fitted_to]}
        spec = PrepareSpec(role="teacher", model=model, fit=fit, **places)
        run_worker("prepare_model", spec)
        teacher = read_ref(self.folder / "teacher")
        answer = GenerateSpec(
            faculty=Faculty(teachers=[(1.0, teacher)]),
            generation=GenerationConfig(max_new_tokens=NEW_TOKENS, batch_tokens=8192),
            rows=self.raw,
            labels=self.labels,
            responses=self._new("responses"),
            journal="shard",
            out=self._new("answers"),
        )
        run_worker("generate_shard", answer)
        answers = str(self.folder / "answers" / files.TEACHER_FILE)
        for tail in TAILS & {*self.options.arms}:
            run_worker(
                "capture_logits",
                CaptureSpec(
                    model=teacher,
                    logits=LogitsConfig(k=64, tail=tail, batch_tokens=8192),
                    rows=self.raw,
                    answers=answers,
                    out=self._new(tail),
                ),
            )
        quality = QualityConfig(contamination="exact")
        given = {"raw": [self.raw], "test": self.held_out, "quality": quality, "learn": "answer"}
        given["work"] = str(self.folder / "work")
        run_worker("build_set", SetSpec(**given, teacher=[answers], out=self._new("set")))
        run_worker("build_gold_set", GoldSetSpec(**given, out=self._new("gold_set")))
        return teacher

    def student(self, arm: str, seed: int, teacher: ModelRef) -> ModelRef:
        """One training."""
        base = self.folder / f"base-{seed}"
        if not base.exists():
            pretrained, places = self.options.student, self._places(base.name)
            model = ModelConfig(name=pretrained) if pretrained else _model(STUDENT, 0.12, seed)
            donor = None if pretrained else teacher.path
            run_worker("prepare_model", PrepareSpec(role="student", model=model, tokenizer_of=donor, **places))
        epochs = self.options.steps * BATCH / (self.labelled if arm == "gold" else _train_count(self.rows))
        rate = PRETRAINED["student"] if self.options.student else 5e-3
        signal = "logits" if arm in TAILS else "hidden" if arm == "hidden" else "text"
        training = StudentTrainingConfig(learning_rate=rate, epochs=epochs, signal=signal, seed=seed, **TRAINING)
        examples = self.folder / ("gold_set" if arm == "gold" else "set") / files.EXAMPLES_FILE
        logits = [str(self.folder / arm / files.LOGITS_FILE)] if signal == "logits" else []
        spec = TrainSpec(
            student_base=read_ref(base),
            teacher=None if arm == "gold" else teacher,
            training=training,
            examples=str(examples),
            logits=logits,
            name="student",
            task=self.rows[0]["task"],
            out=self._new(f"{arm}-{seed}"),
            work=self._new(f"{arm}-{seed}-work"),
        )
        result: Any = run_worker("train_student", spec)
        self.losses.setdefault(arm, []).append(result.best_validation_loss)
        return read_ref(Path(spec.out))

    def scores(self, model: ModelRef) -> np.ndarray:
        """The score of every test row, (rows,)."""
        prompts = [(row, prompt) for row in self.test for prompt in prompts_of(row)]
        spec = BenchmarkSpec(
            role="student",
            model=model,
            rows=self.held_out,
            max_new_tokens=NEW_TOKENS,
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


def _train_count(rows: Rows) -> int:
    return sum(row["split"] == "train" for row in rows)


def _labelled(rows: Rows, share: float) -> Rows:
    """The rows, with the gold answers of this share of the training rows, and of all validation rows."""
    train = [row["row_id"] for row in rows if row["split"] == "train"]
    unlabelled = {*train[round(share * len(train)) :]}
    return [{**row, "reference": []} if row["row_id"] in unlabelled else row for row in rows]


def _model(shape: dict[str, int], spread: float, seed: int) -> ModelConfig:
    settings = {**shape, "num_key_value_heads": shape["num_attention_heads"], **COMMON, "initializer_range": spread}
    return ModelConfig(architecture="llama", settings=settings, vocab_size=800, seed=seed)


def read(source: Path, folder: Path, train: int, others: int, test: int) -> tuple[Rows, Rows, Rows]:
    """Training and validation rows, as many others with the same validation rows, and test rows."""
    task = next(json.loads(line) for line in (source / "test.jsonl").open(encoding="utf-8")).get(
        "task", "classification"
    )
    paths = {split: [source / f"{split}.jsonl"] for split in ("validation", "test")}
    paths["train"] = sorted((source / "train").glob("*.jsonl"))
    found, plain = {}, DataConfig(train=["-"], test=["-"])
    for split, of_split in paths.items():
        out = _made(folder / f"read-{split}")
        sources = [SourceFile(key=path.stem, split=split, url=str(path)) for path in of_split]
        run_worker("read_rows", ReadSpec(files=sources, data=plain, task=task, unique_ids=False, out=str(out)))
        found[split] = parquet.read_table(out / files.RAW_FILE)
    shuffled = {
        split: [rows[i] for i in np.random.default_rng(0).permutation(len(rows))] for split, rows in found.items()
    }
    validation, apart = shuffled["validation"][: max(train // 8, 100)], shuffled["train"][train : train + others]
    teachers = [*apart, *validation] if others else []
    return [*shuffled["train"][:train], *validation], teachers, shuffled["test"][:test]


def interval(values: np.ndarray, low: float, high: float) -> str:
    """The mean of values in [low, high] in percent, with its interval."""
    ends = mean_interval((values - low) / (high - low), resamples=2000, seed=0)
    bottom, top = (100 * (low + end * (high - low)) for end in (ends.low, ends.high))
    return f"{100 * values.mean():.1f} ({bottom:.1f} … {top:.1f})"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the experiment, and print a table for each share as soon as it is done."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks._signals_against_gold")
    parser.add_argument("source", nargs="?", type=Path)
    parser.add_argument("--shares", type=float, nargs="+", default=[1, 0.1, 0.03])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=1600)
    parser.add_argument("--test", type=int, default=400)
    parser.add_argument("--teacher-rows", type=int, default=0, help="other rows, to which the teacher is fitted")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=ARMS[:-1])
    parser.add_argument("--teacher", help="folder or hub name of a pretrained teacher")
    parser.add_argument("--student", help="of a pretrained student with the same tokenizer")
    parser.add_argument("--steps", type=int, default=STUDENT_STEPS, help="optimizer steps of a student")
    parser.add_argument("--fit-steps", type=int, default=TEACHER_STEPS, help="of the teacher's fit")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = options.source or folder / "data"
        if options.source is None:
            made = options.rows + options.teacher_rows
            write_dataset(source, tasks=TASKS, train_rows=made, shards=1, test_rows=options.test)
        rows, others, test = read(source, folder, options.rows, options.teacher_rows, options.test)
        for share in options.shares:
            one = Experiment(_made(folder / f"share-{share}"), rows, others, test, share, options)
            teacher = one.teach()
            score = interval(one.scores(teacher), 0, 1)
            print(f"\n{share:.0%} of {options.rows} rows have gold; teacher {score}", flush=True)
            by_arm: dict[str, np.ndarray] = {}
            for arm in sorted(options.arms, key=lambda arm: arm != "text"):  # the others are compared with it
                scores = by_arm[arm] = _seeds(one, arm, teacher, options.seeds)
                differences = scores.mean(axis=0) - by_arm["text"].mean(axis=0)
                each = ", ".join(f"{100 * mean:.1f}" for mean in scores.mean(axis=1))
                own, other = interval(scores.mean(axis=0), 0, 1), interval(differences, -1, 1)
                loss = np.mean(one.losses[arm])
                print(f"{arm:<8} {own:<22} less text {other:<20} seeds {each}; loss {loss:.3f}", flush=True)


def _seeds(one: Experiment, arm: str, teacher: ModelRef, seeds: int) -> np.ndarray:
    """Scores (seeds, rows) of an arm."""
    return np.stack([one.scores(one.student(arm, seed, teacher)) for seed in range(seeds)])


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


if __name__ == "__main__":
    main()

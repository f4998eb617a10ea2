"""Does a signal help? The same student on gold answers alone and on each signal, with all or few prompts labelled.

    python -m benchmarks._signals_against_gold [FOLDER] [--project distill.yaml] [--shares 1 0.1 0.03] [--seeds 3]
        [--rows 1600] [--test 400] [--teacher-rows 3000] [--arms gold text bucket sampled hidden on_policy]
        [--steps 1000] [--fit-steps 900] [--first-seed 0]

FOLDER holds train/*.jsonl, validation.jsonl and test.jsonl; by default it is the demo's data. Models, trainings and
filters are those of the project, by default of demo.yaml beside this file, without its data, epochs and signal. For
each share, that part of the training rows keeps its gold answer, and the rest are prompts without one. The teacher is
fitted to these gold answers, or, as one that knows the task from elsewhere, to `--teacher-rows` other rows. It answers
all prompts; its answers pass the filters. The students of a seed start from the same weights:

    gold        the gold answers alone, as `evaluation.gold_student` trains on them
    text        the teacher's answers to all prompts
    bucket      the same answers with the teacher's distributions, alpha 0.5, the tail as one outcome
    sampled     the same with a sampled tail
    hidden      the same answers with the teacher's hidden states, alpha 0.5, cosine
    on_policy   half of the steps as `text`, then two rounds with the student's own samples, share 0.5
    restarted   the three trainings of `on_policy`, each as `text`: what their schedule alone changes

Every student has the same number of optimizer steps, and keeps the weights that the project's `keep` says. A score is
the mean over test rows and seeds. Intervals are 95 % ones: over rows, each row's mean over the seeds being one item,
with differences paired by row; and over seeds (Student's t), paired by seed. Neither holds what another teacher would
change: `--first-seed 10` makes one. The loss is the lowest validation loss, the mean over seeds: CE on the teacher's
answers, for `gold` on the gold answers.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.stats import t as student_t

from benchmarks._signals_against_gold.experiment import ARMS, Experiment
from benchmarks._signals_against_gold.rows import read
from distill_dagster.config.reading import load_config
from distill_dagster.demo.world import write_dataset
from distill_dagster.evaluation.statistics import mean_interval
from distill_dagster.models.ref import ModelRef

DEMO = Path(__file__).with_name("demo.yaml")
TASKS = ("nli", "qa", "math")


def interval(values: np.ndarray, low: float, high: float) -> str:
    """The mean of values in [low, high] in percent, with its interval."""
    ends = mean_interval((values - low) / (high - low), resamples=2000, seed=0)
    bottom, top = (100 * (low + end * (high - low)) for end in (ends.low, ends.high))
    return f"{100 * values.mean():.1f} ({bottom:.1f} … {top:.1f})"


def over_seeds(differences: np.ndarray) -> str:
    """The mean of a number for each seed, with Student's t interval."""
    if len(differences) < 2:
        return f"{differences.mean():.1f}"
    error = differences.std(ddof=1) / np.sqrt(len(differences))
    half = student_t.ppf(0.975, len(differences) - 1) * error
    return f"{differences.mean():.1f} ({differences.mean() - half:.1f} … {differences.mean() + half:.1f})"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the experiment, and print a table for each share as soon as it is done."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks._signals_against_gold")
    parser.add_argument("source", nargs="?", type=Path)
    parser.add_argument("--project", type=Path, default=DEMO, help="whose models and trainings are taken")
    parser.add_argument("--shares", type=float, nargs="+", default=[1, 0.1, 0.03])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0, help="of the students, and of a new teacher's weights")
    parser.add_argument("--rows", type=int, default=1600)
    parser.add_argument("--test", type=int, default=400)
    parser.add_argument("--teacher-rows", type=int, default=0, help="other rows, to which the teacher is fitted")
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=[arm for arm in ARMS if arm != "restarted"])
    parser.add_argument("--steps", type=int, default=1000, help="optimizer steps of a student")
    parser.add_argument("--fit-steps", type=int, default=900, help="of the teacher's fit")
    options = parser.parse_args(arguments)
    config = load_config(options.project)
    if "text" not in options.arms:
        parser.error("--arms needs text, with which the others are compared")
    if config.teacher.model is None or config.teacher.fit is None or config.student.model is None:
        parser.error(f"{options.project} needs teacher.model, teacher.fit and student.model")
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = options.source or folder / "data"
        if options.source is None:
            made = options.rows + options.teacher_rows
            write_dataset(source, tasks=TASKS, train_rows=made, shards=1, test_rows=options.test)
        rows, others, test = read(source, folder, options.rows, options.teacher_rows, options.test)
        for share in options.shares:
            (folder / f"share-{share}").mkdir()
            one = Experiment(folder / f"share-{share}", rows, others, test, share, config, options)
            teacher = one.teach()
            score = interval(one.scores(teacher), 0, 1)
            rows_of = ", ".join(f"{count:,} rows in {name}" for name, count in one.trained_on.items())
            print(f"\n{share:.0%} of {options.rows} rows have gold; teacher {score}; {rows_of}", flush=True)
            by_arm: dict[str, np.ndarray] = {}
            for arm in sorted(options.arms, key=lambda arm: arm != "text"):  # the others are compared with it
                scores = by_arm[arm] = _seeds(one, arm, teacher, seeds)
                differences = scores.mean(axis=0) - by_arm["text"].mean(axis=0)
                each = ", ".join(f"{100 * mean:.1f}" for mean in scores.mean(axis=1))
                own, other = interval(scores.mean(axis=0), 0, 1), interval(differences, -1, 1)
                loss, steps = np.mean(one.losses[arm]), " or ".join(map(str, sorted(one.steps[arm])))
                pairs = 100 * (scores - by_arm["text"]).mean(axis=1)
                said = f"{arm:<9} {own:<22} minus text {other:<20} over seeds {over_seeds(pairs):<20}"
                print(f"{said} seeds {each}; loss {loss:.3f}; {steps} steps", flush=True)


def _seeds(one: Experiment, arm: str, teacher: ModelRef, seeds: range) -> np.ndarray:
    """Scores (seeds, rows) of an arm."""
    return np.stack([one.scores(one.student(arm, seed, teacher)) for seed in seeds])


if __name__ == "__main__":
    main()

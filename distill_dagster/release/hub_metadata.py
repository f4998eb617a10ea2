"""What the Hugging Face hub reads of a released student: the card's front matter, and results for a leaderboard.

`model-index` has a result for each task and metric; the headline's name holds its 95 % interval, because the format has
no field for one. `.eval_results/*.yaml` is for a benchmark with a leaderboard on the hub (`release.benchmark`):

    - dataset: {id: openai/gsm8k, task_id: gsm8k}
      value: 0.412
      date: '2026-11-27'
      notes: 95 % interval 0.38–0.45, 500 items
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from distill_dagster.evaluation.specs import TaskScore
from distill_dagster.release.findings import LicenceFinding, stays_under
from distill_dagster.release.made import Made

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

METRIC_IDS = {"macro_f1": "f1", "token_f1": "f1", "rouge_l": "rouge"}  # ours -> the hub's
PERMISSIVE = ("apache-2.0", "mit")
DIGITS = 6


def front_matter(made: Made, name: str, found: Sequence[LicenceFinding]) -> str:
    """The card's front matter as YAML, without its lines of hyphens."""
    from huggingface_hub import ModelCardData

    base, licence = made.base_ref.name, hub_licence(found)
    data = ModelCardData(
        base_model=base if "/" in base else None,  # the hub links only names of its own
        library_name="transformers",
        pipeline_tag="text-generation",
        tags=["distillation", "distill-dagster", made.config.task],
        model_name=name,
        eval_results=list(eval_results(made)),
        license=licence.get("license"),
        license_name=licence.get("license_name"),
        license_link=licence.get("license_link"),
    )
    return data.to_yaml()


def hub_licence(found: Sequence[LicenceFinding]) -> dict[str, str]:
    """`license` of the card, and name and link where the hub has no id for it; {} if no licence of others holds.

    A licence with conditions goes before a permissive one, whose notices the card keeps in any case.
    """
    held = stays_under(found)
    strict = [licence for licence in held if licence.hub_licence not in PERMISSIVE]
    if not held:
        return {}
    if len({licence.hub_licence for licence in strict}) > 1 or any(entry.hub_licence == "other" for entry in strict):
        names = "-and-".join(dict.fromkeys(_slug(entry.licence) for entry in strict))
        return {"license": "other", "license_name": names, "license_link": strict[0].url}
    return {"license": str((strict or held)[0].hub_licence)}


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", text.casefold()).strip("-")


def eval_results(made: Made) -> "Iterator[EvalResult]":
    """The student's scores, task by task."""
    for task, score in made.measured.by_task.items():
        yield _result(made, task, score, score.headline, score.score, f"{score.headline}, {_interval(score)}")
        for metric, value in score.metrics.items():
            if metric != score.headline:
                yield _result(made, task, score, metric, value, metric)


def _result(made: Made, task: str, score: TaskScore, metric: str, value: float, name: str) -> "EvalResult":
    from huggingface_hub import EvalResult

    benchmark = made.config.release.benchmark if made.config.release else None
    return EvalResult(
        task_type="text-generation",
        task_name=task,
        dataset_type=benchmark.dataset if benchmark else made.config.name,
        dataset_name=f"{made.config.name}, {score.items:,} held-out items",
        dataset_config=task,
        dataset_split="test",
        dataset_revision=benchmark.revision if benchmark else made.manifests["eval_dataset"].data_version,
        metric_type=METRIC_IDS.get(metric, metric),
        metric_name=name,
        metric_value=round(value, DIGITS),
    )


def _interval(score: TaskScore) -> str:
    low, high = score.interval
    return f"95 % interval {low:.4g}–{high:.4g}, {score.items} items"


def leaderboard_entry(made: Made) -> dict[str, Any] | None:
    """The entry of a file of `.eval_results`; None if `release.benchmark` names no benchmark."""
    benchmark = made.config.release.benchmark if made.config.release else None
    if benchmark is None:
        return None
    dataset = {"id": benchmark.dataset, "task_id": benchmark.task_id}
    if benchmark.revision:
        dataset["revision"] = benchmark.revision
    low, high = made.measured.interval
    return {
        "dataset": dataset,
        "value": round(made.measured.score, DIGITS),
        "date": made.manifests["student_benchmark"].created_at[:10],
        "notes": f"95 % interval {low:.4g}–{high:.4g}, {made.measured.items} items",
    }


def leaderboard_file(entry: Mapping[str, Any]) -> str:
    """The name of an entry's file, below the model's folder."""
    return f".eval_results/{_slug(entry['dataset']['id'].rpartition('/')[2])}.yaml"

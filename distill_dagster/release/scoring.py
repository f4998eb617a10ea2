"""Ask a kept student again, on the present held-out rows.

It is asked as the challenger was: the same prompts, greedily, with the same longest answer, labels and precision,
through the function that benchmarks ask through. So its scores are those that its own benchmark would give.
"""

from pathlib import Path

from distill_dagster.evaluation.asking import ask_local
from distill_dagster.evaluation.benchmark import asked_of, judge
from distill_dagster.evaluation.specs import BenchmarkSpec
from distill_dagster.models.loading import forget
from distill_dagster.models.ref import ModelRef
from distill_dagster.progress import track
from distill_dagster.release.gate import short
from distill_dagster.release.scores import Row, items_of
from distill_dagster.store import parquet


def score_again(asks: BenchmarkSpec, model: ModelRef, student: str, device: str) -> list[Row]:
    """A student's items, from its answers to the held-out rows now.

    Raises:
        ModelError: the model cannot be loaded or run.
    """
    spec = asks.model_copy(update={"model": model})
    asked = asked_of(spec, parquet.read_table(Path(spec.rows)))
    forget()
    with track(f"score {short(student)} again", total=len(asked)) as advance:
        replies = ask_local(spec, device, [prompt for _, prompt in asked], advance)
    forget()
    return items_of(judge(spec, row, prompt, reply) for (row, prompt), reply in zip(asked, replies, strict=True))

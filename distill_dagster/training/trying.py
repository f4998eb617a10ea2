"""Try the published student once: load it as any user would, and let it answer some prompts.

A checkpoint can be complete and useless: weights of the wrong shape, a tokenizer without its chat template, a model
that writes nothing. The benchmark would find out too, but only after it has measured the other models.
"""

from pathlib import Path

from distill_dagster.models.decoding import complete
from distill_dagster.models.loading import load
from distill_dagster.store import parquet
from distill_dagster.tasks.prompts import without_answer
from distill_dagster.training.specs import TryCounts, TryResult, TrySpec


def try_model(spec: TrySpec, device: str) -> TryResult:
    """Let the model answer the first prompts of the validation rows, or of all rows if there are none for validation.

    Raises:
        ModelError: it cannot be loaded.
        DataError: the examples cannot be read.
    """
    rows = parquet.read_table(Path(spec.examples), ["split", "messages"])
    rows = sorted(rows, key=lambda row: row["split"] != "validation")[: spec.prompts]
    prompts = [without_answer(row["messages"]) for row in rows]
    loaded = load(spec.model, device)
    completions = complete(loaded, prompts, max_new_tokens=spec.max_new_tokens, batch_tokens=spec.batch_tokens)
    answered = sum(bool(completion.text.strip()) for completion in completions)
    return TryResult(counts=TryCounts(asked=len(prompts), answered=answered))

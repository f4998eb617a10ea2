"""A published student taken out once: it is loaded as anybody would load it, and answers some prompts.

A checkpoint can be there and be of no use: weights of the wrong shape, a tokenizer without its chat template, a model
that writes nothing. The benchmark would find out too, after the report's other models have cost their time.
"""

from pathlib import Path

from distill_dagster.models.decoding import complete
from distill_dagster.models.loading import load
from distill_dagster.store import parquet
from distill_dagster.store.manifest import Produced
from distill_dagster.training.specs import TrialSpec


def try_model(request: TrialSpec, device: str) -> Produced:
    """Ask the model the first prompts of the validation rows, or of all rows where there is no validation.

    The counts are `asked` and `answered`: with something that is no blank, and without an error.

    Raises:
        ModelError: it cannot be loaded.
        DataError: the examples cannot be read.
    """
    rows = parquet.read_table(Path(request.examples), ["split", "messages"])
    rows = sorted(rows, key=lambda row: row["split"] != "validation")[: request.prompts]
    prompts = [[dict(message) for message in row["messages"]] for row in rows]
    loaded = load(request.model, device)
    completions = complete(loaded, prompts, max_new_tokens=request.max_new_tokens, batch_tokens=request.batch_tokens)
    answered = sum(bool(completion.text.strip()) for completion in completions)
    return Produced(data_version="", counts={"asked": len(prompts), "answered": answered}, facts={})

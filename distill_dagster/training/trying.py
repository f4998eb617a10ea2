"""Try the published student once: load it as any user would, and let it answer some prompts.

A checkpoint can be complete and useless: weights of the wrong shape, a tokenizer without its chat template, a model
that writes nothing. The benchmark would find out too, but only after it has measured the other models.
"""

from pathlib import Path

from distill_dagster.models.decoding import complete
from distill_dagster.models.loading import load
from distill_dagster.quality.columns import pc
from distill_dagster.store import parquet
from distill_dagster.tasks.prompts import without_answer
from distill_dagster.training.specs import TryCounts, TryResult, TrySpec


def try_model(spec: TrySpec, device: str) -> TryResult:
    """Let the model answer the first prompts of the validation rows, or of all rows if there are none for validation.

    Raises:
        ModelError: it cannot be loaded.
        DataError: the examples cannot be read.
    """
    prompts = [without_answer(messages) for messages in first_prompts(Path(spec.examples), spec.prompts)]
    loaded = load(spec.model, device)
    completions = complete(loaded, prompts, max_new_tokens=spec.max_new_tokens, batch_tokens=spec.batch_tokens)
    answered = sum(bool(completion.text.strip()) for completion in completions)
    return TryResult(counts=TryCounts(asked=len(prompts), answered=answered))


def first_prompts(examples: Path, count: int) -> list[list[dict[str, str]]]:
    """The messages of the first validation rows, and then of the first others if there are too few."""
    found: dict[bool, list[list[dict[str, str]]]] = {True: [], False: []}
    for table in parquet.stream_tables(examples, ["split", "messages"]):
        is_held_out = pc.equal(table.column("split"), "validation")
        for held_out, mask in ((True, is_held_out), (False, pc.invert(is_held_out))):
            some = table.column("messages").filter(mask).slice(0, count - len(found[held_out]))
            found[held_out] += some.to_pylist()
        if len(found[True]) == count:
            break
    return [*found[True], *found[False]][:count]

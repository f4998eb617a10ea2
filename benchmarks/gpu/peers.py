"""The part `generate_transformers`: the rows of the engines, through transformers' own continuous batching."""

import time

from benchmarks.gpu.job import Figures, Job
from distill_dagster.models.loading import load
from distill_dagster.models.rendering import encode, render_prompt
from distill_dagster.store import parquet


def generate_transformers(job: Job) -> Figures:
    """Samples at temperature 1, as the engines do; loading is not timed, preparing its cache and graphs is."""
    import torch
    from transformers import GenerationConfig

    started = time.perf_counter()
    loaded = load(job.ref.model_copy(update={"path": str(job.folder / "ragged")}), job.device)
    rows = parquet.read_table(job.folder / "raw.parquet", columns=["messages"])
    prompts = [encode(loaded.tokenizer, render_prompt(loaded.tokenizer, row["messages"])) for row in rows]
    config = GenerationConfig(
        max_new_tokens=job.size.max_new_tokens,
        do_sample=True,
        temperature=1.0,
        top_k=0,
        eos_token_id=loaded.model.generation_config.eos_token_id,
        pad_token_id=loaded.tokenizer.pad_token_id,
    )
    if job.device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats(job.device)
    answering = time.perf_counter()
    made = loaded.model.generate_batch(inputs=prompts, generation_config=config)
    seconds = time.perf_counter() - answering
    tokens = sum(len(one.generated_tokens) for one in made.values())
    peak = torch.cuda.max_memory_allocated(job.device) if job.device.startswith("cuda") else None
    return {
        "seconds": time.perf_counter() - started,
        "peak_memory_bytes": peak,
        "tokens": tokens,
        "engine_seconds": seconds,
        "tokens_per_second": tokens / seconds,
        "rows": len(made),
        "dtype": loaded.dtype,
    }

"""The peak that the memory plan estimates for a training part, to stand beside the measured one."""

from pathlib import Path

from benchmarks.gpu.job import Job
from distill_dagster.config import LogitsConfig, StudentTrainingConfig
from distill_dagster.models.rendering import encode_example, end_ids
from distill_dagster.models.tokenizer import open_config, open_tokenizer
from distill_dagster.store import parquet
from distill_dagster.tasks.prompts import without_answer
from distill_dagster.training.memory.step import LargestBatch, step_memory, stored_tokens


def planned_peak(job: Job, training: StudentTrainingConfig) -> int:
    """Bytes of a step on the longest batch of the rows. Every token of it counts in the loss."""
    folder = Path(job.ref.path)
    tokenizer, config = open_tokenizer(folder), open_config(folder)
    rows = parquet.read_table(job.folder / "examples.parquet", ["messages", "answer"])
    ends = end_ids(tokenizer, None)
    longest = max(
        len(encode_example(tokenizer, without_answer(row["messages"]), row["answer"], ends).ids) for row in rows
    )
    stored = stored_tokens(training, LogitsConfig(k=job.size.k))
    return step_memory(config, training, LargestBatch(training.batch_size, longest, stored), job.device[:4]).peak

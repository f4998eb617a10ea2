"""How fast a student is sampled, against the padded `generate` with which TRL's on-policy trainers do it.

    rollout_vs_padded_generate        tokens a CPU second of our rollouts / of `generate` on padded batches of as many
                                      rows as ours hold on average (40)
    rollout_vs_padded_generate_of_8   the same with TRL's default batch

Both sample at temperature 1 from the model of the bench `generation`, whose answers end after any number of tokens, 80
prompts of many lengths in no order, at most 192 new tokens. TRL's side is its own function, GKDTrainer's
`generate_on_policy_outputs`: prompts are padded to the longest of a batch, and the batch runs until its longest answer
has ended. Tokens are counted up to the end token. Ours looks for loops after each token as well. One thread, CPU
seconds, alternating, the fastest of `ROUNDS`.
"""

import time
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from benchmarks.generation import BATCH_TOKENS, ENDS, new_model, ragged_rows, rows_a_batch, up_to_end
from distill_dagster.models.decoding import Repetition, Row, Sampling, answer_rows
from distill_dagster.models.engines.rows import left_padded
from distill_dagster.models.loading import LoadedModel

ROUNDS, ROWS = 3, 80
NEW_TOKENS, DEFAULT_BATCH = 192, 8
LOOPS = Repetition(ngram=32, times=8)


def ours(loaded: LoadedModel, rows: Sequence[Row], seed: int) -> int:
    """The number of tokens that our engine sampled."""
    fresh = [Row(row.position, row.prompt) for row in rows]
    sampling = Sampling(NEW_TOKENS, temperature=1.0, seed=seed, repetition=LOOPS)
    for _ in answer_rows(loaded, fresh, sampling, BATCH_TOKENS):
        pass
    return sum(len(row.answer) for row in fresh)


def padded(size: int) -> Callable[[LoadedModel, Sequence[Row], int], int]:
    """The same by TRL on batches of `size`."""

    def sample(loaded: LoadedModel, rows: Sequence[Row], seed: int) -> int:
        import torch

        torch.manual_seed(seed)
        return sum(_generated(loaded, rows[i : i + size]) for i in range(0, len(rows), size))

    return sample


def _generated(loaded: LoadedModel, batch: Sequence[Row]) -> int:
    import torch
    from transformers import GenerationConfig

    ids, mask = left_padded(batch, 0, "cpu")
    ends = list(range(1, 1 + ENDS))
    settings = GenerationConfig(
        max_new_tokens=NEW_TOKENS, do_sample=True, top_k=0, temperature=1.0, eos_token_id=ends, pad_token_id=0
    )
    with torch.no_grad():
        inputs = {"prompts": ids, "prompt_attention_mask": mask}
        tokens, _, _ = trl_trainer().generate_on_policy_outputs(loaded.model, inputs, settings)
    return sum(len(up_to_end(answer)) for answer in tokens[:, ids.shape[1] :].tolist())


@cache
def trl_trainer() -> Any:
    """TRL's trainer of generalised knowledge distillation."""
    from trl.experimental.gkd import GKDTrainer

    return GKDTrainer


def measure() -> dict[str, float]:
    """Tokens a CPU second of each way, and ours to the others."""
    import torch

    torch.set_num_threads(1)
    trl_trainer()  # its import is no part of the time
    loaded, rows = new_model(), ragged_rows()[:ROWS]
    ways = {"ours": ours, "padded": padded(rows_a_batch(rows)), "padded_of_8": padded(DEFAULT_BATCH)}
    best = dict.fromkeys(ways, 0.0)
    for seed in range(ROUNDS):
        for name, way in ways.items():
            started = time.process_time()
            tokens = way(loaded, rows, seed)
            best[name] = max(best[name], tokens / (time.process_time() - started))
    return {
        **{f"rollout_tokens_per_s_{name}": value for name, value in best.items()},
        "rollout_vs_padded_generate": best["ours"] / best["padded"],
        "rollout_vs_padded_generate_of_8": best["ours"] / best["padded_of_8"],
    }

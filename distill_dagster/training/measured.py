"""What a teacher's layers do to what they read, over training prompts: what cutting.py chooses layers and neurons by.

Both measures come from one pass in float32 over the prompts as the chat template renders them. B rows, T positions,
F neurons.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from distill_dagster.errors import ModelError, TrainingError
from distill_dagster.models.layers import layers_of
from distill_dagster.models.padding import right_padded
from distill_dagster.models.rendering import RenderError, encode, render_prompt
from distill_dagster.models.row_limits import RowLimits, longest_row
from distill_dagster.store import parquet
from distill_dagster.tasks.prompts import prompts_of
from distill_dagster.training.cutting import feed_forward_of

BATCH_TOKENS = 8192  # padded tokens that are read at once


class Measured:
    """What each of a model's layers does to what it reads, over prompts."""

    def __init__(self, model: Any) -> None:
        self.model, self.layers = model, layers_of(model)
        self._cosines = torch.zeros(len(self.layers), dtype=torch.float64)
        self._activity: list[Any] = [0.0] * len(self.layers)  # sums of squares (F,)
        self._tokens = 0
        self._real = torch.zeros(0)  # (B, T) of the present batch

    @property
    def influence(self) -> list[float]:
        """Each layer's Block Influence."""
        return (1 - self._cosines / max(1, self._tokens)).tolist()

    def neurons(self, layer: int, count: int) -> torch.Tensor:
        """The `count` most active neurons of a layer, in their order; of equal ones the first."""
        order = torch.sort(self._activity[layer - 1], descending=True, stable=True).indices
        return order[:count].sort().values

    def read(self, rows: Sequence[list[int]], device: str, pad: int) -> None:
        """Let the model read these token ids."""
        self.model.to(device).eval()
        handles = [layer.register_forward_hook(self._at(i), with_kwargs=True) for i, layer in enumerate(self.layers)]
        handles += [reader.register_forward_pre_hook(self._active(i)) for i, reader in self._readers()]
        try:
            with torch.no_grad():
                for ids, real in _batches(rows, RowLimits.of(self.model.config), device, pad):
                    self._real, self._tokens = real, self._tokens + int(real.sum())
                    self.model.get_decoder()(input_ids=ids, use_cache=False)
        finally:
            for handle in handles:
                handle.remove()
            self.model.to("cpu")

    def _readers(self) -> Iterator[tuple[int, Any]]:
        """The module that reads each layer's neurons; none if they cannot be told, which only a cut of them needs."""
        for i, layer in enumerate(self.layers):
            try:
                yield i, feed_forward_of(layer, self.model.config).reader
            except ModelError:
                return

    def _at(self, i: int) -> Any:
        def hook(_: Any, args: Any, kwargs: Any, output: Any) -> None:
            before = args[0] if args else kwargs["hidden_states"]
            after = output[0] if isinstance(output, tuple) else output
            cosine = torch.nn.functional.cosine_similarity(before.double(), after.double(), dim=-1)  # (B, T)
            self._cosines[i] += (cosine * self._real).sum().cpu()

        return hook

    def _active(self, i: int) -> Any:
        def hook(_: Any, args: Any) -> None:
            self._activity[i] = (
                self._activity[i] + (args[0].double().square() * self._real[..., None]).sum((0, 1)).cpu()
            )

        return hook


def training_prompts(paths: Sequence[str], tokenizer: Any, config: Any, most: int) -> tuple[list[list[int]], int]:
    """Token ids of at most `most` training prompts, evenly spaced among all, and how many the model cannot read."""
    rows = [row for path in paths for row in parquet.read_table(Path(path)) if row["split"] == "train"]
    prompts = [prompt.messages for row in rows for prompt in prompts_of(row)]
    limits, longest, found = RowLimits.of(config), longest_row(config), []
    count = min(most, len(prompts))
    for messages in (prompts[i * len(prompts) // count] for i in range(count)):
        try:
            ids = encode(tokenizer, render_prompt(tokenizer, messages))
        except RenderError:
            continue
        if limits.reads(ids) and len(ids) <= (longest or len(ids)):
            found.append(ids)
    if not found:
        raise TrainingError(
            f"`student.init` measures the teacher over training prompts, and it can read 0 of {len(prompts):,}: use "
            "`choose: spaced` without `feed_forward`, or add training rows"
        )
    return found, count - len(found)


def _batches(
    rows: Sequence[list[int]], limits: RowLimits, device: str, pad: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Token ids and which of them are real (B, T), padded on the right; rows of like length, on a switch's one side."""
    batch: list[list[int]] = []
    for row in sorted(rows, key=len):
        if batch and (
            len(row) * (len(batch) + 1) > BATCH_TOKENS or limits.side(len(row)) != limits.side(len(batch[0]))
        ):
            yield right_padded(batch, pad, device)
            batch = []
        batch.append(row)
    if batch:
        yield right_padded(batch, pad, device)

"""The engine `vllm`: vLLM answers for a local teacher, with the GPUs that the worker sees to itself.

    Row(prompt=[5, 17, 9], key="3f2a…")  ->  {"prompt_token_ids": [5, 17, 9]}, seed 2938471              to vLLM
    RequestOutput(outputs=[token_ids=[40, 2]])  ->  answer [40, 2], which ends because 2 is an end token  back

Prompts are rendered, answers ended and texts decoded as for the other engines; vLLM chooses the tokens. With several
visible GPUs each layer is split over all of them (tensor parallelism). One model is kept at a time, because vLLM takes
most of the GPU's memory when it starts. A sampled answer has a seed of its own, so it does not depend on the other
prompts, but vLLM draws other numbers from it than our engines do.

vLLM gets only public names of its version 0.33.
"""

import gc
import importlib.util
import itertools
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill_dagster.errors import ModelError
from distill_dagster.models.engines.rows import Row, Sampling
from distill_dagster.models.loading import LoadedModel, dtype_name, forget
from distill_dagster.models.ref import ModelRef
from distill_dagster.models.rendering import answer_ends
from distill_dagster.models.row_limits import RowLimits
from distill_dagster.models.tokenizer import open_config, open_tokenizer, stated_ends

OTHERS = "use `engine: auto`"
# vLLM reports its use to its makers unless this is set; in this process, its memory is counted as ours
ENVIRONMENT = {"VLLM_NO_USAGE_STATS": "1", "VLLM_ENABLE_V1_MULTIPROCESSING": "0"}


@dataclass(frozen=True, slots=True)
class OfflineModel:
    """Takes the place of a transformers model in a `LoadedModel`: its config, and the engine that holds the weights."""

    config: Any
    ends: list[int]  # the tokens that end an answer
    longest: int  # tokens of a prompt and its answer that the engine has room for
    engine: Any  # vllm.LLMEngine


_kept: dict[tuple[str, ...], LoadedModel] = {}
_numbers = itertools.count()  # of requests: those that a caller gave up may still be with the engine


def load_offline(ref: ModelRef, device: str, batch_tokens: int) -> LoadedModel:
    """The model in vLLM, from memory if it is the one that was used last.

    Raises:
        ModelError: there is no vLLM or no GPU, or vLLM cannot run the model.
    """
    key = (ref.path, ref.version, ref.dtype, device, str(batch_tokens))
    if key not in _kept:
        config = open_config(Path(ref.path))
        _require_able(ref, config, device)
        drop_offline()
        forget()
        _kept[key] = _open_offline(ref, config, device, batch_tokens)
    return _kept[key]


def drop_offline() -> None:
    """Drop the model that is kept in memory."""
    _kept.clear()
    gc.collect()


def missing_vllm() -> str | None:
    """What to do if vLLM is not installed, or None."""
    if importlib.util.find_spec("vllm") is not None:
        return None
    return (
        "`generation.engine: vllm` needs the package vllm, which is not installed: install `distill-dagster[vllm]` on "
        f"a machine with a GPU, or {OTHERS}"
    )


def _require_able(ref: ModelRef, config: Any, device: str) -> None:
    """Refuse what vLLM cannot do, or would do in another way than it is asked."""
    if missing := missing_vllm():
        raise ModelError(missing)
    if device != "cuda:0":
        raise ModelError(
            f"`generation.engine: vllm` needs the first GPU that the worker sees, and its device is {device}: lease a "
            f"GPU with `compute.backend: subprocess`, or {OTHERS}"
        )
    if (switch := RowLimits.of(config).switch) is not None:
        raise ModelError(
            f"{ref.name} reads rows of more than {switch:,} tokens with other angles (longrope), and vLLM reads all "
            f"rows with those of the longest: {OTHERS}"
        )


def _open_offline(ref: ModelRef, config: Any, device: str, batch_tokens: int) -> LoadedModel:
    tokenizer, dtype = open_tokenizer(Path(ref.path), ref.prompt_date), dtype_name(ref.dtype, device)
    context = getattr(config, "max_position_embeddings", None)
    longest = min(batch_tokens, context or batch_tokens)
    engine = _start(ref, dtype, longest)
    ends = answer_ends(tokenizer, stated_ends(Path(ref.path), config, tokenizer))
    return LoadedModel(OfflineModel(config, ends, longest, engine), tokenizer, device, dtype, ref)


def _start(ref: ModelRef, dtype: str, longest: int) -> Any:
    """The engine, on all GPUs that this process sees."""
    import torch

    os.environ.update(ENVIRONMENT)
    try:
        from vllm import EngineArgs, LLMEngine  # pyright: ignore[reportMissingImports]

        arguments = EngineArgs(
            model=ref.path,
            skip_tokenizer_init=True,
            trust_remote_code=False,
            load_format="safetensors",
            generation_config="vllm",  # not the checkpoint's sampling defaults
            dtype=dtype,
            max_model_len=longest,
            tensor_parallel_size=torch.cuda.device_count(),
            disable_log_stats=True,
        )
        return LLMEngine.from_engine_args(arguments)
    except (ImportError, ValueError, RuntimeError, NotImplementedError, KeyError, AttributeError, TypeError) as e:
        raise ModelError(
            f"vLLM cannot start {ref.name} with room for rows of {longest:,} tokens: {e}: {OTHERS}, or lower "
            "`generation.batch_tokens` if memory ran out"
        ) from e


def answer_offline(
    loaded: LoadedModel, rows: Sequence[Row], sampling: Sampling, batch_tokens: int
) -> Iterator[Sequence[Row]]:
    """Answer `rows`; those that end in the same step share the time since the step in which others ended.

    Raises:
        ModelError: a row does not fit the room for one row, or vLLM gave an answer up.
    """
    model: OfflineModel = loaded.model
    assert sampling.repetition is None, "rollouts have an engine of their own"
    _require_room(loaded, rows, sampling)
    waiting = {f"{next(_numbers)}": row for row in rows}
    for name, row in waiting.items():
        model.engine.add_request(name, {"prompt_token_ids": row.prompt}, _parameters(row, sampling, model.ends))
    began = time.perf_counter()
    try:
        while model.engine.has_unfinished_requests():
            outputs = [output for output in model.engine.step() if output.finished and output.request_id in waiting]
            ended = [_end(waiting.pop(output.request_id), output.outputs[0], sampling, model) for output in outputs]
            if ended:
                now = time.perf_counter()
                for row in ended:
                    row.milliseconds = (now - began) * 1000 / len(ended)
                began = now
                yield ended
    finally:
        model.engine.abort_request(list(waiting))


def _require_room(loaded: LoadedModel, rows: Sequence[Row], sampling: Sampling) -> None:
    needed = max((len(row.prompt) for row in rows), default=0) + sampling.max_new_tokens
    if rows and needed > loaded.model.longest:
        raise ModelError(
            f"a prompt and its answer may have {needed:,} tokens, and `generation.batch_tokens` lets vLLM make room "
            f"for {loaded.model.longest:,}: raise it to {needed:,}, or {OTHERS}"
        )


def _parameters(row: Row, sampling: Sampling, ends: list[int]) -> Any:
    """vLLM's parameters of one request; the end tokens are those of the other engines."""
    from vllm import SamplingParams  # pyright: ignore[reportMissingImports]
    from vllm.sampling_params import RequestOutputKind  # pyright: ignore[reportMissingImports]

    drawn: Mapping[str, Any] = {"seed": sampling.seed_of(row)} if sampling.temperature else {}
    return SamplingParams(
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        max_tokens=sampling.max_new_tokens,
        stop_token_ids=ends,
        ignore_eos=True,
        detokenize=False,
        output_kind=RequestOutputKind.FINAL_ONLY,
        **drawn,
    )


def _end(row: Row, output: Any, sampling: Sampling, model: OfflineModel) -> Row:
    row.answer = list(output.token_ids)
    row.finish = sampling.finish_of(row.answer, model.ends) if row.answer else None
    if row.finish is None:
        raise ModelError(
            f"vLLM ended an answer after {len(row.answer):,} of at most {sampling.max_new_tokens:,} tokens without an "
            f"end token, for the reason {output.finish_reason!r}: run again, or {OTHERS}"
        )
    return row

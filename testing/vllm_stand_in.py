"""A module in the place of vLLM: its names and parameters are those of the real wheel, its tokens those of `generate`.

    install(monkeypatch, gpus=2).engines[0]        .arguments, .requests, .aborted

It refuses a parameter that vLLM 0.33 does not have. It ends the requests one by one, the last one first, so that
whoever relies on their order is found out.
"""

import enum
import json
import types
from pathlib import Path
from typing import Any

from distill_dagster.models.engines.batched import answer_batched
from distill_dagster.models.engines.rows import Row, Sampling
from distill_dagster.models.loading import LoadedModel, load
from distill_dagster.models.pinning import pin_folder
from testing.vllm_signatures import TABLE

SIGNATURES = json.loads(TABLE.read_text())


class Named:
    """An object of a class of vLLM, made of keywords that this class has."""

    def __init__(self, **given: Any) -> None:
        known = SIGNATURES[type(self).__name__]
        known = known["__init__"] if isinstance(known, dict) else known
        assert given.keys() <= set(known), f"{type(self).__name__} has no {given.keys() - set(known)}"
        self.__dict__.update(given)


class EngineArgs(Named):
    """What the engine starts with."""


class SamplingParams(Named):
    """What a request asks."""


class CompletionOutput(Named):
    """An answer."""


class RequestOutput(Named):
    """A request and its answers."""


RequestOutputKind = enum.Enum("RequestOutputKind", SIGNATURES["RequestOutputKind"])


class LLMEngine:
    """Answers with transformers."""

    engines: list["LLMEngine"] = []
    give_up_after: int | None = None  # tokens of an answer that the engine gives up

    def __init__(self, arguments: EngineArgs) -> None:
        self.arguments = arguments
        self.requests: dict[str, tuple[list[int], SamplingParams]] = {}
        self.waiting: list[str] = []
        self.aborted: list[str] = []
        self.loaded: LoadedModel = load(pin_folder(Path(arguments.model), name="own"), "cpu")
        self.engines.append(self)

    @classmethod
    def from_engine_args(cls, engine_args: EngineArgs) -> "LLMEngine":
        return cls(engine_args)

    def add_request(self, request_id: str, prompt: dict[str, list[int]], params: SamplingParams) -> None:
        assert request_id not in self.requests
        self.requests[request_id] = (prompt["prompt_token_ids"], params)
        self.waiting.append(request_id)

    def has_unfinished_requests(self) -> bool:
        return bool(self.waiting)

    def step(self) -> list[RequestOutput]:
        name = self.waiting.pop()
        prompt, params = self.requests[name]
        row = Row(0, prompt)
        self.loaded.model.generation_config.eos_token_id = params.stop_token_ids
        list(answer_batched(self.loaded, [row], Sampling(params.max_tokens), 10_000))
        answer = row.answer[: self.give_up_after]
        output = CompletionOutput(index=0, text="", token_ids=tuple(answer), finish_reason=row.finish)
        fields = {"request_id": name, "prompt": None, "prompt_token_ids": prompt, "prompt_logprobs": None}
        return [RequestOutput(**fields, outputs=[output], finished=True)]

    def abort_request(self, request_ids: list[str]) -> None:
        self.aborted += request_ids
        self.waiting = [name for name in self.waiting if name not in request_ids]


def install(monkeypatch: Any, gpus: int = 1) -> type[LLMEngine]:
    """Let `import vllm` find this, on a machine that seems to have GPUs; returns the engine's class."""
    import importlib.machinery
    import sys

    import torch

    package, sampling = types.ModuleType("vllm"), types.ModuleType("vllm.sampling_params")
    package.__spec__ = importlib.machinery.ModuleSpec("vllm", None)
    for one in (EngineArgs, SamplingParams, LLMEngine):
        assert one.__name__ in SIGNATURES["vllm"]
        setattr(package, one.__name__, one)
    sampling.RequestOutputKind = RequestOutputKind  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setitem(sys.modules, "vllm", package)
    monkeypatch.setitem(sys.modules, "vllm.sampling_params", sampling)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(LLMEngine, "engines", [])
    return LLMEngine

"""The engine `vllm`, against the names of vLLM's wheel: these tests run a stand-in for it, never vLLM itself."""

import inspect
import json
import os

import pytest

from distill_dagster.config import GenerationConfig
from distill_dagster.config.reading import check_config
from distill_dagster.errors import ConfigError, ModelError
from distill_dagster.models.engines import vllm_offline
from distill_dagster.models.engines.vllm_offline import ENVIRONMENT, drop_offline, load_offline
from distill_dagster.teachers.local import LocalTeacher
from distill_dagster.teachers.protocol import Request
from testing import vllm_stand_in
from testing.models_tiny import LLAMA, TINY, rows, write_model
from testing.projects import tiny_settings
from testing.vllm_stand_in import SIGNATURES

WIDE = TINY.model_copy(update={"settings": {**TINY.settings, "initializer_range": 0.2}})


@pytest.fixture
def ref(tmp_path):
    return write_model(tmp_path / "model", WIDE)


@pytest.fixture
def engines(monkeypatch):
    """The engines that were started, with vLLM in place; nothing is kept from another test."""
    for name in ENVIRONMENT:
        monkeypatch.setenv(name, "")
    drop_offline()
    yield vllm_stand_in.install(monkeypatch, gpus=2).engines
    drop_offline()


def asked(ref, count=6, device="cuda:0", **generation):
    """The replies of a local teacher with this engine, in the order in which they were recorded."""
    config = GenerationConfig(**{"max_new_tokens": 12, "engine": "vllm", "batch_tokens": 96, **generation})
    teacher, replies = LocalTeacher(ref, config, device), []
    requests = [Request(row["row_id"], row["messages"]) for row in rows(count)]
    teacher.answer(requests, replies.append)
    return replies


def test_the_answers_are_those_of_our_engine(ref, engines):
    replies = {reply.request_hash: reply for reply in asked(ref)}
    ours = {reply.request_hash: reply for reply in asked(ref, device="cpu", engine="continuous", batch_tokens=1000)}
    assert replies.keys() == ours.keys()
    for name, reply in replies.items():
        own = ours[name]
        assert (reply.text, reply.finish_reason) == (own.text, own.finish_reason)
        assert (reply.prompt_tokens, reply.completion_tokens) == (own.prompt_tokens, own.completion_tokens)
    assert sum(reply.latency_ms for reply in replies.values()) > 0


def test_vllm_starts_once_on_all_visible_gpus_with_the_pinned_weights_and_reports_nothing(ref, engines):
    asked(ref)
    asked(ref)
    (engine,) = engines
    given = vars(engine.arguments)
    assert (given["model"], given["dtype"], given["tensor_parallel_size"]) == (ref.path, "bfloat16", 2)
    assert (given["trust_remote_code"], given["load_format"]) == (False, "safetensors")
    assert given["max_model_len"] == 96
    assert given["generation_config"] == "vllm"
    assert {name: os.environ[name] for name in ENVIRONMENT} == ENVIRONMENT


def test_a_reply_is_recorded_as_soon_as_it_has_ended(ref, engines):
    """The stand-in ends the last request first; a killed run loses only those that have not ended."""
    config = GenerationConfig(max_new_tokens=12, engine="vllm", batch_tokens=96)
    recorded = []

    class KilledError(Exception):
        pass

    def record(reply):
        recorded.append(reply.request_hash)
        if len(recorded) == 2:
            raise KilledError

    requests = [Request(row["row_id"], row["messages"]) for row in rows(6)]
    with pytest.raises(KilledError):
        LocalTeacher(ref, config, "cuda:0").answer(requests, record)
    assert recorded == ["train-5", "train-4"]
    assert {reply.request_hash for reply in asked(ref)} == {f"train-{i}" for i in range(6)}, (
        "the rest is not in the way"
    )


def test_a_sampled_row_has_its_own_seed_whichever_rows_share_the_batch(ref, engines):
    def seeds(count, seed=0):
        drop_offline()
        asked(ref, count, temperature=0.7, top_p=0.9, seed=seed)
        sent = [params for _, params in engines[-1].requests.values()]
        assert {(params.temperature, params.top_p) for params in sent} == {(0.7, 0.9)}
        return [params.seed for params in sent]

    assert seeds(3) == seeds(6)[:3]
    assert len(set(seeds(6))) == 6
    assert not set(seeds(3)) & set(seeds(3, seed=1))


def test_a_greedy_request_has_no_seed_and_ends_as_with_our_engines(ref, engines):
    asked(ref)
    for _, params in engines[0].requests.values():
        assert not hasattr(params, "seed")
        assert params.ignore_eos
        assert params.stop_token_ids
        assert params.output_kind.name == "FINAL_ONLY"


def test_rows_that_need_more_room_than_the_engine_has_are_refused_before_any_is_asked(ref, engines):
    with pytest.raises(ModelError, match=r"may have \d+ tokens, and `generation.batch_tokens` lets .* 64: raise it"):
        asked(ref, max_new_tokens=60, batch_tokens=64)
    assert not engines[0].requests


def test_an_answer_that_vllm_gives_up_is_an_error(ref, engines, monkeypatch):
    monkeypatch.setattr(vllm_stand_in.LLMEngine, "give_up_after", 1)
    with pytest.raises(ModelError, match="after 1 of at most 12 tokens without an end token"):
        asked(ref)
    assert engines[0].aborted


def test_without_vllm_or_without_a_gpu_it_says_so(ref, engines, monkeypatch):
    with pytest.raises(ModelError, match="its device is cpu: lease a GPU"):
        asked(ref, device="cpu")
    monkeypatch.setattr(vllm_offline.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"not installed: install `distill-dagster\[vllm\]`"):
        asked(ref)
    assert not engines


def test_what_vllm_reads_with_other_angles_is_refused(tmp_path, engines):
    half = LLAMA["hidden_size"] // LLAMA["num_attention_heads"] // 2
    rope = {"rope_type": "longrope", "short_factor": [1.0] * half, "long_factor": [2.0] * half, "rope_theta": 1e4}
    ref = write_model(tmp_path / "long", TINY)
    config = tmp_path / "long" / "config.json"
    stored = json.loads(config.read_text())
    stored |= {"rope_parameters": {**rope, "original_max_position_embeddings": 64}, "max_position_embeddings": 128}
    config.write_text(json.dumps(stored))
    with pytest.raises(ModelError, match=r"more than 64 tokens with other angles"):
        load_offline(ref, "cuda:0", 96)


def test_what_vllm_cannot_start_is_our_error(ref, engines, monkeypatch):
    def refuse(engine_args):
        raise ValueError("no memory for the cache")

    monkeypatch.setattr(vllm_stand_in.LLMEngine, "from_engine_args", refuse)
    with pytest.raises(ModelError, match=r"vLLM cannot start .*: no memory for the cache: .*lower"):
        asked(ref)


@pytest.mark.parametrize(
    "name", ["add_request", "step", "has_unfinished_requests", "abort_request", "from_engine_args"]
)
def test_the_stand_in_has_the_methods_of_vllm(name):
    """Its parameters are the first ones of vLLM's method, by the same names."""
    own = [each for each in inspect.signature(getattr(vllm_stand_in.LLMEngine, name)).parameters if each != "self"]
    assert own == SIGNATURES["LLMEngine"][name][: len(own)]


def test_a_config_that_vllm_cannot_serve_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"`compute.backend` is inline: set it to `subprocess`"):
        check_config(tiny_settings(**{"teacher.generation.engine": "vllm"}), "test")
    served = {"teacher.generation.engine": "vllm", "compute.backend": "subprocess"}
    assert check_config(tiny_settings(**served), "test").teacher.generation.engine == "vllm"
    judged = served | {"teacher.best_of": {"teachers": [{"model": {"name": "/models/other"}}]}}
    with pytest.raises(ConfigError, match="holds one model in the GPU's memory, and 2 local models"):
        check_config(tiny_settings(**judged), "test")

"""A shard's result is read back typed from its manifest, even from one that the version before wrote."""

import json

from distill_dagster.generation.specs import AnswerLength, GenerateCounts, GenerateResult
from distill_dagster.store.artefacts import MANIFEST, Store
from distill_dagster.store.result import Usage

RESULT = GenerateResult(
    data_version="d",
    counts=GenerateCounts(rows=3, requests=4, ok=3, failed=1, truncated=1, unparsed=0, chosen=4),
    complete=False,
    usage=Usage(device="cpu", seconds=1.5, gpu_seconds=0.0, peak_memory_bytes=2**20),
    leased=[],
    teacher="made",
    teachers={"made": 4},
    asked=2,
    reused=2,
    prompt_tokens=10,
    completion_tokens=20,
    cost_usd=0.25,
    seconds=1.25,
    tokens_per_second=16.0,
    table_cost_usd=0.5,
    errors={"timeout": 1},
    judge_errors={},
    finish_reasons={"length": 1, "stop": 2},
    estimated=1,
    answer_length=AnswerLength(answers=3, median=13),
    device="cpu",
    dtype="not known",
)
NEWER = {"finish_reasons", "estimated", "billing", "judge_billing", "judge_cost_usd"}  # since version 0.2.0
KEYS = {  # of `facts` in manifests of version 0.1.0
    *("teacher", "teachers", "asked", "reused", "prompt_tokens", "completion_tokens", "cost_usd", "seconds"),
    *("tokens_per_second", "table_cost_usd", "errors", "judge_errors", "answer_length"),
    *("device", "dtype", "usage", "leased"),
}


def published(root):
    store = Store(root)
    return store, store.publish("teacher_outputs", "one", fingerprint="f", inputs={}, make=lambda out, work: RESULT)


def test_a_result_is_read_back_from_its_manifest(tmp_path):
    store, _ = published(tmp_path)
    assert store.get("teacher_outputs", "one").read(GenerateResult) == RESULT


def test_the_keys_on_disk_are_those_of_the_version_before(tmp_path):
    _, manifest = published(tmp_path)
    assert manifest.facts.keys() == KEYS | NEWER
    assert manifest.facts["answer_length"] == {"answers": 3, "median": 13}
    assert manifest.counts == {
        **{"rows": 3, "requests": 4, "ok": 3, "failed": 1, "truncated": 1, "unparsed": 0, "chosen": 4}
    }


def test_a_manifest_without_the_newer_facts_is_read_too(tmp_path):
    store, _ = published(tmp_path)
    path = tmp_path / "teacher_outputs" / "one" / MANIFEST
    document = json.loads(path.read_text())
    for name in ("judge_errors", "leased", *NEWER):
        del document["facts"][name]
    path.write_text(json.dumps(document))
    read = store.get("teacher_outputs", "one").read(GenerateResult)
    assert (read.judge_errors, read.finish_reasons, read.estimated, read.asked) == ({}, {}, 0, 2)

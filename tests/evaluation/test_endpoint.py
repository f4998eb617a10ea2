"""A teacher behind an endpoint is measured with what the endpoint accepts, and the benchmark and the report say so."""

import json

import pytest

from distill_dagster.config import EndpointConfig, EvaluationConfig, SpeedConfig
from distill_dagster.errors import TeacherError
from distill_dagster.evaluation.benchmark import run_benchmark
from distill_dagster.evaluation.specs import BenchmarkSpec
from distill_dagster.store import parquet, schemas
from distill_dagster.teachers.faculty import endpoint_ref
from distill_dagster.teachers.responses import Responses
from testing.batch_server import BatchServer
from tests.evaluation.builders import ROWS


def spec_of(folder, server, **endpoint) -> BenchmarkSpec:
    parquet.write_table(folder / "raw.parquet", ROWS, schemas.RAW)
    (folder / "out").mkdir(exist_ok=True)
    settings = {"url": server.url, "model": "made", "attempts": 1, **endpoint}
    return BenchmarkSpec(
        role="teacher",
        model=endpoint_ref(EndpointConfig(**settings)),
        rows=str(folder / "raw.parquet"),
        max_new_tokens=8,
        evaluation=EvaluationConfig(resamples=200),
        responses=str(folder / "responses"),
        out=str(folder / "out"),
    )


@pytest.mark.parametrize(("price", "billing"), [({"prompt": 0, "completion": 1_000_000}, "priced"), (None, "no price")])
def test_the_benchmark_says_what_its_replies_have_cost_whenever_they_were_paid_for(tmp_path, server, price, billing):
    server.script(choices=["entailment"])
    results = [run_benchmark(spec_of(tmp_path, server, price=price), "cpu") for _ in range(2)]
    spent = Responses(tmp_path / "responses").spent()
    assert [(result.billing, result.cost_usd) for result in results] == [(billing, spent)] * 2
    assert (spent > 0) is (billing == "priced")


def test_a_model_of_temperature_1_alone_is_measured_at_1_and_says_so(tmp_path, server):
    server.script(refuses={"temperature": [1]}, choices=["entailment"])
    with pytest.raises(TeacherError, match=r"parameters: \{temperature: 1\}"):
        run_benchmark(spec_of(tmp_path, server), "cpu")
    result = run_benchmark(spec_of(tmp_path, server, parameters={"temperature": 1}), "cpu")
    assert result.counts.failed == 0
    assert result.sampling == {"temperature": 1.0}
    assert json.loads((tmp_path / "out" / "benchmark.json").read_text())["sampling"] == {"temperature": 1.0}


@pytest.mark.parametrize(
    ("endpoint", "sampling"),
    [
        ({}, None),
        ({"parameters": {"temperature": "omit"}}, {}),
        ({"parameters": {"temperature": 1, "top_p": 0.9}}, {"temperature": 1.0, "top_p": 0.9}),
        ({"extra_body": {"temperature": 0.7}}, {"temperature": 0.7}),
    ],
)
def test_the_benchmark_names_what_was_sent(tmp_path, server, endpoint, sampling):
    server.script(choices=["entailment"])
    result = run_benchmark(spec_of(tmp_path, server, **endpoint), "cpu")
    assert result.sampling == sampling
    document = json.loads((tmp_path / "out" / "benchmark.json").read_text())
    assert document.get("sampling") == sampling
    assert ("sampling" in document) == (sampling is not None)


@pytest.mark.processes
@pytest.mark.parametrize("timed", [0, 5])
def test_timed_requests_are_sent_one_by_one_and_the_others_in_a_batch(tmp_path, timed):
    price = {"prompt": 0, "completion": 1_000_000, "batch_discount": 0.5}
    with BatchServer() as server:
        server.script(choices=["entailment"])
        speed = SpeedConfig(endpoint_requests=timed)
        spec = spec_of(tmp_path, server, batch=True, price=price)
        result = run_benchmark(spec.model_copy(update={"evaluation": EvaluationConfig(speed=speed)}), "cpu")
        counts = server.counts()
    assert result.counts.failed == 0
    assert (result.parameters, result.dtype, result.device) == (None, "not known", "endpoint")
    assert counts["total"] == timed
    assert sum(counts["asked_in_batches"].values()) == result.counts.predictions - timed

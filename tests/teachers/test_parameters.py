"""What an endpoint is sent: one place decides, for teaching, measuring, judging and the smoke gate."""

import json
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from distill_dagster.config import GenerationConfig, ParametersConfig, SmokeConfig, TeacherConfig
from distill_dagster.teachers.asker import request_hash
from distill_dagster.teachers.endpoint import ApiTeacher
from distill_dagster.teachers.faculty import Faculty
from distill_dagster.teachers.sampling import sampling_params
from testing.endpoint_teacher import one_try_at, reply_of
from testing.generation_contract import asked_row, at, generate, spec_for
from testing.strict_models import REASONING

SAMPLED = GenerationConfig(max_new_tokens=16, temperature=1.0)
OPENAI = Path(__file__).parents[2] / "examples" / "teachers" / "openai.yaml"


def sent(server, generation=None, **endpoint) -> dict:
    assert reply_of(one_try_at(server, generation, **endpoint)).ok
    body = server.counts()["last_body"]
    return {key: value for key, value in body.items() if key not in ("model", "messages")}


@pytest.mark.parametrize(
    ("generation", "parameters", "expected"),
    [
        ({}, {}, {"temperature": 0, "max_tokens": 256, "n": 1}),
        ({}, {"temperature": "omit", "seed": "omit"}, {"max_tokens": 256, "n": 1}),
        ({}, {"temperature": 1, "seed": "omit", "n": "omit"}, {"temperature": 1, "max_tokens": 256}),
        ({}, {"top_p": 0.95}, {"temperature": 0, "max_tokens": 256, "n": 1, "top_p": 0.95}),
        (
            {"temperature": 0.5, "top_p": 0.9},
            {"top_p": "omit", "seed": "omit"},
            {"temperature": 0.5, "max_tokens": 256, "n": 1},
        ),
        (
            {"temperature": 0.5, "top_p": 0.9},
            {"temperature": 1, "top_p": 1, "seed": "omit"},
            {"temperature": 1, "max_tokens": 256, "n": 1, "top_p": 1},
        ),
    ],
)
def test_parameters_are_fixed_or_omitted(server, generation, parameters, expected):
    assert sent(server, generation, parameters=parameters) == expected


def test_a_fixed_temperature_draws_with_a_seed(server):
    assert isinstance(sent(server, parameters={"temperature": 1})["seed"], int)


def hash_of(server, row="r", generation=None, **endpoint):
    return request_hash(one_try_at(server, generation, **endpoint), [{"role": "user", "content": "?"}], None, row, 0)


def test_a_request_that_is_sent_unchanged_keeps_its_reply(server):
    sampled = hash_of(server, generation={"temperature": 1})
    assert hash_of(server, generation={"temperature": 1}, parameters={"temperature": 1}) == sampled
    assert hash_of(server, parameters={"temperature": 1}) == sampled
    assert hash_of(server, parameters={"seed": "omit"}) == hash_of(server), "at temperature 0 no seed is sent"
    others = [{"temperature": "omit"}, {"temperature": 1, "seed": "omit"}, {"temperature": 1, "top_p": "omit"}]
    assert len({sampled, hash_of(server), *(hash_of(server, parameters=other) for other in others)}) == 5


def test_rows_share_a_request_only_at_temperature_0(server):
    assert hash_of(server, row="a") == hash_of(server, row="b")
    for temperature in (1, "omit"):
        parameters = {"temperature": temperature}
        assert hash_of(server, row="a", parameters=parameters) != hash_of(server, row="b", parameters=parameters)


def test_teaching_judging_and_the_smoke_gate_send_what_is_accepted(tmp_path, server):
    server.script(refuses={"temperature": [1], "seed": []}, choices=["red", "blue"])
    accepted = {"parameters": {"temperature": 1, "seed": "omit"}}
    faculty = Faculty(teachers=[(1.0, at(server, **accepted))], judge=at(server, model="judge", **accepted))
    generation = GenerationConfig(max_new_tokens=16, temperature=0.5, samples=2)
    spec = spec_for(tmp_path, server, [asked_row(1)], faculty=faculty, generation=generation, choose="judge")
    produced, table = generate(spec.model_copy(update={"smoke": SmokeConfig(rows=1)}))
    assert produced.counts.ok == 2
    assert {json.loads(row["params"])["temperature"] for row in table} == {1.0}
    assert not any("seed" in json.loads(row["params"]) for row in table)


def test_samples_need_a_temperature_that_is_sent():
    endpoint = {"url": "http://host/v1", "model": "m", "parameters": {"temperature": 0}}
    with pytest.raises(ValidationError, match="need a temperature above 0"):
        TeacherConfig.model_validate({"endpoint": endpoint, "generation": {"temperature": 1, "samples": 2}})


def test_without_settings_of_their_own_the_parameters_are_those_of_generation():
    assert sampling_params(GenerationConfig()) == {"temperature": 0.0, "max_new_tokens": 256}
    assert sampling_params(SAMPLED) == {"temperature": 1.0, "max_new_tokens": 16, "top_p": 1.0, "seed": 0}
    assert sampling_params(SAMPLED, ParametersConfig(temperature=1)) == sampling_params(SAMPLED)


def test_the_example_of_openai_works_with_a_reasoning_model_as_it_says(server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-made-0123456789")
    server.script(refuses=REASONING)
    text = OPENAI.read_text().replace("https://api.openai.com/v1", server.url)
    lines = [
        line.replace("# parameters:", "parameters:") for line in text.splitlines() if "top_logprobs: 5" not in line
    ]
    teacher = TeacherConfig.model_validate(yaml.safe_load("\n".join(lines))["teacher"])
    assert teacher.endpoint is not None
    assert reply_of(ApiTeacher(teacher.endpoint, teacher.generation)).ok

"""A probe finds what an endpoint would refuse in a later request, before the rows are paid for."""

import json
from types import SimpleNamespace

import pytest

from distill_dagster.config import GenerationConfig, SmokeConfig
from distill_dagster.errors import EndpointError
from distill_dagster.generation.probes import form_of, probes_of
from distill_dagster.generation.shard import generate_shard
from distill_dagster.tasks.asked import Asked
from distill_dagster.teachers.faculty import Faculty
from testing.batch_server import BatchServer
from testing.generation_contract import asked_row, asked_rows, at, generate, spec_for

MODES = ("json_schema", "json_object", "none")
TRIAL = SmokeConfig(rows=1, max_failed_share=1)
SAMPLED = GenerationConfig(max_new_tokens=16, temperature=1.0)


def nothing_paid(server):
    return "question" not in json.dumps(server.counts()["by_prompt"])


def test_what_the_benchmark_will_send_is_refused_before_the_rows_are_paid(tmp_path, server):
    server.script(refuses={"temperature": [1]})
    with pytest.raises(EndpointError, match=r"parameters: \{temperature: 1\}"):
        generate_shard(spec_for(tmp_path, server, asked_rows(20), generation=SAMPLED, smoke=TRIAL), "cpu")
    assert nothing_paid(server)


def test_what_the_judge_will_send_is_refused_before_the_rows_are_paid(tmp_path, server):
    server.script(refuses={"temperature": [1]})
    faculty = Faculty(teachers=[(1.0, at(server, parameters={"temperature": 1}))], judge=at(server, model="judge"))
    with pytest.raises(EndpointError, match=r"parameters: \{temperature: 1\}"):
        generate_shard(spec_for(tmp_path, server, asked_rows(9), faculty=faculty, choose="judge", smoke=TRIAL), "cpu")
    assert nothing_paid(server)


@pytest.mark.parametrize(("mode", "line"), [("json_schema", "json_object"), ("json_object", "none")])
def test_a_json_mode_that_the_judge_refuses_is_named_before_the_rows_are_paid(tmp_path, server, mode, line):
    server.script(refuses={"response_format": []})
    faculty = Faculty(teachers=[(1.0, at(server))], judge=at(server, model="judge", json_mode=mode))
    with pytest.raises(EndpointError, match=rf"json_mode: {line}"):
        generate_shard(spec_for(tmp_path, server, asked_rows(9), faculty=faculty, choose="judge", smoke=TRIAL), "cpu")
    assert nothing_paid(server)
    assert "JSON" in server.counts()["last_body"]["messages"][0]["content"], "or OpenAI refuses the mode"


def test_each_teacher_is_probed_with_the_json_mode_of_the_rows():
    places = [SimpleNamespace(url=f"http://host-{n}/v1") for n in range(3)]
    first, second, plain = (at(place, json_mode=mode) for place, mode in zip(places, MODES, strict=True))
    faculty = Faculty(teachers=[(1.0, first)], panel=[second, plain])
    form = form_of([asked_row(1, task="math")], Asked("chain_of_thought", 80, None))
    probes = probes_of(faculty, GenerationConfig(), TRIAL, form)
    assert [request.response_format for _, request in probes] == [form, None]
    assert form is not None
    assert [request.response_format for _, request in probes_of(faculty, GenerationConfig(), TRIAL)] == [None, None]


@pytest.mark.processes
def test_a_teacher_that_answers_in_batches_is_probed_first(tmp_path):
    with BatchServer() as server:
        server.script(refuses={"temperature": [1]})
        faculty = Faculty(teachers=[(1.0, at(server, batch=True))])
        with pytest.raises(EndpointError, match=r"parameters: \{temperature: 1\}"):
            generate_shard(spec_for(tmp_path, server, asked_rows(9), faculty=faculty, smoke=TRIAL), "cpu")
        assert not server.counts()["batches"]


def test_what_a_second_teacher_refuses_is_named_before_the_first_is_paid(tmp_path, server):
    server.script(models=["made"])
    faculty = Faculty(teachers=[(1.0, at(server))], panel=[at(server, model="other")])
    with pytest.raises(EndpointError, match="check `model`, which is other"):
        generate_shard(
            spec_for(tmp_path, server, asked_rows(9), faculty=faculty, choose="majority", smoke=TRIAL), "cpu"
        )
    assert nothing_paid(server)


def test_a_probe_is_sent_once_a_project_and_its_reply_kept(tmp_path, server):
    produced, _ = generate(spec_for(tmp_path, server, asked_rows(5), generation=SAMPLED, smoke=TRIAL))
    assert produced.asked == server.counts()["total"] == 5 + 1
    generate(spec_for(tmp_path, server, asked_rows(9), generation=SAMPLED, smoke=TRIAL, name="grown"))
    assert server.counts()["total"] == 9 + 1


def test_a_teacher_with_one_set_of_parameters_is_not_probed(tmp_path, server):
    faculty = Faculty(teachers=[(1.0, at(server, parameters={"temperature": 1}))])
    generate(spec_for(tmp_path, server, asked_rows(5), faculty=faculty, generation=SAMPLED, smoke=TRIAL))
    assert server.counts()["total"] == 5

"""What an endpoint is sent: one place decides, for teaching, measuring, judging and the smoke gate."""

import base64
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from pydantic import ValidationError

from distill_dagster.config import EndpointConfig, GenerationConfig, ParametersConfig, SmokeConfig, TeacherConfig
from distill_dagster.errors import EndpointError
from distill_dagster.generation.probes import form_of, probes_of
from distill_dagster.generation.shard import generate_shard
from distill_dagster.tasks.asked import Asked
from distill_dagster.teachers.asker import request_hash
from distill_dagster.teachers.endpoint import ApiTeacher
from distill_dagster.teachers.faculty import Faculty
from distill_dagster.teachers.protocol import Request
from distill_dagster.teachers.sampling import sampling_params
from distill_dagster.teachers.sending import forget_endpoints
from distill_dagster.teachers.unsupported import refuse_unsupported
from testing.batch_server import BatchServer
from testing.generation_contract import asked_row, asked_rows, at, generate, spec_for
from testing.strict_models import REASONING

MODES = ("json_schema", "json_object", "none")
TRIAL = SmokeConfig(rows=1, max_failed_share=1)
SAMPLED = GenerationConfig(max_new_tokens=16, temperature=1.0)
OPENAI = Path(__file__).parents[2] / "examples" / "teachers" / "openai.yaml"


def teacher_at(server, generation=None, **endpoint) -> ApiTeacher:
    settings = {"url": server.url, "model": "made", "attempts": 1, **endpoint}
    return ApiTeacher(EndpointConfig(**settings), GenerationConfig(**(generation or {})))


def ask_one(teacher, response_format=None):
    replies = []
    teacher.answer([Request("h", [{"role": "user", "content": "?"}], response_format)], replies.append)
    return replies[0]


def sent(server, generation=None, **endpoint) -> dict:
    assert ask_one(teacher_at(server, generation, **endpoint)).ok
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
    return request_hash(teacher_at(server, generation, **endpoint), [{"role": "user", "content": "?"}], None, row, 0)


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


LINES = [
    ({"temperature": [1]}, {}, "`temperature: 0.0`", "parameters: {temperature: 1}"),
    ({"temperature": []}, {}, "`temperature: 0.0`", "parameters: {temperature: omit}"),
    ({"seed": []}, {"generation": {"temperature": 1}}, "`seed: ", "parameters: {seed: omit}"),
    ({"top_p": []}, {"generation": {"temperature": 1, "top_p": 0.5}}, "`top_p: 0.5`", "parameters: {top_p: omit}"),
    ({"n": []}, {}, "`n: 1`", "parameters: {n: omit}"),
    ({"max_tokens": []}, {}, "`max_tokens: 256`", "max_tokens_field: max_completion_tokens"),
    ({"logprobs": []}, {"top_logprobs": 2}, "`logprobs: true`", "top_logprobs: 0"),
    ({"top_k": []}, {"extra_body": {"top_k": 3}}, "`top_k: 3`", "extra_body: remove top_k"),
]


@pytest.mark.parametrize("status", [400, 422])
@pytest.mark.parametrize(("refuses", "settings", "what", "line"), LINES)
def test_a_refused_parameter_is_named_with_the_line_to_write(server, status, refuses, settings, what, line):
    refuses = refuses if status == 400 else {name: [] for name in refuses}
    server.script(refuses=refuses, refuse_status=status)
    with pytest.raises(EndpointError) as caught:
        ask_one(teacher_at(server, **settings))
    line = line if status == 400 else line.replace("temperature: 1", "temperature: omit")
    assert f"127.0.0.1 refuses the parameter {what}" in str(caught.value)
    assert str(caught.value).endswith(line)


def test_the_line_that_is_named_is_accepted(server):
    server.script(refuses=REASONING)
    settings: dict = {"top_logprobs": 3}
    for _ in range(4):
        try:
            assert ask_one(teacher_at(server, **settings)).ok
            break
        except EndpointError as e:
            settings |= yaml.safe_load(str(e).rpartition("again:  ")[2])
    assert settings == {
        "top_logprobs": 0,
        "max_tokens_field": "max_completion_tokens",
        "parameters": {"temperature": 1},
    }


def test_a_refused_response_format_is_named(server):
    server.script(refuses={"response_format": []})
    for mode, line in (("json_schema", "json_mode: json_object"), ("json_object", "json_mode: none")):
        with pytest.raises(EndpointError, match=line):
            ask_one(teacher_at(server, json_mode=mode), {"type": "json_schema", "json_schema": {"name": "a"}})


WORDINGS = [
    ({"error": {"message": "invalid temperature: only 1 is allowed for this model"}}, "temperature: 1}"),
    ({"error": {"message": "`temperature` may only be set to 1 when thinking is enabled."}}, "temperature: 1}"),
    ({"message": "property 'seed' is unsupported", "type": "invalid_request_error"}, "seed: omit"),
    (
        {"object": "error", "message": "[{'type': 'extra_forbidden', 'loc': ('body', 'seed'), 'msg': 'Extra'}]"},
        "seed: omit",
    ),
    ([{"error": {"message": 'Invalid JSON payload received. Unknown name "seed": Cannot find field.'}}], "seed: omit"),
    ("Unrecognized request argument supplied: seed", "seed: omit"),
]
OF_THE_PROMPT = [
    {"error": {"message": "'max_tokens' is too large: 256. The model's maximum context length is 4096 tokens."}},
    {"error": {"code": "context_length_exceeded", "param": "messages", "message": "not supported: too long"}},
    {"error": {"message": "The prompt 'what temperature has the sun, and a seed?' is not allowed by our policy"}},
    {"error": {"message": "This model does not support images", "param": "messages", "code": "unsupported_value"}},
    {"error": {"message": "Not supported: the prompt 'Which seed: wheat or rye?' is too long"}},
    {"error": {"message": "Your prompt is not allowed: it holds a seed phrase"}},
    {"error": None},
    [],
    None,
    7,
    {"detail": [{"loc": 3, "msg": None}]},
]


REFUSED = {
    "Anthropic": {
        "type": "error",
        "error": {"type": "invalid_request_error", "message": "seed: Extra inputs are not permitted"},
    },
    "xAI": {"code": "Client specified an invalid argument", "error": "Argument not supported on this model: seed"},
    "a path": {"error": {"message": "body.seed: Extra inputs are not permitted"}},
    "a list": {"error": {"message": "The following parameters are not supported: top_k, seed."}},
    "a list with and": {"error": {"message": "Unsupported parameters: stop and seed"}},
    "a list that it opens": {"error": {"message": "Unsupported parameters: seed, top_k"}},
    "in quotes": {"error": {"message": "Unknown name 'seed': Cannot find field."}},
    "unexpected": {"error": {"message": "seed: unexpected property"}},
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_parameter_is_named_in_the_words_of_each_provider(name):
    with pytest.raises(EndpointError, match=r"refuses the parameter `seed: 3`[\s\S]*parameters: \{seed: omit\}$"):
        refuse(REFUSED[name])


@pytest.mark.parametrize("words", ["support the provided", "can handle the requested"])
def test_a_router_that_finds_no_provider_for_the_parameters_names_all_that_were_sent(words):
    body = {"error": {"message": f"No endpoints found that {words} parameters. To learn more, visit us", "code": 404}}
    with pytest.raises(EndpointError) as caught:
        refuse(body, 404)
    assert str(caught.value).endswith(
        "parameters: {temperature: omit}; parameters: {seed: omit}; max_tokens_field: max_completion_tokens; "
        "parameters: {n: omit}"
    )


SEED = {"message": "seed: Extra inputs are not permitted", "code": 400}
INSIDE = {
    "a body": json.dumps({"error": SEED}),
    "a choice": json.dumps({"choices": [{"message": {"content": ""}, "error": SEED, "finish_reason": "error"}]}),
    "a stream": f"data: {json.dumps({'error': SEED})}\n\n",
}


@pytest.mark.parametrize("name", INSIDE)
@pytest.mark.parametrize("is_first", [True, False])
def test_a_parameter_that_is_refused_in_a_body_of_status_200_stops_the_run(server, name, is_first):
    if is_first:
        forget_endpoints()
    else:
        assert ask_one(teacher_at(server)).ok
    encoded = base64.b64encode(INSIDE[name].encode()).decode()
    server.script(rules=[{"fault": "body", "base64": encoded}])
    with pytest.raises(EndpointError, match=r"parameters: \{seed: omit\}"):
        ask_one(teacher_at(server, {"temperature": 1}))
    assert server.counts()["total"] == 1


@pytest.mark.timeout(20)
@pytest.mark.parametrize("piece", ["a, ", "aand", "a and ", "seed: ", "unknown ", "not supported: "])
def test_a_long_message_is_read_in_no_long_time(piece):
    refuse({"error": {"message": "not supported: " + piece * 1000 + "!"}})


def refuse(body, status=400):
    sent = {"model": "m", "messages": [], "temperature": 0.0, "seed": 3, "max_tokens": 256, "n": 1}
    refuse_unsupported(status, body, sent, "host", EndpointConfig(url="http://host/v1", model="m"))


@pytest.mark.parametrize(("body", "line"), WORDINGS)
def test_other_providers_word_it_otherwise(body, line):
    with pytest.raises(EndpointError, match=line):
        refuse(body[0]["error"] if isinstance(body, list) else body)


@pytest.mark.parametrize("body", OF_THE_PROMPT)
def test_an_error_about_one_prompt_stops_nothing(body):
    refuse(body)


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
    assert ask_one(ApiTeacher(teacher.endpoint, teacher.generation)).ok

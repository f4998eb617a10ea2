"""A parameter that an endpoint refuses is named, with the line of the config that omits or replaces it."""

import base64
import json

import pytest
import yaml

from distill_dagster.config import EndpointConfig
from distill_dagster.errors import EndpointError
from distill_dagster.teachers.sending import forget_endpoints
from distill_dagster.teachers.unsupported import refuse_unsupported
from testing.endpoint_teacher import one_try_at, reply_of
from testing.strict_models import REASONING

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
        reply_of(one_try_at(server, **settings))
    line = line if status == 400 else line.replace("temperature: 1", "temperature: omit")
    assert f"127.0.0.1 refuses the parameter {what}" in str(caught.value)
    assert str(caught.value).endswith(line)


def test_the_line_that_is_named_is_accepted(server):
    server.script(refuses=REASONING)
    settings: dict = {"top_logprobs": 3}
    for _ in range(4):
        try:
            assert reply_of(one_try_at(server, **settings)).ok
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
            reply_of(one_try_at(server, json_mode=mode), {"type": "json_schema", "json_schema": {"name": "a"}})


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
        assert reply_of(one_try_at(server)).ok
    encoded = base64.b64encode(INSIDE[name].encode()).decode()
    server.script(rules=[{"fault": "body", "base64": encoded}])
    with pytest.raises(EndpointError, match=r"parameters: \{seed: omit\}"):
        reply_of(one_try_at(server, {"temperature": 1}))
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

"""Headers of a request: those that the config names, and none that OpenAI's client takes from the environment."""

import pytest
from pydantic import ValidationError

from distill_dagster.config import EndpointConfig, GenerationConfig
from distill_dagster.errors import EndpointError
from distill_dagster.teachers.endpoint import ApiTeacher
from distill_dagster.teachers.protocol import Request

SECRET = "gw-very-secret-0123456789"


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    """What people have exported for OpenAI."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password of-netrc\n")
    values = {
        "OPENAI_API_KEY": "sk-of-openai-0123456789",
        "OPENAI_ADMIN_KEY": "sk-admin-0123456789",
        "OPENAI_ORG_ID": "org-of-openai",
        "OPENAI_PROJECT_ID": "proj-of-openai",
        "OPENAI_BASE_URL": "http://127.0.0.1:9/v1",
        "OPENAI_CUSTOM_HEADERS": "X-Own: from-openai\nAuthorization: Bearer of-headers\nContent-Type: text/of-headers",
        "NETRC": str(netrc),
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)


def ask(server, **endpoint):
    replies = []
    settings = {"url": server.url, "model": "made", "attempts": 1, **endpoint}
    teacher = ApiTeacher(EndpointConfig(**settings), GenerationConfig())
    teacher.answer([Request("h", [{"role": "user", "content": "?"}])], replies.append)
    return replies[0], {name.lower(): value for name, value in server.counts()["last_headers"].items()}


def test_nothing_of_the_environment_is_sent_to_another_endpoint(server):
    reply, headers = ask(server)
    assert reply.ok
    assert headers["content-type"] == "application/json"
    assert not headers.keys() & {"authorization", "x-own", "openai-organization", "openai-project"}
    for foreign in ("openai-0123", "admin", "of-openai", "from-openai", "of-headers", "netrc"):
        assert foreign not in str(headers)


def test_the_key_is_that_of_the_config(server, monkeypatch):
    monkeypatch.setenv("MADE_KEY", "sk-made-0123456789")
    _, headers = ask(server, api_key="MADE_KEY")
    assert headers["authorization"] == "Bearer sk-made-0123456789"
    assert not headers.keys() & {"x-own", "openai-organization", "openai-project"}


def test_what_the_config_names_is_sent(server, monkeypatch):
    monkeypatch.setenv("GATEWAY_KEY", SECRET)
    named = {"x-own": "mine", "Api-Key": "$GATEWAY_KEY", "openai-beta": "batch"}
    _, headers = ask(server, organization="org-mine", project="proj-mine", headers=named)
    assert (headers["openai-organization"], headers["openai-project"]) == ("org-mine", "proj-mine")
    assert (headers["x-own"], headers["api-key"], headers["openai-beta"]) == ("mine", SECRET, "batch")


def test_a_header_whose_variable_is_not_set_is_said_before_anything_is_sent(server, monkeypatch):
    monkeypatch.delenv("GATEWAY_KEY", raising=False)
    with pytest.raises(EndpointError, match=r"the header Api-Key .* variable GATEWAY_KEY"):
        ask(server, headers={"Api-Key": "$GATEWAY_KEY"})
    assert server.counts()["total"] == 0


def test_a_secret_header_that_an_error_repeats_is_hidden(server, monkeypatch):
    monkeypatch.setenv("GATEWAY_KEY", SECRET)
    server.script(rules=[{"fault": "status", "status": 400, "text": f"bad key {SECRET}"}])
    reply, _ = ask(server, headers={"Api-Key": "$GATEWAY_KEY"})
    assert "bad key ***" in reply.error


@pytest.mark.parametrize("headers", [{"authorization": "Bearer x"}, {"X Y": "1"}, {"X": "a\nb"}, {"X": ""}])
def test_headers_that_cannot_be_sent_are_refused(headers):
    with pytest.raises(ValidationError):
        EndpointConfig(url="http://host/v1", model="m", headers=headers)

"""A wrong URL, key or network stops after one request, with one message that names the setting to change."""

import pytest

from distill_dagster.config import EndpointConfig, GenerationConfig
from distill_dagster.errors import EndpointError
from distill_dagster.teachers.client import trusted
from distill_dagster.teachers.endpoint import ApiTeacher
from distill_dagster.teachers.protocol import Request
from distill_dagster.teachers.sending import forget_endpoints
from testing.dev_server import free_port
from testing.wrong_places import completion, page, redirect, said, write_certificate, wrong_place

KEY = "sk-very-secret-0123456789"
MANY = 96
LM_STUDIO = {"error": "Unexpected endpoint or method. (POST /chat/completions)"}
GEMINI = [
    {
        "error": {
            "code": 400,
            "message": "API key not valid. Please pass a valid API key.",
            "status": "INVALID_ARGUMENT",
            "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}],
        }
    }
]


@pytest.fixture(autouse=True)
def first_requests(monkeypatch):
    """Every endpoint is new to the process, and has a key."""
    forget_endpoints()
    monkeypatch.setenv("MADE_KEY", KEY)
    yield
    forget_endpoints()


def ask_many(url: str, **endpoint) -> list:
    """The replies to many requests, or what one of them raises."""
    settings = {"url": url, "model": "made", "api_key": "MADE_KEY", "attempts": 1, **endpoint}
    replies: list = []
    asked = [Request(f"h{n}", [{"role": "user", "content": f"question {n}"}]) for n in range(MANY)]
    ApiTeacher(EndpointConfig(**settings), GenerationConfig()).answer(asked, replies.append)
    return replies


def refused(url: str, **endpoint) -> str:
    with pytest.raises(EndpointError) as caught:
        ask_many(url, **endpoint)
    assert KEY not in str(caught.value)
    return str(caught.value)


WRONG_URLS = {
    "LM Studio without /v1": said(200, LM_STUDIO),
    "a web page": page(),
    "a list of models": said(200, {"object": "list", "data": []}),
    "a health page": said(200, {"status": "ok"}),
    "404 without a body": said(404, {}),
    "404 of FastAPI": said(404, {"detail": "Not Found"}),
    "404 page": page(404),
    "405": said(405, {"detail": "Method Not Allowed"}),
    "400 of a gateway": said(400, {"message": "no such route"}),
}


@pytest.mark.parametrize("name", WRONG_URLS)
def test_a_wrong_url_is_named_after_one_request(name):
    with wrong_place(WRONG_URLS[name]) as place:
        message = refused(place.url)
    assert len(place.requests) == 1
    assert "`url`" in message
    assert "/v1" in message


ROUTED = {
    "no provider for what was asked": "No endpoints found that support image input",
    "no provider": "No endpoints found for made/made:free.",
    "the account's privacy settings": "No endpoints found matching your data policy (Free model publication)",
    "no provider left": "No allowed providers are available for the selected model.",
    "another reason": "This deployment has been retired",
}


@pytest.mark.parametrize("name", ROUTED)
def test_a_404_of_a_router_that_was_reached_names_more_than_the_url(name):
    with wrong_place(said(404, {"error": {"message": ROUTED[name], "code": 404}})) as place:
        message = refused(f"{place.url}/v1")
    assert len(place.requests) == 1
    assert ROUTED[name] in message
    assert (
        "check `model`, which is made, what is asked of it (`parameters`, `extra_body`), and the account's" in message
    )


def test_a_url_with_the_path_of_a_request_is_named():
    with wrong_place(page(404)) as place:
        assert "must end before /chat/completions" in refused(f"{place.url}/v1/chat/completions")


WRONG_KEYS = {
    "401": said(401, {"error": {"message": "Unauthorized"}}),
    "Gemini's 400 in a list": said(400, GEMINI),
    "400": said(400, {"error": {"message": "Incorrect API key provided: " + KEY}}),
    "200": said(200, {"error": {"message": "invalid api key", "type": "authentication_error"}}),
    "200 in words": said(200, {"message": "Access token is expired"}),
    "403": said(403, {"error": "forbidden"}),
}


@pytest.mark.parametrize("name", WRONG_KEYS)
def test_a_key_that_is_not_accepted_is_named_after_one_request(name):
    with wrong_place(WRONG_KEYS[name]) as place:
        assert "environment variable MADE_KEY" in refused(f"{place.url}/v1")
        assert len(place.requests) == 1


def test_a_missing_key_is_named():
    with wrong_place(WRONG_KEYS["200"]) as place:
        assert "`api_key`" in refused(f"{place.url}/v1", api_key=None)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_the_right_url_is_named(status):
    with wrong_place(completion()) as other:
        elsewhere = other.url.replace("127.0.0.1", "localhost")
        with wrong_place(redirect(status, f"{elsewhere}/v1/chat/completions?token=x")) as place:
            message = refused(f"{place.url}/v1")
    assert (len(place.requests), other.requests) == (1, [])
    assert f"redirects ({status}) to another host, localhost" in message
    assert f"set `url` to {elsewhere}/v1" in message
    assert "token" not in message


def test_a_redirect_to_https_of_the_same_host_names_the_url():
    with wrong_place(redirect(301, "https://127.0.0.1:8443/v1/chat/completions")) as place:
        assert "set `url` to https://127.0.0.1:8443/v1" in refused(f"{place.url}/v1")


def test_a_query_follows_the_path_of_each_request():
    with wrong_place(completion()) as place:
        replies = ask_many(f"{place.url}/openai/deployments/d?api-version=2024-10-21&a=1&a=2&b=")
    assert all(reply.ok for reply in replies)
    assert {path for _, path, _ in place.requests} == {
        "/openai/deployments/d/chat/completions?api-version=2024-10-21&a=1&a=2&b="
    }


def test_a_certificate_that_nobody_trusts_names_ssl_cert_file(tmp_path, monkeypatch):
    certificate = write_certificate(tmp_path / "own.pem")
    with wrong_place(completion(), certificate) as place:
        message = refused(f"{place.url}/v1", attempts=6)
        assert "self-signed certificate" in message
        assert "SSL_CERT_FILE" in message
        assert place.requests == []
        trusted.cache_clear()
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert all(reply.ok for reply in ask_many(f"{place.url}/v1"))
    trusted.cache_clear()


@pytest.mark.parametrize(
    ("made", "words"), [({"days": -1}, "renew the server's certificate"), ({"host": "127.0.0.9"}, "the host in `url`")]
)
def test_a_certificate_of_yesterday_or_of_another_host_is_named(tmp_path, monkeypatch, made, words):
    certificate = write_certificate(tmp_path / "own.pem", **made)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    trusted.cache_clear()
    with wrong_place(completion(), certificate) as place:
        assert words in refused(f"{place.url}/v1", attempts=6)
    trusted.cache_clear()


def test_https_to_a_server_without_tls_is_named():
    with wrong_place(completion()) as place:
        assert "may want http://" in refused(place.url.replace("http:", "https:") + "/v1", attempts=6)


def test_nobody_at_the_address_is_named_with_host_and_port():
    port = free_port()
    message = refused(f"http://127.0.0.1:{port}/v1", attempts=2)
    assert f"nothing listens on 127.0.0.1:{port}" in message
    assert "`url`" in message


def test_a_host_that_nobody_knows_is_named_at_once():
    message = refused("http://no-such-host.invalid/v1", attempts=2)
    assert "no-such-host.invalid" in message
    assert "HTTPS_PROXY" in message


def test_a_proxy_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    assert "HTTP_PROXY" in refused("http://models.example/v1")


def test_a_proxy_that_wants_a_login_is_named(monkeypatch):
    with wrong_place(said(407, {})) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        assert "HTTP_PROXY" in refused("http://models.example/v1")


def test_the_first_request_is_sent_alone_once_in_a_process():
    with wrong_place(completion()) as place:
        assert len(ask_many(f"{place.url}/v1")) == MANY
        assert len(ask_many(f"{place.url}/v1")) == MANY
    assert len(place.requests) == 2 * MANY, "the first request is one of those that are asked"


@pytest.mark.parametrize(
    "answer",
    [
        said(400, {"error": {"message": "This model's maximum context length is 8192 tokens"}}),
        said(500, {"error": {"message": "Internal"}}),
        said(200, {"error": {"message": "upstream timed out"}}),
        said(200, {"choices": []}),
        said(422, {"error": {"message": "the label 'token' is wrong in row 3"}}),
        said(422, {"detail": [{"msg": "bad value", "input": "no such route; invalid api key"}]}),  # repeats the prompt
        said(404, {"error": {"message": "Rate limit reached for this model"}}),
        said(200, {"base_resp": {"status_code": 1002, "status_msg": "rate limit"}}),
    ],
)
def test_what_only_one_request_suffers_from_stops_nothing(answer):
    with wrong_place(answer) as place:
        replies = ask_many(f"{place.url}/v1")
    assert len(replies) == len(place.requests) == MANY
    assert not any(reply.ok for reply in replies)

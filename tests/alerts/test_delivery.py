"""Delivery to a real webhook and mail server: what arrives, what a service renders, and which secrets stay out."""

import logging
import re
from pathlib import Path

import apprise
import pytest

from distill_dagster.alerts.delivery import addresses, deliver, without_secrets
from distill_dagster.alerts.message import Example, Failure, Message, compose
from testing.alert_servers import mailbox, webhook

HOSTILE = "<script>alert(1)</script> <img src=x onerror=y> **bold** [link](http://evil.example) <!here> &amp; `{{x}}`"
ROW = Example("row a", "E004", HOSTILE)
FAILURE = Failure("raw_dataset", "p", "valid_rows", "error", "5 < 9 & <b>so</b>", "r1", examples=(ROW,))
MESSAGE = compose("demo", [FAILURE], "http://127.0.0.1:3000")


def test_addresses_are_named_by_place_and_scheme():
    text = " json://a.example/secret,mailtos://u:p@b.example?to=x@y.z,v@w.z\n\tslack://T/B/C/#ops "
    found = addresses({"URLS": text}, "URLS")
    assert found == {
        "1 json": "json://a.example/secret",
        "2 mailtos": "mailtos://u:p@b.example?to=x@y.z,v@w.z",
        "3 slack": "slack://T/B/C/#ops",
    }
    assert addresses({}, "URLS") == addresses({"URLS": "  "}, "URLS") == {}


def test_a_webhook_gets_the_text_unchanged():
    with webhook() as hook:
        assert deliver(MESSAGE, hook.url) is None
    (post,) = hook.posts
    assert post["title"] == MESSAGE.title
    assert post["message"] == MESSAGE.body
    assert post["type"] == "failure"


def test_a_warning_is_sent_as_one():
    with webhook() as hook:
        assert deliver(Message("t", "b", "warn"), hook.url) is None
    assert hook.posts[0]["type"] == "warning"


def test_a_mail_is_plain_text():
    with mailbox() as box:
        assert deliver(MESSAGE, box.url) is None
    (mail,) = box.mails
    assert mail["Subject"] == MESSAGE.title
    assert mail["To"] == "oncall@example.org"
    assert [part.get_content_type() for part in mail.walk()] == ["text/plain"]
    assert mail.get_content().split() == MESSAGE.body.split()


def test_a_mail_in_html_shows_hostile_rows_as_text():
    with mailbox() as box:
        assert deliver(MESSAGE, box.url + "&format=html") is None
    page = box.mails[0].get_body(("html",)).get_content()
    assert "&lt;\u2060script&gt;" in page
    assert "<script" not in page
    assert "<img" not in page


def test_a_markdown_service_gets_escaped_text():
    with webhook() as hook:
        assert deliver(MESSAGE, hook.url + "?format=markdown") is None
    body = hook.posts[0]["message"]
    assert r"\*\*bold\*\*" in body
    assert r"\[link\]" in body
    assert "<script" not in body


def test_a_server_that_refuses_is_a_reason_without_secrets(caplog):
    caplog.set_level(logging.DEBUG)
    with webhook() as hook:
        hook.status = 503
        reason = deliver(MESSAGE, hook.url.replace("json://", "json://bob:hunter22@"))
    assert reason
    assert "503" in reason
    assert not any(secret in reason + caplog.text for secret in ("S3cretPath", "hunter22", "bob"))


@pytest.mark.parametrize(
    "url",
    ["json://127.0.0.1:9/hook-S3cretPath", "mailto://bob:S3cretPath@127.0.0.1:9?from=a@example.org&to=b@example.org"],
)
def test_an_unreachable_server_is_a_reason_without_secrets(url, caplog):
    caplog.set_level(logging.DEBUG)
    reason = deliver(MESSAGE, url)
    assert reason
    assert "S3cretPath" not in reason + caplog.text


@pytest.mark.parametrize("url", ["nonsense://S3cretPath", "S3cretPath", "slack://S3cretPath"])
def test_a_malformed_address_is_reported_without_showing_it(url, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    reason = deliver(MESSAGE, url)
    assert "not an address that Apprise knows" in reason
    assert "S3cretPath" not in reason + caplog.text + "".join(capfd.readouterr())


def test_parts_of_a_url_are_removed_from_a_text_also_decoded():
    url = "https://user:p%40ssword@hooks.example/T000/abc?token=qwerty"
    text = without_secrets("no p@ssword nor p%40ssword for user at hooks.example/T000/abc with qwerty", url)
    assert not any(part in text for part in ("p@ssword", "ssword", "hooks", "T000", "qwerty"))


def test_the_documented_addresses_are_valid():
    guide = (Path(__file__).parents[2] / "docs" / "alerts.md").read_text()
    urls = re.findall(r"^\| [A-Za-z]+ \| `([a-z]+://[^`]+)`", guide, re.MULTILINE)
    assert len(urls) == 5
    assert [url for url in urls if not isinstance(apprise.Apprise.instantiate(url), apprise.NotifyBase)] == []

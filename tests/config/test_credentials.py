"""Credentials in the config: refused, and never repeated in a message."""

import pytest
import yaml

from distill_dagster.config.reading import load_config
from distill_dagster.errors import ConfigError
from testing.projects import tiny_settings

KEY = "sk-proj-abcDEF0123456789abcDEF0123456789"
HEX = "f3a9c1d28b7e4f60a1b2c3d4e5f60718"  # a key that has the form of a variable's name
TAIL = "CunlojVXVPQeKmTdsKdWraP9"  # random characters with one digit, as a key may have
NAME = "put the variable's NAME here, not its value"


def message(folder, **changes) -> str:
    path = folder / "distill.yaml"
    path.write_text(yaml.safe_dump(tiny_settings(**changes)))
    with pytest.raises(ConfigError) as error:
        load_config(path)
    return str(error.value)


def teacher(**endpoint) -> dict:
    return {"teacher": {"endpoint": {"url": "https://api.example.com/v1", "model": "m", **endpoint}}}


@pytest.mark.parametrize(
    ("changes", "secret", "words"),
    [
        (teacher(api_key=KEY), "abcDEF", NAME),
        (teacher(api_key="gsk_" + "a1B2" * 12), "a1B2", NAME),
        (teacher(api_key=HEX), "f3a9", NAME),
        (teacher(api_key=f"fw_{TAIL}"), "CunlojV", NAME),
        (teacher(api_key="Qw" + TAIL), "CunlojV", NAME),
        ({"student.model": {"name": "a/b", "revision": f"gsk_{TAIL}"}}, "CunlojV", "looks like a key or a token"),
        (teacher(json_mode=f"xai-{TAIL}"), "CunlojV", "put that variable's NAME into `api_key`"),
        (teacher(json_mode=f"pplx-{TAIL}"), "CunlojV", "put that variable's NAME into `api_key`"),
        (teacher(json_mode=HEX), "f3a9", "If it is one, export it"),
        (teacher(json_mode=TAIL), "CunlojV", "If it is one, export it"),
        (teacher(timeout_seconds=TAIL), "CunlojV", "If it is one, export it"),
        ({"owners": [f"data {TAIL}"]}, "CunlojV", "is no owner"),
        (teacher(**{f"nvapi-{TAIL}": 1}), "CunlojV", "the name of this field looks like a key"),
        (teacher(**{TAIL: 1}), "CunlojV", "unknown field ***, which looks like a key"),
        (teacher(**{HEX: {"a": 1}}), "f3a9", "unknown field ***, which looks like a key"),
        (teacher(extra_body={f"r8_{TAIL}": 1}), "CunlojV", "the name of this field looks like a key"),
        (teacher(extra_body={KEY: 1}), "abcDEF", "the name of this field looks like a key"),
        (teacher(parameters={"n": "omit", TAIL: 1}), "CunlojV", "unknown field ***"),
        (teacher(headers={"api-key": f"${TAIL}"}), "CunlojV", "behind the $"),
        ({"name": f"${{fw_{TAIL}}}"}, "CunlojV", "between ${ and }"),
        (teacher(api_key=f"${{{TAIL}}}"), "CunlojV", "between ${ and }"),
        (teacher(api_key="my key-1234"), "1234", NAME),
        ({"alerts.urls_from": "slack://T0123/B0123/abcdefgh12345678"}, "abcdefgh", NAME),
        ({"alerts.urls_from": "mailto://ana:hunter22@example.org"}, "hunter22", NAME),
        (teacher(url="https://me:hunter22@api.example.com/v1"), "hunter22", "a URL with a credential in it"),
        (teacher(url="https://api.example.com/v1?api_key=hunter22"), "hunter22", "a URL with a credential in it"),
        (teacher(url="https://h.example.com/v1?x=1&sig=hunter22"), "hunter22", "a URL with a credential in it"),
        ({"alerts.ui_url": "https://me:hunter22@h.example.com"}, "hunter22", "a URL with a credential in it"),
        ({"data.test": "s3://AKIA0000:hunter22@bucket/test.jsonl"}, "hunter22", "a URL with a credential in it"),
        ({"data.test": "https://h/t.jsonl?X-Amz-Signature=hunter22"}, "hunter22", "a URL with a credential in it"),
        (teacher(extra_body={"headers": {"Authorization": "hunter22"}}), "hunter22", "a credential by its name"),
        (teacher(extra_body={"x-api-key": "hunter22"}), "hunter22", "a credential by its name"),
        (teacher(extra_body={"note": f"Bearer {HEX}"}), "f3a9", "looks like a key or a token"),
        ({"name": KEY}, "abcDEF", "looks like a key or a token"),
        (teacher(headers={"Authorization": "Bearer hunter22"}), "hunter22", "a credential by its name"),
        ({"api_key": [1, "hunter22"]}, "hunter22", "unknown field api_key"),
        ({"alerts.webhook": "https://hooks.example.com/hunter22"}, "hunter22", "a credential by its name"),
        ({"student.model": {"name": "a/b", "hf_token": "hunter22"}}, "hunter22", "a credential by its name"),
    ],
)
def test_a_credential_is_refused_and_not_repeated(tmp_path, changes, secret, words):
    said = message(tmp_path, **changes)
    assert secret not in said
    assert words in said


def test_a_key_that_is_a_name_twice_or_breaks_the_yaml_is_not_repeated(tmp_path):
    path = tmp_path / "distill.yaml"
    for text in (f"{KEY}: 1\n{KEY}: 2\n", f"{TAIL}: 1\n{TAIL}: 2\n", f"name: *{TAIL}\n"):
        path.write_text(text)
        with pytest.raises(ConfigError) as error:
            load_config(path)
        assert "abcDEF" not in str(error.value)
        assert "CunlojV" not in str(error.value)


def test_a_key_that_a_variable_brings_into_the_file_is_not_repeated(tmp_path, monkeypatch):
    monkeypatch.setenv("DISTILL_TEST_KEY", KEY)
    said = message(tmp_path, **teacher(api_key="${DISTILL_TEST_KEY}"))
    assert "abcDEF" not in said
    assert NAME in said


@pytest.mark.parametrize(
    "changes",
    [
        teacher(api_key="OPENAI_API_KEY"),
        teacher(headers={"api-key": "$GATEWAY_KEY", "x-token": "$gateway_token"}),
        teacher(revision=HEX, organization="org-" + TAIL),
        {"student.model": {"name": "a/b", "revision": HEX + "0a1b2c3d"}},
        teacher(api_key="my_openai_key_for_project2"),
        teacher(api_key="AZURE_OPENAI_API_KEY_2024_EU_WEST"),
        teacher(extra_body={"max_tokens": 5, "prompt_cache_key": "a", "stop_token_ids": ["1"], "key": "a"}),
        {"data.test": "abfs://container@account.dfs.core.windows.net/test.jsonl"},
        {"data.test": "https://h.example.com/t.jsonl?version=3&download=1"},
        {"student.model": {"architecture": "llama", "settings": {"pad_token": "<pad>"}, "tokenizer": "train"}},
        {"quality.labels": ["forgot password", "token expired", "api_key: lost"]},
        {"alerts.urls_from": "MY_ALERTS"},
    ],
)
def test_what_only_sounds_like_a_credential_is_accepted(tmp_path, changes):
    path = tmp_path / "distill.yaml"
    path.write_text(yaml.safe_dump(tiny_settings(**{"student.model.tokenizer": "train", **changes})))
    load_config(path)

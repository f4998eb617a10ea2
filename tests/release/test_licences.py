"""The list of licences: its entries are complete, and a name finds its own family, version and size."""

import re

import pytest

from distill_dagster.release.licences import FILE, for_host, for_hub_licence, for_model, licences


def test_every_entry_says_where_and_when_it_was_read():
    assert len(licences()) > 20
    for entry in licences():
        assert entry.models or entry.hosts or entry.hub, entry.family
        assert entry.clause
        assert entry.copied_from
        assert entry.hub_licence or entry.is_service, f"{entry.family}: a card needs the hub's id"
        assert not entry.excepted_tasks or entry.exception
    assert "NOT LEGAL ADVICE" in FILE.read_text()


def test_a_quotation_is_a_few_words():
    for entry in licences():
        for quoted in re.findall('"([^"]*)"', entry.clause + entry.exception):
            assert len(quoted.split()) <= 10, quoted


def test_no_two_entries_are_of_one_family():
    names = [entry.family for entry in licences()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("meta-llama/Llama-2-7b-chat-hf", "Llama 2"),
        ("meta-llama/Meta-Llama-3-8B-Instruct", "Llama 3"),
        ("meta-llama/Llama-3.1-8B-Instruct", "Llama 3.1"),
        ("llama3.1:8b-instruct-q4_K_M", "Llama 3.1"),
        ("deepseek-ai/DeepSeek-R1-Distill-Llama-8B", "Llama 3.1"),
        ("meta-llama/Llama-3.2-1B", "Llama 3.2"),
        ("deepseek-ai/DeepSeek-R1-Distill-Llama-70B", "Llama 3.3"),
        ("meta-llama/Llama-4-Scout-17B-16E-Instruct", "Llama 4"),
        ("google/gemma-2-9b-it", "Gemma 1 to 3n"),
        ("google/gemma-3n-E2B-it", "Gemma 1 to 3n"),
        ("google/gemma-4-31B-it", "Gemma 4"),
        ("Qwen/Qwen2.5-3B-Instruct", "Qwen2.5 3B"),
        ("Qwen/Qwen2.5-72B-Instruct", "Qwen2.5 72B"),
        ("deepseek-ai/DeepSeek-R1", "DeepSeek-R1"),
        ("deepseek-ai/DeepSeek-V3", "DeepSeek-V3 of December 2024"),
        ("mistralai/Mistral-Large-Instruct-2411", "Mistral under the Research License"),
        ("gpt-4o-mini", "OpenAI API"),
        ("openai/gpt-oss-20b", "gpt-oss"),
        ("claude-sonnet-4-5", "Anthropic API"),
        ("models/gemini-2.5-flash", "Gemini API"),
    ],
)
def test_a_name_finds_its_family(name, family):
    assert for_model(name).family == family


def test_sizes_of_one_version_have_different_licences():
    by_size = {size: for_model(f"Qwen/Qwen2.5-{size}-Instruct").licence for size in ("7B", "3B", "72B")}
    assert by_size == {
        "7B": "Apache License 2.0",
        "3B": "Qwen Research License Agreement",
        "72B": "Qwen License Agreement",
    }


@pytest.mark.parametrize(
    "name",
    [
        "someone/Llama-3.1-8B-Instruct",  # what else it was trained on is not known
        "meta-llama/Llama-3.1-8B-Instruct-merged",
        "meta-llama/Llama-5-8B",
        "deepseek-ai/DeepSeek-V3-0324",  # its own licence could not be read
        "Qwen/Qwen2.5-VL-7B-Instruct",
        "Qwen/Qwen4-8B",
        "deepseek-r1",  # at an endpoint, also a name of its distilled students
        "my-model",
        "",
    ],
)
def test_nothing_is_guessed(name):
    assert for_model(name) is None


def test_hosts_and_licence_ids():
    assert for_host("API.openai.com").family == "OpenAI API"
    assert for_host("eu.api.openai.com").family == "OpenAI API"
    assert for_host("api.openai.com.example.org") is None
    assert for_hub_licence("Apache-2.0").licence == "Apache License 2.0"
    assert for_hub_licence("llama3.1").family == "Llama 3.1"
    assert for_hub_licence("other") is None

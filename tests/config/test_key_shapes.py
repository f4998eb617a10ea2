"""Keys, names of variables and ordinary values, told apart by their shape."""

import random
import string

import pytest

from distill_dagster.config.key_shapes import has_key_of_provider, is_random, is_variable_name, without_keys

BASE62, LOWER36 = string.ascii_letters + string.digits, string.ascii_lowercase + string.digits
KEYS = {  # of providers: prefix, alphabet, length
    "Fireworks": ("fw_", BASE62, 22),
    "Mistral, DeepInfra": ("", BASE62, 32),
    "Azure": ("", "0123456789abcdef", 32),
    "upper-case hex": ("", "0123456789ABCDEF", 32),
    "lower case": ("", LOWER36, 32),
    "a short one": ("", BASE62, 20),
    "with underscores": ("", BASE62 + "_", 48),
}
NAMES = [
    *(
        "OPENAI_API_KEY",
        "my_openai_key_for_project2",
        "AZURE_OPENAI_API_KEY_2024_EU_WEST",
        "K8S_GPT4O_KEY",
        "myOpenAIKey2",
    ),
    *("MyCompany_OpenAI_ApiKey", "_KEY", "openaiproductionkey", "GPT4_1_KEY", "http_proxy", "TEAM_A1B2_KEY", "key"),
    *("anthropic_claude_3_5_sonnet_key", "MISTRAL_API_KEY_20261127", "MY_VERY_LONG_DEPARTMENT_NAME_OPENAI_KEY_V2"),
]


@pytest.mark.parametrize("name", KEYS)
def test_of_two_thousand_random_keys_none_or_one_passes_as_a_name(name):
    prefix, alphabet, length = KEYS[name]
    drawn = random.Random(11)
    keys = [prefix + "".join(drawn.choices(alphabet, k=length)) for _ in range(2000)]
    assert sum(map(is_variable_name, keys)) <= 1
    assert sum(without_keys(f"got '{key}' here") != "got '***' here" for key in keys) <= 1


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_a_user_may_give_is_one(name):
    assert is_variable_name(name)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "Meta-Llama-3.1-405B-Instruct-FP8",
            "DeepSeek-R1-Distill-Qwen-1.5B",
            "gpt-4o-mini-2024-07-18",
            "clasification",
        ),
        *("claude-3-5-sonnet-20241022", "/home/ana/projects/2026-11/train-part-0003.jsonl", "a sentence of many words"),
    ],
)
def test_an_ordinary_value_is_shown_as_it_is(text):
    assert not is_random(text)
    assert without_keys(text) == text


def test_a_provider_s_key_is_more_than_its_prefix():
    assert has_key_of_provider("gsk_" + "a1B2" * 12)
    assert not has_key_of_provider("sk_learn_pipeline_for_training")
    assert not has_key_of_provider("xai-grok-2-vision-latest")

"""The examples of API teachers are valid, hold no key, and leave the price to the user."""

from pathlib import Path

import pytest
import yaml

from distill_dagster.config import TeacherConfig

FOLDER = Path(__file__).parents[2] / "examples" / "teachers"
EXAMPLES = sorted(FOLDER.glob("*.yaml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_valid(path):
    teacher = yaml.safe_load(path.read_text())["teacher"]
    assert set(teacher) == {"endpoint", "generation"}
    endpoint = TeacherConfig.model_validate(teacher).endpoint
    assert endpoint is not None
    assert endpoint.price is None
    is_local = endpoint.url.startswith("http://localhost:")
    assert is_local or (endpoint.url.startswith("https://") and endpoint.api_key)
    assert is_local or "# price:" in path.read_text()


def test_there_is_one_for_each_kind_of_endpoint():
    assert {path.stem for path in EXAMPLES} == {
        *("claude", "deepseek", "llama-405b", "openai", "tgi", "transformers-serve", "vllm")
    }

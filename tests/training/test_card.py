"""A card's front matter is YAML that the hub reads, whatever the names hold."""

import yaml

from distill_dagster.config import TrainingConfig
from distill_dagster.models.ref import ModelRef
from distill_dagster.training.card import CardFacts, model_card


def card(name="intents", base="Qwen/Qwen2.5-0.5B"):
    teacher = ModelRef(path="/t", name="big", revision="f" * 40, parameters=8_000_000)
    student = ModelRef(path="/s", name=base, revision="e" * 40, parameters=500_000)
    return model_card(
        CardFacts(name, "qa", teacher, student, TrainingConfig(), {"train_rows": 1234}, "last", {"torch": "2.13.0"})
    )


def front_matter(text):
    _, front, _ = text.split("---\n", 2)
    return yaml.safe_load(front)


def test_front_matter_names_a_base_on_the_hub():
    assert front_matter(card()) == {
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "base_model": "Qwen/Qwen2.5-0.5B",
        "tags": ["distillation", "distill-dagster", "qa"],
    }
    assert "base_model" not in front_matter(card(base="llama-1.2M"))


def test_the_card_says_what_went_in():
    text = card()
    for expected in (
        "8,000,000",
        "1,234",
        "ffffffffffff",
        "learning\\_rate",
        "| kept weights | last |",
        "| torch | 2.13.0 |",
    ):
        assert expected in text


def test_a_name_cannot_become_markup():
    assert "# \\<script\\>\\|x" in card(name="<script>|x\n")

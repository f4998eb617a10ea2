"""A card's front matter is YAML that the hub reads, even with odd names."""

import yaml

from distill_dagster.config import StudentTrainingConfig
from distill_dagster.models.ref import ModelRef
from distill_dagster.training.card import model_card
from distill_dagster.training.record import TrainingRun
from distill_dagster.training.specs import TrainCounts, TrainSpec


def card(name="intents", student="Qwen/Qwen2.5-0.5B", teacher_parameters=8_000_000, **training):
    spec = TrainSpec(
        student_base=ModelRef(path="/s", name=student, revision="e" * 40, parameters=500_000),
        teacher=ModelRef(path="/t", name="big", revision="f" * 40, parameters=teacher_parameters),
        training=StudentTrainingConfig(**training),
        name=name,
        task="qa",
        **{"examples": "/examples.parquet", "out": "/out", "work": "/work"},
    )
    run = TrainingRun(steps=9, history=[], kept="last", trainable_parameters=4321)
    return model_card(spec, TrainCounts(train_rows=1234, validation_rows=56), run, {"torch": "2.13.0"})


def front_matter(text):
    _, front, _ = text.split("---\n", 2)
    return yaml.safe_load(front)


def test_front_matter_names_the_student_before_distillation_if_the_hub_has_it():
    assert front_matter(card()) == {
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "base_model": "Qwen/Qwen2.5-0.5B",
        "tags": ["distillation", "distill-dagster", "qa"],
    }
    assert "base_model" not in front_matter(card(student="llama-1.2M"))


def test_the_card_says_what_went_in():
    text = card()
    for expected in (
        "8,000,000",
        "1,234",
        "| student before distillation | Qwen/Qwen2.5-0.5B at revision eeeeeeeeeeee |",
        "| teacher | big at revision ffffffffffff |",
        "learning\\_rate",
        "| kept weights | last |",
        "| torch | 2.13.0 |",
        "| signal | text |",
        "| loss | CE |",
    ):
        assert expected in text


def test_a_name_cannot_become_markup():
    assert "# \\<script\\>\\|x" in card(name="<script>|x\n")


def test_the_size_of_a_teacher_behind_an_endpoint_is_not_known():
    assert "answers of a teacher of unknown size" in card(teacher_parameters=0)


def test_the_card_says_which_weights_trained():
    text = card(lora={"rank": 4, "targets": ["q_proj", "v_proj"]})
    assert "| LoRA | rank 4, alpha 32, dropout 0, targets q\\_proj, v\\_proj, merged |" in text
    assert "| trained weights | 4,321 |" in text
    assert "| precision | float32 |" in text
    assert "LoRA" not in card()


def test_the_card_says_how_the_student_is_asked():
    snippet = card().split("```python\n")[1].split("```")[0]
    compile(snippet, "card", "exec")  # the tests of release/ run it
    assert "max_new_tokens=256," in snippet

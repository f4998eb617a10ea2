"""A template's date is the project's: no prompt follows the clock, and the student's folder writes the same date."""

from datetime import date, datetime
from pathlib import Path

import pytest

from distill_dagster.config import GenerationConfig, ModelConfig, StudentTrainingConfig
from distill_dagster.models.dates import DEFAULT, mentions_date, pinned_template
from distill_dagster.models.loading import load
from distill_dagster.models.pinning import pin
from distill_dagster.models.ref import read_ref
from distill_dagster.models.rendering import encode_example, render_prompt
from distill_dagster.models.tokenizer import open_tokenizer
from distill_dagster.teachers.local import LocalTeacher
from distill_dagster.training.specs import TrainSpec
from distill_dagster.training.student import train_student
from testing.chat_templates import FAMILIES, tokenizer_of
from testing.models_tiny import rows, write_examples, write_model

CHOSEN = date(2025, 3, 4)
MESSAGES = rows(1)[0]["messages"]
DATED = "{{ 'Today: ' + strftime_now('%d %b %Y') + '<|end|>' }}"
LLAMA_3 = (
    "{% if not date_string is defined %}{% if strftime_now is defined %}"
    "{% set date_string = strftime_now('%d %b %Y') %}"
    "{% else %}{% set date_string = '26 Jul 2024' %}{% endif %}{% endif %}Today: {{ date_string }}"
)
FIXED = "{% if not date_string is defined %}{% set date_string = '01 Dec 2023' %}{% endif %}Today: {{ date_string }}"


@pytest.fixture
def on(monkeypatch):
    """Set the clock that templates ask."""
    import transformers.utils.chat_template_utils as module

    def set_clock(day: int) -> None:
        class Clock(datetime):
            @classmethod
            def now(cls, tz=None):
                return cls(2031, 5, day, 13, 45)

        monkeypatch.setattr(module, "datetime", Clock)

    return set_clock


@pytest.fixture
def folder(tmp_path) -> Path:
    """A model whose template writes the date."""
    write_model(tmp_path / "dated")
    path = tmp_path / "dated" / "chat_template.jinja"
    path.write_text(DATED + path.read_text())
    return tmp_path / "dated"


def rendered(template: str, chosen: date | None) -> str:
    tokenizer = tokenizer_of(FAMILIES["phi-3"], ["red"])
    tokenizer.chat_template = pinned_template(template, chosen)
    return tokenizer.apply_chat_template(MESSAGES, tokenize=False)


@pytest.mark.parametrize(
    ("template", "without", "with_one"),
    [
        ("Today: {{ strftime_now('%d %b %Y') }}", "Today: 26 Jul 2024", "Today: 04 Mar 2025"),
        ("{{ strftime_now('%Y-%m-%d') }}", "2024-07-26", "2025-03-04"),
        ("{{ strftime_now('%B %-d, %Y') }}", "July 26, 2024", "March 4, 2025"),
        ("{{ strftime_now('%A %H:%M')}}", "Friday 00:00", "Tuesday 00:00"),
        ("\n  {{ strftime_now('%d') }}\n", "\n  26", "\n  04"),
        ("  {% if true %}{{ strftime_now('%d') }}{% endif %}", "26", "04"),
        ("{% for m in messages %}{{ strftime_now('%d') }}{% endfor %}", "26", "04"),
        (LLAMA_3, "Today: 26 Jul 2024", "Today: 04 Mar 2025"),
        (FIXED, "Today: 01 Dec 2023", "Today: 04 Mar 2025"),
        ("{{ messages[0].role }}", "user", "user"),
    ],
)
def test_a_template_writes_the_chosen_date_or_the_default(on, template, without, with_one):
    on(1)
    assert rendered(template, None) == without
    assert rendered(template, CHOSEN) == with_one
    pinned = pinned_template(template, CHOSEN)
    assert pinned_template(pinned, CHOSEN) == pinned_template(pinned, None) == pinned  # as in a student's folder
    assert pinned_template(pinned, DEFAULT) == pinned_template(template, DEFAULT)


def test_a_template_without_a_date_and_one_with_its_own_stay_as_they_are():
    for name in ("llama-2", "qwen-3", "zephyr"):
        assert pinned_template(FAMILIES[name].template, CHOSEN) == FAMILIES[name].template
    assert pinned_template(FIXED, None) == FIXED


def test_each_of_several_templates_is_pinned(on, folder):
    on(1)
    tokenizer = open_tokenizer(folder)
    tokenizer.chat_template = {"default": DATED, "tool_use": DATED + "tools"}
    tokenizer.save_pretrained(folder)
    assert render_prompt(open_tokenizer(folder, CHOSEN), MESSAGES) == "Today: 04 Mar 2025<|end|>"


def test_prompts_and_examples_do_not_follow_the_clock(on, folder):
    ref, seen = pin(ModelConfig(name=str(folder))), []
    for day in (1, 2):
        on(day)
        teacher = LocalTeacher(ref, GenerationConfig(), "cpu")
        tokenizer = open_tokenizer(folder)
        seen.append(
            (
                teacher.render(MESSAGES, None),
                encode_example(tokenizer, MESSAGES, "red", [1]).ids,
                render_prompt(load(ref, "cpu").tokenizer, MESSAGES),
            )
        )
    assert seen[0] == seen[1]
    assert seen[0][0] == seen[0][2]
    assert seen[0][0].startswith("Today: 26 Jul 2024<|end|>")


def test_another_date_is_another_model_if_its_template_writes_one(folder, tmp_path):
    plain = write_model(tmp_path / "plain")
    assert mentions_date(folder)
    assert not mentions_date(tmp_path / "plain")
    config = ModelConfig(name=str(folder))
    assert pin(config).version == pin(config).revision
    assert pin(config, CHOSEN).revision == pin(config).revision != pin(config, CHOSEN).version
    assert pin(ModelConfig(name=plain.path), CHOSEN).version == plain.revision
    texts = [render_prompt(load(pin(config, day), "cpu").tokenizer, MESSAGES) for day in (None, CHOSEN, None)]
    assert texts[0] == texts[2] != texts[1]


@pytest.mark.parametrize("chosen", [None, CHOSEN])
def test_a_student_ships_the_date_that_it_was_trained_with(on, folder, tmp_path, chosen):
    out, work = tmp_path / "out", tmp_path / "work"
    out.mkdir()
    spec = TrainSpec(
        student_base=pin(ModelConfig(name=str(folder)), chosen),
        teacher=pin(ModelConfig(name=str(folder))),
        training=StudentTrainingConfig(epochs=0.1, batch_size=8, max_length=128),
        examples=write_examples(tmp_path / "examples.parquet", train=8, validation=2),
        name="dated",
        task="qa",
        out=str(out),
        work=str(work),
    )
    on(1)
    train_student(spec, "cpu")
    on(2)
    from transformers import AutoTokenizer

    shipped = AutoTokenizer.from_pretrained(out / "model")  # as its user opens it
    text = shipped.apply_chat_template(MESSAGES, tokenize=False, add_generation_prompt=True)
    assert text.startswith("Today: 04 Mar 2025" if chosen else "Today: 26 Jul 2024")
    assert text == render_prompt(load(read_ref(out), "cpu").tokenizer, MESSAGES)


def test_a_killed_training_goes_on_the_next_day(on, folder, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    ref = pin(ModelConfig(name=str(folder)))
    spec = TrainSpec(
        **{"student_base": ref, "teacher": ref, "name": "dated", "task": "qa", "out": str(out)},
        training=StudentTrainingConfig(epochs=2, batch_size=8, evaluations=4, max_length=128),
        examples=write_examples(tmp_path / "examples.parquet", train=32, validation=4),
        work=str(tmp_path / "work"),
    )
    on(1)
    train_student(spec, "cpu")
    on(2)
    assert train_student(spec, "cpu").resumed_from_step > 0

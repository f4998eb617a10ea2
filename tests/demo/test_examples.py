"""The demo's config and those in examples/: all of them load, and the comments on the demo's two models are true."""

import re
from pathlib import Path
from typing import get_args

import pytest

from distill_dagster.config import TaskName
from distill_dagster.config.reading import load_config
from distill_dagster.demo.project import DEMO_CONFIG, write_demo
from distill_dagster.demo.world import DEMO_TASKS, MAKERS
from distill_dagster.models.building import build, parameter_count, train_tokenizer
from distill_dagster.models.rendering import encode_example, end_ids
from distill_dagster.sources.files.discovery import discover
from distill_dagster.sources.judging.verdicts import SourceReading
from distill_dagster.tasks.prompts import prompts_of
from distill_dagster.training.examples import gold_examples

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize("path", [DEMO_CONFIG, *sorted(EXAMPLES.glob("*.yaml"))], ids=lambda path: path.stem)
def test_every_example_loads(path):
    assert load_config(path).student.model


@pytest.mark.parametrize("path", [DEMO_CONFIG, *sorted(EXAMPLES.glob("*.yaml"))], ids=lambda path: path.stem)
def test_every_new_model_has_heads_that_onnxruntime_reads(path):
    config = load_config(path)
    for model in (config.teacher.model, config.student.model):
        if model and model.architecture:
            width, heads = model.settings["hidden_size"], model.settings["num_attention_heads"]
            assert width // heads % 16 == 0, f"{width} values in {heads} heads"


def test_every_task_of_the_config_has_sample_rows():
    assert set(MAKERS) == set(get_args(TaskName))


SIZED = re.compile(r"#   (\w+) +([\d.]+) billion parameters x (\d+) bytes \(.*\) = (\d+) GB")
BYTES = {"generation": 2, "training": 16, "benchmark": 2, "disk": 12}  # for each parameter, see README


@pytest.mark.parametrize(
    ("name", "stated"),
    [("api_to_phi4_mini", {"training", "benchmark"}), ("llama_8b_to_1b", {"generation", "training"})],
)
def test_the_memory_that_an_example_states_follows_from_its_parameters_and_fits_what_it_asks_for(name, stated):
    path = EXAMPLES / f"{name}.yaml"
    compute = load_config(path).compute
    needs = {"generation": compute.generate, "training": compute.train, "benchmark": compute.benchmark}
    found = SIZED.findall(path.read_text(encoding="utf-8"))
    assert {what for what, *_ in found} == stated | {"disk"}
    for what, billions, per_parameter, size in found:
        assert int(per_parameter) == BYTES[what]
        assert round(float(billions) * BYTES[what]) == int(size)
        if what in needs:
            assert (needs[what].gpus, needs[what].cpu) == (1, False)
            assert int(size) < needs[what].memory_gb


@pytest.mark.parametrize("task", DEMO_TASKS)
def test_each_task_has_an_example_with_existing_models(task):
    config = load_config(EXAMPLES / f"{task}.yaml")
    assert config.task == task
    assert config.teacher.model.name
    assert config.student.model.name
    assert config.teacher.fit is None
    assert (config.student.training.learning_rate, config.student.training.epochs) == (2e-5, 3)


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The demo's config, its training rows, and its tokenizer."""
    config = load_config(write_demo(tmp_path_factory.mktemp("demo")))
    rows = [
        row
        for source in discover(config.data)
        for batch in SourceReading(source, config.data, config.task)
        for row in batch.rows.to_pylist()
    ]
    texts = [t for row in rows for t in (*(m["content"] for m in row["messages"]), *row["reference"])]
    return config, rows, train_tokenizer(texts, config.teacher.model.vocab_size)


def test_the_student_has_at_most_a_tenth_of_the_teachers_parameters(demo):
    config, _, tokenizer = demo
    teacher, student = (parameter_count(build(m, tokenizer)) for m in (config.teacher.model, config.student.model))
    assert 11 <= teacher / student <= 13


def test_every_word_of_the_rows_is_one_token(demo):
    _, rows, tokenizer = demo
    texts = [text for row in rows for text in (*(m["content"] for m in row["messages"]), *row["reference"])]
    words = {word for text in texts for word in re.findall(r" ?[A-Za-z]+| ?[0-9]+", text)}
    assert len(words) > 200
    assert [word for word in sorted(words) if len(tokenizer.tokenize(word)) != 1] == []


def test_every_row_fits_the_models_and_every_answer_the_generation(demo):
    config, rows, tokenizer = demo
    examples, without_gold = gold_examples(rows)
    encoded = [encode_example(tokenizer, e["messages"], e["answer"], end_ids(tokenizer)) for e in examples]
    assert without_gold == 0
    assert len(encoded) == sum(len(prompts_of(row)) for row in rows)
    longest = max(len(e.ids) for e in encoded)
    for model in (config.teacher.model, config.student.model):
        assert longest <= int(model.settings["max_position_embeddings"])
    assert max(len(e.ids) - e.answer_start for e in encoded) <= config.teacher.generation.max_new_tokens

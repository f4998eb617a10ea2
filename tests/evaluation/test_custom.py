"""Metrics of a project's own: computed beside the task's, and refused before anything is asked if they do not work."""

import sys
from types import SimpleNamespace

import pytest

from distill_dagster.config import EvaluationConfig
from distill_dagster.errors import ConfigError
from distill_dagster.evaluation import benchmark
from distill_dagster.evaluation.benchmark import score_predictions
from distill_dagster.lineage import settings
from distill_dagster.tasks.custom_metrics import open_metrics
from distill_dagster.training.prepare import prepare_model
from distill_dagster.training.specs import PrepareSpec
from testing.projects import write_project
from tests.preflight.looks import look_at

MODULE = """
import datasets
import evaluate


class Long(evaluate.Metric):
    def _info(self):
        return evaluate.MetricInfo(
            description="", citation="", inputs_description="",
            features=datasets.Features({
                "predictions": datasets.Value("string"), "references": datasets.Sequence(datasets.Value("string"))
            }),
        )

    def _compute(self, predictions, references):
        return {"long": sum(len(text) > 3 for text in predictions) / len(predictions), "golds": len(references[0])}


class Wordy(Long):
    def _compute(self, predictions, references):
        return {"long": "much"}


class Nan(Long):
    def _compute(self, predictions, references):
        return {"long": float("nan")}


class Taken(Long):
    def _compute(self, predictions, references):
        return {"exact_match": 1.0}


class Fails(Long):
    def _compute(self, predictions, references):
        raise RuntimeError("no model")


class NeedsMore(Long):
    def __init__(self, path):
        super().__init__()


def function(predictions, references):
    return {"long": 1.0}
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "own_metrics.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path / "own_metrics.py"
    sys.modules.pop("own_metrics", None)


def rows(answers):
    return [
        {
            "row_id": str(i),
            "turn": 0,
            "task": "qa",
            "parsed": text,
            "reference": ["Paris", "x"],
            "score": float(text == "Paris"),
        }
        for i, text in enumerate(answers)
    ]


def test_it_is_computed_beside_the_tasks_own(module):
    config = EvaluationConfig(metrics=["own_metrics:Long"])
    metrics = score_predictions(rows(["Paris", "x", None, "Rome"]), config).by_task["qa"].metrics
    assert list(metrics) == ["exact_match", "token_f1", "long", "golds"]
    assert (metrics["long"], metrics["golds"]) == (0.5, 2)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("no_such_module:Long", "cannot be imported (ModuleNotFoundError"),
        ("own_metrics:Missing", "cannot be imported (AttributeError"),
        ("own_metrics:function", "and no class of evaluate.Metric"),
        ("own_metrics:NeedsMore", "own_metrics:NeedsMore() raises TypeError"),
        ("own_metrics:Wordy", "{'long': 'much'}, and no finite numbers by name"),
        ("own_metrics:Nan", "no finite numbers by name"),
        ("own_metrics:Fails", "compute raises RuntimeError: no model"),
    ],
)
def test_one_that_does_not_work_is_refused_with_its_reason(module, name, says):
    with pytest.raises(ConfigError, match=r"`evaluation\.metrics`") as refused:
        open_metrics([name])
    assert says in str(refused.value)


def test_a_benchmark_refuses_it_before_it_reads_or_asks(module, monkeypatch):
    monkeypatch.setattr(benchmark.parquet, "read_table", lambda _: pytest.fail("the rows were read"))
    spec = SimpleNamespace(evaluation=EvaluationConfig(metrics=["own_metrics:Fails"]))
    with pytest.raises(ConfigError, match="no model"):
        benchmark.run_benchmark(spec, "cpu")


def test_a_name_that_the_task_has_is_refused(module):
    with pytest.raises(ConfigError, match="exact_match"):
        score_predictions(rows(["Paris"]), EvaluationConfig(metrics=["own_metrics:Taken"]))


@pytest.mark.parametrize("path", ["Long", "own.metrics", "own metrics:Long", "a:b:c", "https://x:Name"])
def test_the_config_refuses_what_is_no_import_path(path):
    with pytest.raises(ValueError, match="is no import path"):
        EvaluationConfig(metrics=[path])


def test_the_config_refuses_a_metric_twice():
    with pytest.raises(ValueError, match="a:B is there 2 times"):
        EvaluationConfig(metrics=["a:B", "a:B"])


def test_teacher_model_refuses_it_before_any_model_is_looked_at(module, tmp_path):
    spec = PrepareSpec(role="teacher", metrics=["own_metrics:Fails"], out=str(tmp_path), work=str(tmp_path))
    with pytest.raises(ConfigError, match="no model"):
        prepare_model(spec, "cpu")


def test_the_preflight_names_one_that_does_not_work(module, tmp_path):
    path = write_project(tmp_path / "project", evaluation={"metrics": ["own_metrics:Long", "own_metrics:Fails"]})
    found = {r.of: r for r in look_at(path, whole=False) if r.what == "metric"}
    assert [found[f"own_metrics:{name}"].state for name in ("Long", "Fails")] == ["ok", "error"]
    assert "RuntimeError: no model" in found["own_metrics:Fails"].found


def test_only_a_project_that_sets_metrics_has_them_in_its_fingerprint(module, tiny_config):
    plain = settings.student_benchmark(tiny_config)
    assert "metrics" not in plain
    assert "metrics" not in plain["evaluation"]
    own = tiny_config.model_copy(update={"evaluation": EvaluationConfig(metrics=["own_metrics:Long", "gone:Away"])})
    before = settings.student_benchmark(own)["metrics"]
    module.write_text(MODULE + "\n# changed\n")
    after = settings.student_benchmark(own)["metrics"]
    assert before.keys() == {"own_metrics:Long", "gone:Away"}
    assert before["own_metrics:Long"] != after["own_metrics:Long"]
    assert before["gone:Away"] is after["gone:Away"] is None

"""What the models that are timed together need: memory for all of them, and the endpoint of the teacher."""

from distill_dagster.config.reading import load_config
from distill_dagster.lineage.endpoints import asks_endpoint
from distill_dagster.planning.steps import Step
from distill_dagster.preflight.devices import _bytes_needed
from distill_dagster.preflight.packages import package_requirements
from distill_dagster.preflight.pending import Pending
from testing.projects import write_project

ENDPOINT = {"endpoint": {"url": "http://127.0.0.1:1/v1", "model": "big"}}
OWN = {"student.model.tokenizer": "train"}


def test_all_models_are_in_memory_at_one_time(tmp_path):
    pending = Pending(load_config(write_project(tmp_path)), ())
    sizes = {"teacher": 1000, "student": 100}
    assert _bytes_needed("speed_benchmark", pending, sizes, "cpu", 1) == 4 * (1000 + 100 + 100)
    assert _bytes_needed("student_benchmark", pending, sizes, "cpu", 1) == 4 * 100


def test_exports_are_in_memory_too_but_on_no_gpu(tmp_path):
    formats = {"export.formats": ["gguf_f32", "onnx_int8"]}
    pending = Pending(load_config(write_project(tmp_path, **formats)), ())
    sizes = {"teacher": 1000, "student": 100}
    assert _bytes_needed("speed_benchmark", pending, sizes, "cpu", 1) == 4 * (1000 + 4 * 100)
    on_a_gpu = _bytes_needed("speed_benchmark", pending, sizes, "cuda", 1)
    assert on_a_gpu == _bytes_needed("student_benchmark", pending, sizes, "cuda", 1) * 12


def test_the_runtime_of_an_export_is_needed_where_it_is_only_timed(tmp_path, monkeypatch):
    """The export may have been made on another machine."""
    step = Step("speed_benchmark", None, "stale")
    pending = Pending(load_config(write_project(tmp_path, **{"export.formats": ["gguf_q8_0"]})), (step,))
    (found,) = package_requirements(pending)
    assert (found.of, found.state) == ("speed_benchmark", "ok")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    (found,) = package_requirements(pending)
    assert (found.of, found.state) == ("speed_benchmark", "error")
    assert "install `distill-dagster[export]`" in found.found


def test_a_teacher_behind_an_endpoint_takes_no_memory_and_is_needed_only_where_it_is_timed(tmp_path):
    timed = {"evaluation.speed.endpoint_requests": 3}
    config = load_config(write_project(tmp_path, teacher=ENDPOINT, **OWN, **timed))
    assert _bytes_needed("speed_benchmark", Pending(config, ()), {"student": 100}, "cpu", 1) == 4 * 200
    assert asks_endpoint("speed_benchmark", config)
    untimed = load_config(write_project(tmp_path, teacher=ENDPOINT, **OWN))
    assert not asks_endpoint("speed_benchmark", untimed)

"""Exports are timed with the other models: a project without them keeps its fingerprints."""

import pytest

from distill_dagster.config import DistillConfig, ExportConfig
from distill_dagster.lineage import settings
from distill_dagster.lineage.exports import export_of
from distill_dagster.lineage.stages import STAGES, deps_of, stages_of

TIMED = STAGES["speed_benchmark"]


@pytest.fixture
def config(tiny_config) -> DistillConfig:
    return tiny_config


def with_formats(config: DistillConfig, *formats: str, **export) -> DistillConfig:
    return config.model_copy(update={"export": ExportConfig.model_validate({"formats": formats, **export})})


def test_the_speed_is_measured_of_every_export(config):
    changed = with_formats(config, "onnx_int8", "gguf_q8_0")
    exports = [export_of("onnx_int8"), export_of("gguf_q8_0")]
    assert list(TIMED.reads(changed)) == [*TIMED.reads(config), *exports]
    assert set(exports) <= set(deps_of(TIMED, changed))
    made = [stage.name for stage in stages_of(changed)]
    assert max(map(made.index, exports)) < made.index("speed_benchmark") < made.index("eval_report")


def test_a_project_without_exports_keeps_its_fingerprints(config):
    assert TIMED.reads(config) == ("eval_dataset", "teacher_model", "student_base", "student_checkpoint")
    before = {"dtypes", "max_new_tokens", "evaluation", "prompting", "summary_words", "hardware"}
    assert settings.speed_benchmark(config).keys() == before
    assert settings.eval_report(config).keys() == {"evaluation", "name"}
    assert settings.speed_benchmark(with_formats(config, max_length=64)) == settings.speed_benchmark(config)


def test_another_order_of_formats_is_another_report_and_the_same_measurement(config):
    one, other = with_formats(config, "onnx_int8", "gguf_q8_0"), with_formats(config, "gguf_q8_0", "onnx_int8")
    assert settings.speed_benchmark(one) == settings.speed_benchmark(other)
    assert (settings.eval_report(one)["shipped"], settings.eval_report(other)["shipped"]) == ("onnx_int8", "gguf_q8_0")


def test_another_room_is_another_measurement(config):
    one, other = (with_formats(config, "onnx_int8", max_length=length) for length in (64, 128))
    assert settings.speed_benchmark(one) != settings.speed_benchmark(other)

"""Settings of an endpoint: what shapes no answer makes nothing stale, and parameters do where they change a request."""

import pytest

from distill_dagster.config import DistillConfig
from distill_dagster.lineage import settings

PLAIN = {"url": "http://host/v1", "model": "m"}
STAGES = ("teacher_model", "teacher_outputs", "teacher_benchmark", "student_benchmark")


def config(endpoint=None, generation=None, **teacher) -> DistillConfig:
    return DistillConfig.model_validate(
        {
            "task": "qa",
            "data": {"train": "train.jsonl", "test": "test.jsonl"},
            "teacher": {"endpoint": PLAIN | (endpoint or {}), "generation": generation or {}, **teacher},
            "student": {"model": {"name": "student"}},
        }
    )


def changed(before: DistillConfig, after: DistillConfig) -> set[str]:
    return {name for name in STAGES if getattr(settings, name)(before) != getattr(settings, name)(after)}


@pytest.mark.parametrize(
    "endpoint",
    [
        {"stream": True},
        {"batch": True},
        {"organization": "o", "project": "p", "headers": {"X-A": "b"}},
        {"price": {"prompt": 1, "cached_prompt": 0.1, "batch_discount": 0.5}},
        {"max_tokens_field": "max_completion_tokens"},
        {"parameters": {"n": "omit", "stream_options": "omit", "seed": "omit"}},
        {"parameters": {"temperature": 0}},
    ],
)
def test_what_shapes_no_answer_makes_nothing_stale(endpoint):
    assert changed(config(), config(endpoint)) == set()


@pytest.mark.parametrize(
    ("generation", "parameters", "stale"),
    [
        ({}, {"temperature": 1}, {"teacher_outputs", "teacher_benchmark"}),
        ({}, {"temperature": "omit"}, {"teacher_outputs", "teacher_benchmark"}),
        ({"temperature": 1}, {"temperature": 1}, {"teacher_benchmark"}),
        ({"temperature": 1}, {"seed": "omit"}, {"teacher_outputs"}),
    ],
)
def test_parameters_make_stale_what_is_sent_otherwise(generation, parameters, stale):
    assert changed(config(generation=generation), config({"parameters": parameters}, generation)) == stale


def test_the_judges_parameters_shape_the_choice():
    def judged(**endpoint):
        best_of = {"choose": "judge", "judge": {"endpoint": PLAIN | endpoint}}
        return config(generation={"temperature": 1, "samples": 2}, best_of=best_of)

    assert changed(judged(), judged(parameters={"temperature": 1})) == {"teacher_outputs"}


def test_a_local_teacher_beside_an_endpoint_is_measured_as_before():
    def beside(**endpoint):
        teacher = {"model": {"name": "big"}, "best_of": {"teachers": [{"endpoint": PLAIN | endpoint}]}}
        base = config().model_dump()
        return DistillConfig.model_validate({**base, "teacher": teacher})

    assert changed(beside(), beside(parameters={"temperature": 1})) == {"teacher_outputs"}

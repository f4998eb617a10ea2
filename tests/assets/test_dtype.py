"""The precision in which a student answers is that of the config, also of one that was trained before it changed."""

import pytest

from distill_dagster.config import DistillConfig
from distill_dagster.config.reading import load_config
from distill_dagster.lineage import settings
from distill_dagster.lineage.project import Project
from testing.projects import run_project, tiny_settings


def changed_by(signal: str, **changes) -> set[str]:
    """The stages whose settings a change of the config changes."""
    before, after = (
        DistillConfig.model_validate(tiny_settings(**{"student.training.signal": signal, **own}))
        for own in ({}, changes)
    )
    names = ("student_base", "student_checkpoint", "student_benchmark", "teacher_outputs")
    return {name for name in names if getattr(settings, name)(before) != getattr(settings, name)(after)}


def test_the_teachers_dtype_shapes_a_student_that_learns_beside_it():
    dtype = {"teacher.model.dtype": "bfloat16"}
    assert changed_by("hidden", **dtype) == {"student_checkpoint", "teacher_outputs"}
    assert changed_by("text", **dtype) == {"teacher_outputs"}


def test_a_student_that_is_cut_out_of_the_teacher_answers_in_the_teachers_dtype():
    cut = {"student.model": None, "student.init": {"from": "teacher", "layers": 2}}
    plain, other = (
        DistillConfig.model_validate(tiny_settings(**cut, **{"teacher.model.dtype": dtype}))
        for dtype in ("auto", "bfloat16")
    )
    assert settings.student_dtype(other) == "bfloat16"
    assert settings.student_benchmark(plain) != settings.student_benchmark(other)


@pytest.mark.processes
def test_a_changed_dtype_of_the_student_measures_it_again_in_that_one(copy_of_made, instance):
    config = load_config(copy_of_made(**{"student.model.dtype": "bfloat16"}))
    store = Project(config).store
    before = store.get("student_checkpoint")
    assert run_project(config, instance, "student_benchmark").failed == {}
    assert store.get("student_checkpoint") == before, "its weights are the same"
    assert [store.get(f"{role}_benchmark").facts["dtype"] for role in ("baseline", "student")] == ["bfloat16"] * 2

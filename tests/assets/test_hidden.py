"""Whole projects whose student imitates its teacher, or is cut out of it."""

import pytest

from distill_dagster.config.reading import load_config
from distill_dagster.lineage.freshness import is_fresh
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.lineage.stages import STAGES, deps_of
from testing.projects import TINY_LLAMA, run_project, write_project

pytestmark = pytest.mark.processes
HIDDEN = {"student.training.signal": "hidden", "student.training.hidden": {"relations": {"heads": 4}}}


def test_a_student_imitates_the_teacher_beside_its_distributions(tmp_path, instance):
    changes = {**HIDDEN, "teacher.logits": {"k": 8}, "student.training.logits": {}}
    config = load_config(write_project(tmp_path, **changes))
    project, outcome = Project(config), run_project(config, instance, "student_checkpoint")
    assert outcome.failed == {}
    student, teacher = (project.store.get(name) for name in ("student_checkpoint", "teacher_model"))
    assert student.inputs["teacher_model"] == teacher.data_version
    assert "teacher_logits" in student.inputs
    loss = "0.5 * (0.5 * CE + 0.5 * forward_kl at T = 1) + 0.5 * (cosine of hidden states (student:teacher 1:2)"
    assert student.facts["training"]["loss"].startswith(loss)
    assert student.counts["teacher_cannot_read"] == 0


def test_a_project_whose_student_is_cut_out_of_the_teacher(tmp_path, instance):
    """From the files to the report: the teacher has four layers, the student three and fewer neurons."""
    init = {"from": "teacher", "layers": 3, "choose": "block_influence", "feed_forward": 48, "prompts": 20}
    deep = {"teacher.model.settings": {**TINY_LLAMA, "num_hidden_layers": 4}}
    config = load_config(write_project(tmp_path, **{**HIDDEN, **deep, "student.model": None, "student.init": init}))
    assert deps_of(STAGES["student_base"], config) == ["shard_list", "teacher_model", "raw_dataset"]
    project, outcome = Project(config), run_project(config, instance)
    assert outcome.failed == {}
    base, student = (project.store.get(name) for name in ("student_base", "student_checkpoint"))
    assert base.facts["origin"] == "cut"
    cut = base.facts["cut"]
    assert (len(cut["layers"]), cut["layers"][0], cut["layers"][-1], cut["of"]) == (3, 1, 4, 4)
    assert len(cut["influence"]) == 4
    assert base.counts["measured_prompts"] == 20
    assert (
        student.counts["parameters"]
        == base.counts["parameters"]
        < project.store.get("teacher_model").counts["parameters"]
    )
    card = student.file("model/README.md").read_text().replace("\\", "")
    assert f"layers {', '.join(map(str, cut['layers']))} of the 4 of " in card
    look = Snapshot(project)
    assert is_fresh(look, "eval_report")
    spaced = config.student.init.model_copy(update={"choose": "spaced"})
    changed = config.model_copy(update={"student": config.student.model_copy(update={"init": spaced})})
    assert not is_fresh(Snapshot(Project(changed)), "student_base")
    assert is_fresh(Snapshot(Project(changed)), "teacher_outputs", look.shards[0])

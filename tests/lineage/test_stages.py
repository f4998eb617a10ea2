"""Fingerprints: what makes an artefact stale, and what does not."""

import pytest

from distill_dagster.config.reading import load_config
from distill_dagster.errors import ConfigError, DataError, NotPublishedError
from distill_dagster.lineage.freshness import inputs_of, is_fresh
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.lineage.stages import stages_of
from testing.projects import run_project, write_project


def stale_after(project: Project, **changes) -> set[str]:
    """The stages that a changed setting makes stale, upstream artefacts left as they are."""
    settings = project.config.model_dump()
    for path, value in changes.items():
        *parents, last = path.split("__")
        section = settings
        for parent in parents:
            section = section[parent]
        section[last] = value
    changed = Project(type(project.config).model_validate(settings))
    shard = "validation"
    return {
        s.name
        for s in stages_of(changed.config)
        if not is_fresh(Snapshot(changed), s.name, shard if s.sharded else None)
    }


def test_nothing_is_stale_after_a_run(made):
    project, _, _ = made
    assert stale_after(project) == set()


@pytest.mark.parametrize(
    ("changes", "stale"),
    [
        ({"teacher__generation__temperature": 0.5}, {"teacher_outputs"}),
        (
            {"teacher__generation__max_new_tokens": 20},
            {"teacher_outputs", "teacher_benchmark", "baseline_benchmark", "student_benchmark", "speed_benchmark"},
        ),
        ({"teacher__fit__epochs": 5}, {"teacher_model"}),
        ({"student__training__learning_rate": 1e-4}, {"student_checkpoint"}),
        ({"student__model__seed": 7}, {"student_base"}),
        ({"quality__max_label_share": 0.5}, {"validated_synthetic_set"}),
        ({"checks__min_valid_share": 0.1}, set()),
        ({"checks__min_train_rows": 6}, set()),
        ({"evaluation__retention_target": 0.5}, {"eval_report"}),
        ({"evaluation__latency_requests": 5}, {"speed_benchmark"}),
        ({"evaluation__speed__rounds": 4, "evaluation__speed__endpoint_requests": 0}, {"speed_benchmark"}),
        ({"compute__backend": "subprocess"}, set()),
    ],
)
def test_a_setting_makes_stale_exactly_what_it_shapes(made, changes, stale):
    assert stale_after(made[0], **changes) == stale


def test_an_artefact_without_its_inputs_says_what_to_make_first(tiny_config):
    with pytest.raises(NotPublishedError, match=r"raw_dataset\[.*materialize it first"):
        inputs_of(Snapshot(Project(tiny_config)), "teacher_outputs", "train-part-00")


def test_a_shard_that_is_gone_is_named(tiny_config):
    with pytest.raises(DataError, match="'train-part-99' no longer has a source file"):
        inputs_of(Snapshot(Project(tiny_config)), "raw_dataset", "train-part-99")


def test_a_missing_source_is_named(tmp_path):
    project = Project(load_config(write_project(tmp_path, **{"data.train": "data/nothing/*.jsonl"})))
    with pytest.raises(DataError, match="nothing"):
        _ = Snapshot(project).sources


def test_a_runs_own_settings_are_checked_like_the_files(tiny_config):
    with pytest.raises(ConfigError, match=r"student\.training\.epochs"):
        Project(tiny_config).with_overrides(("student", "training"), {"epochs": -1})


def test_one_changed_row_makes_one_shard_and_its_downstream_again(copy_of_made, tmp_path, instance):
    config = load_config(copy_of_made())
    last = "validated_synthetic_set"
    assert not run_project(config, instance, last).failed
    part = tmp_path / "data" / "train" / "part-01.jsonl"
    lines = part.read_text().splitlines(keepends=True)
    part.write_text("".join(lines[1:]))
    outcome = run_project(config, instance, last)
    assert "raw_dataset[train-part-01]" in outcome.materialized
    assert {"raw_dataset[train-part-00]", "raw_dataset[validation]", "eval_dataset"} <= set(outcome.skipped)
    # the demo's teacher is fitted to the rows, so it is another teacher now and every answer is its own
    assert "teacher_outputs[train-part-00]" in outcome.materialized
    part.write_text("".join(lines))
    assert "raw_dataset[train-part-01]" in run_project(config, instance, last).materialized
    part.touch()
    assert run_project(config, instance, last).materialized == []

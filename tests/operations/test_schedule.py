"""The schedule: it re-distils what is stale, says so where nothing is, and removed shards leave no files behind."""

import dagster as dg

from distill_dagster.config.reading import load_config
from distill_dagster.definitions import build_definitions
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.removal import delete_removed
from distill_dagster.lineage.snapshot import Snapshot
from testing.projects import run_project, tick, unpublish, write_project


def test_the_schedule_makes_what_is_stale_and_then_records_that_nothing_is(copy_of_made, tmp_path):
    config = load_config(copy_of_made())
    project = Project(config)
    for asset in ("validated_synthetic_set", "eval_report"):
        unpublish(project, asset)
    with dg.instance_for_test() as instance:
        assert len(tick(config, instance)) == 1
        job = build_definitions(config).resolve_job_def("redistill_job")
        assert job.execute_in_process(instance=instance).success
        assert project.store.find("validated_synthetic_set")
        assert project.store.find("eval_report")
        assert tick(config, instance) == "nothing is stale"
        (tmp_path / "data" / "train" / "part-02.jsonl").unlink()
        assert len(tick(config, instance)) == 1
    assert delete_removed(Snapshot(project)) == [], "the published set is still made from the removed shard"


def test_files_of_a_removed_shard_go_when_no_set_is_made_from_them(copy_of_made, tmp_path, instance):
    config = load_config(copy_of_made())
    project = Project(config)
    assert not run_project(config, instance, "validated_synthetic_set").failed
    (tmp_path / "data" / "train" / "part-02.jsonl").unlink()
    assert not run_project(config, instance, "validated_synthetic_set").failed
    assert "train-part-02" not in project.store.get("validated_synthetic_set").inputs["teacher_outputs"]
    assert delete_removed(Snapshot(project)) == ["raw_dataset[train-part-02]", "teacher_outputs[train-part-02]"]
    assert delete_removed(Snapshot(project)) == []


def test_a_job_that_cannot_make_something_says_what(tmp_path):
    config = load_config(write_project(tmp_path, **{"data.test": "data/none.jsonl"}))
    with dg.instance_for_test() as instance:
        assert "none.jsonl" in tick(config, instance)


def test_the_clock_is_off_until_the_config_sets_it(tiny_config):
    def status(config):
        return build_definitions(config).get_repository_def().get_schedule_def("redistill_schedule").default_status

    automation = tiny_config.automation.model_copy(update={"cron": "0 3 * * *"})
    assert status(tiny_config) == dg.DefaultScheduleStatus.STOPPED
    assert status(tiny_config.model_copy(update={"automation": automation})) == dg.DefaultScheduleStatus.RUNNING

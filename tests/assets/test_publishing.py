"""The asset `published_student` in the lineage: when it exists, when it is made, and what it shows."""

from pathlib import Path

import pytest
import yaml

from distill_dagster.config import DistillConfig
from distill_dagster.config.reading import load_config
from distill_dagster.definitions import build_lineage
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.published import PUBLISHED
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.lineage.student import RELEASED
from distill_dagster.planning.steps import list_steps
from distill_dagster.release.publish.bundle import RECORD_FILE
from distill_dagster.release.publish.specs import PublishResult
from distill_dagster.store import files
from testing.projects import last_metadata, materialize_alone, run_project
from testing.publishing import tree
from tests.assets.test_release import say_verdict

PLACE = {"folder": {"path": "models"}}


@pytest.fixture
def project(copy_of_made) -> Project:
    return Project(load_config(copy_of_made(release={"publish": PLACE})))


def stale(config: DistillConfig) -> dict[str, str]:
    return {step.title: step.state for step in list_steps(Snapshot(Project(config))) if not step.is_fresh}


def changed(project: Project, **release) -> DistillConfig:
    """The config with another `release:`, read from the file as users write it."""
    path = Path(project.config.store).parent / "distill.yaml"
    document = {**yaml.safe_load(path.read_text()), "release": release}
    path.write_text(yaml.safe_dump(document))
    return load_config(path)


def test_the_asset_exists_only_where_places_are_named(project):
    def assets(config: DistillConfig) -> set[str]:
        keys = build_lineage(config).resolve_asset_graph().get_all_asset_keys()
        return {key.to_user_string() for key in keys}

    assert assets(project.config) - assets(changed(project)) == {PUBLISHED}


def test_a_released_student_is_published_once(project, instance, tmp_path):
    say_verdict(project, "PASS")
    assert run_project(project.config, instance).materialized == [RELEASED, PUBLISHED]
    release, result = project.store.get(RELEASED), project.store.get(PUBLISHED).read(PublishResult)
    found = tree(tmp_path / "models/current")
    assert {name: body for name, body in found.items() if name != RECORD_FILE} == tree(
        release.file(files.WEIGHTS_FOLDER)
    )
    assert {"model.safetensors", "tokenizer.json", "README.md"} <= found.keys()
    metadata = {name: value.value for name, value in last_metadata(instance, PUBLISHED).items()}
    assert metadata["published"] == release.data_version[:12]
    assert metadata["url_folder"] == str(tmp_path / "models/current")
    assert metadata["revision_folder"] == metadata["release"] == result.release
    assert run_project(project.config, instance).materialized == []


def test_a_student_that_is_not_released_is_not_published(project, instance, tmp_path):
    """The report's verdict of a model of this size is FAIL, and its check does not block here."""
    config = changed(project, publish=PLACE)
    checks = config.checks.model_copy(
        update={"severity": config.checks.severity.model_copy(update={"verdict_is_pass": "warn"})}
    )
    config = config.model_copy(update={"checks": checks})
    assert run_project(config, instance).materialized == [RELEASED, PUBLISHED]
    result = project.store.get(PUBLISHED).read(PublishResult)
    assert (result.student, result.places) == (None, [])
    assert last_metadata(instance, PUBLISHED)["published"].value == "nothing: no student is released yet"
    assert not (tmp_path / "models").exists()


def test_another_place_publishes_again_and_judges_nothing_again(project, instance, tmp_path):
    say_verdict(project, "PASS")
    run_project(project.config, instance)
    config = changed(project, publish={"folder": {"path": "elsewhere"}})
    assert stale(config) == {PUBLISHED: "stale"}
    assert run_project(config, instance).materialized == [PUBLISHED]
    assert tree(tmp_path / "elsewhere/current") == tree(tmp_path / "models/current")


def test_a_release_without_places_has_the_fingerprint_that_it_had(project, instance):
    say_verdict(project, "PASS")
    without = changed(project)
    run_project(without, instance)
    assert "publish" not in project.store.get(RELEASED).inputs["release"]
    assert stale(changed(project, publish=PLACE)) == {PUBLISHED: "missing"}


def test_another_model_card_of_the_same_student_is_published(project, instance, tmp_path):
    say_verdict(project, "PASS")
    run_project(project.config, instance)
    before = project.store.get(RELEASED)
    config = changed(project, name="another-name", publish=PLACE)
    assert run_project(config, instance).materialized == [RELEASED, PUBLISHED]
    assert project.store.get(RELEASED).data_version == before.data_version
    assert "another-name" in (tmp_path / "models/current/README.md").read_text()


def test_it_can_be_made_alone_while_what_comes_before_is_stale(project, instance, tmp_path):
    """As after a rollback, when a source file cannot be read and nothing can be judged."""
    say_verdict(project, "PASS")
    run_project(project.config, instance, until=RELEASED)
    rows = tmp_path / "data/test.jsonl"
    rows.write_text(rows.read_text().splitlines(keepends=True)[0])
    assert stale(project.config)[RELEASED] == "stale"
    materialize_alone(project.config, instance, PUBLISHED)
    assert (tmp_path / "models/current/model.safetensors").is_file()


def test_a_place_that_fails_is_the_failure_of_the_asset_and_the_next_run_goes_on(project, instance, tmp_path):
    say_verdict(project, "PASS")
    (tmp_path / "models").write_text("a file")
    outcome = run_project(project.config, instance)
    assert list(outcome.failed) == [PUBLISHED]
    assert "models" in outcome.failed[PUBLISHED]
    (tmp_path / "models").unlink()
    assert run_project(project.config, instance).materialized == [PUBLISHED]

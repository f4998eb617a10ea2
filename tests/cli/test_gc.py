"""`distill-dagster gc` shows what goes and what stays, deletes with --yes alone, and a run afterwards makes nothing."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import typer

from distill_dagster.cli.gc import gc
from distill_dagster.config.reading import load_config
from distill_dagster.lineage.project import Project
from distill_dagster.teachers.responses import Responses
from testing.api_project import write_api_project
from testing.clearing import NOWHERE, answer, publish, store_replies
from testing.dev_server import run_command
from testing.projects import own_instance, write_project

pytestmark = pytest.mark.processes


def age(project: Project, asset: str, days: int) -> None:
    """Publish an artefact again, as if that had been so many days ago."""
    manifest = project.store.get(asset)
    (project.store.folder(asset) / "previous.json").write_text(json.dumps(manifest.document()))
    later = manifest.folder.with_name("later")
    later.mkdir()
    for path in manifest.folder.rglob("*"):
        copy = later / path.relative_to(manifest.folder)
        copy.mkdir() if path.is_dir() else copy.write_bytes(path.read_bytes())
    at = datetime.now(UTC) - timedelta(days=days)
    document = {**manifest.document(), "version": "later", "created_at": at.isoformat(timespec="seconds")}
    (project.store.folder(asset) / "manifest.json").write_text(json.dumps(document))


def said(path: Path, *options: str) -> dict:
    done = run_command("gc", "--config", str(path), "--json", *options)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout.splitlines()[-1])


def going(document: dict) -> dict[str, int]:
    return {entry["kind"]: entry["count"] for entry in document["going"] if entry["count"]}


def test_a_dry_run_deletes_nothing_and_yes_deletes_what_it_said(copy_of_made):
    path = copy_of_made()
    project = Project(load_config(path))
    assert run_command("run", "--config", str(path)).exit_code in (0, 3), "its instance learns what there is"
    age(project, "eval_report", days=40)
    age(project, "student_base", days=20)
    dry = said(path)
    assert dry["deleted"] is False
    assert going(dry) == {"version": 1}
    (version,) = (entry for entry in dry["going"] if entry["kind"] == "version")
    assert version["names"][0].startswith("eval_report ")
    assert version["bytes"] > 0
    kept = {(entry["kind"], entry["why"]): entry["count"] for entry in dry["kept"]}
    assert kept["version", "it was replaced less than 30 days ago"] == 1
    assert kept["run", "it is the last materialization of a partition"] > 10
    shown = run_command("gc", "--config", str(path))
    assert "Would be deleted" in shown.stdout
    assert "nothing was deleted: `distill-dagster gc --yes` deletes it" in shown.stdout
    assert project.store.previous("eval_report") is not None
    assert going(said(path, "--days", "10")) == {"version": 2}
    done = said(path, "--yes")
    assert (done["deleted"], going(done)) == (True, {"version": 1})
    assert project.store.previous("eval_report") is None
    assert going(said(path)) == {}
    again = run_command("run", "--config", str(path))
    assert json.loads(again.stdout.splitlines()[-1])["materialized"] == 0, again.output
    with own_instance(project.config) as instance:
        assert instance.get_runs()


def test_what_went_before_an_error_is_said(tmp_path, capsys):
    path = write_api_project(tmp_path, NOWHERE, shards=1)
    project = Project(load_config(path))
    publish(project.store, "raw_dataset/a", "1")
    (project.store.folder("raw_dataset", "a") / "versions/dead-1234").mkdir()
    store_replies(Responses(project.responses), "train-part-00", [answer(100)])
    (project.store.root / "responses/removed").symlink_to(tmp_path / "nowhere")  # so no note can be written
    with pytest.raises(typer.Exit):
        gc(config=path, yes=True, as_json=True)
    said = capsys.readouterr()
    printed = json.loads(said.out)
    assert (printed["deleted"], going(printed)) == (True, {"unnamed file": 1})
    assert "responses/removed cannot be written" in said.err


def test_a_store_without_anything_has_nothing_to_clear(tmp_path):
    path = write_project(tmp_path)
    assert going(said(path)) == {}
    assert not (tmp_path / "store" / ".dagster").exists(), "a look makes no instance"

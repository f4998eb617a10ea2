"""A store in a bucket holds a whole project; a store moves there, and back, without a call to a teacher."""

import json
import shutil
import uuid
from pathlib import Path

import dagster as dg
import pytest
import yaml

from distill_dagster.alerts.memory import ALERTS_FILE
from distill_dagster.cli.moving import copy_store
from distill_dagster.config.reading import load_config
from distill_dagster.errors import ConfigError, DataError
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.lineage.student import student_path, student_place
from distill_dagster.operations.instance import dagster_home
from distill_dagster.planning.plan import make_plan
from distill_dagster.planning.steps import list_steps
from distill_dagster.store import files, parquet
from distill_dagster.store.objects.bucket import Bucket
from distill_dagster.teachers.responses import Responses
from testing import object_store
from testing.clearing import answer
from testing.dev_server import run_command
from testing.projects import run_project, write_project
from tests.lineage.test_older_store import OLD

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def server():
    with object_store.open_bucket("stores") as client:
        yield client


@pytest.fixture
def url(server) -> str:
    return f"s3://stores/{uuid.uuid4().hex}/support"


def with_store(path: Path, store: str, local: str = ".distill") -> Project:
    """The project of a config, with another store."""
    other = path.with_name(f"{uuid.uuid4().hex}.yaml")
    other.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), "store": store, "local_folder": local}))
    return Project(load_config(other))


def stale(project: Project) -> list[str]:
    return [step.title for step in list_steps(Snapshot(project)) if not step.is_fresh]


def content(project: Project) -> dict[str, dict[str, str]]:
    """Key -> the files of every artefact, with their hashes."""
    store = project.store
    found = {key: store.find(*key.split("/")) for key in store.backend.published()}
    return {key: {"version": manifest.version, **manifest.files} for key, manifest in found.items() if manifest}


@pytest.fixture
def old(tmp_path) -> Path:
    """The config of a project whose teacher was an endpoint that is gone."""
    shutil.copytree(OLD, tmp_path / "old")
    (tmp_path / "old/store" / ALERTS_FILE).write_text('{"since": 1.0, "outbox": []}')
    return tmp_path / "old" / "distill.yaml"


def test_a_local_store_moves_to_a_bucket_and_back_without_a_call(old, url):
    here = Project(load_config(old))
    said = run_command("store", "copy", here.config.store, url)
    assert said.exit_code == 0, said.output
    copied = json.loads(said.stdout.splitlines()[-1])
    assert copied["artefacts"] == len(content(here))
    there = with_store(old, url)
    assert content(there) == content(here)
    assert stale(there) == stale(here), "what is fresh here is fresh there"
    assert make_plan(Snapshot(there)).total.new == 0
    assert Responses(there.responses).spent() == Responses(here.responses).spent()
    assert there.state.read(ALERTS_FILE) == here.state.read(ALERTS_FILE)
    assert json.loads(run_command("store", "copy", here.config.store, url).stdout.splitlines()[-1]) == {
        "artefacts": 0,
        "files_of_replies": 0,
    }
    back = with_store(old, str(old.with_name("back")))
    assert run_command("store", "copy", url, back.config.store).exit_code == 0
    assert content(back) == content(here)
    assert make_plan(Snapshot(back)).total.new == 0
    assert [m.previous(a) for m in (here.store, there.store, back.store) for a in ("eval_report",)] == [None] * 3


def test_a_copy_that_was_stopped_goes_on_and_damage_is_seen(old, url, server):
    here, seen = Project(load_config(old)), []

    def stop(key, is_new):
        seen.append(key)
        if len(seen) == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copy_store(here.config.store, url, stop)
    there = with_store(old, url)
    first = content(there)
    assert len(first) == 4
    bucket, prefix = url.removeprefix("s3://").split("/", 1)
    key = f"{prefix}/versions/{seen[0]}/{first[seen[0]]['version']}/{next(n for n in first[seen[0]] if n != 'version')}"
    server.put_object(Bucket=bucket, Key=key, Body=b"damaged on its way")
    assert copy_store(here.config.store, url, lambda key, is_new: None).artefacts == len(content(here)) - 4
    there.store.get(*seen[0].split("/")).folder  # noqa: B018 - checks every hash


def test_replies_that_a_killed_process_had_not_sent_are_copied_too(old, url, tmp_path):
    copy_store(str(old.parent / "store"), url, lambda key, is_new: None)
    there = with_store(old, url)
    unsent = there.config.local_root / "unsent" / "train-part-00" / "open.jsonl"
    unsent.parent.mkdir(parents=True)
    lines = [json.dumps(answer(n)._asdict()) for n in (1, 2)]
    unsent.write_text(f"{lines[0]}\n{lines[1][:20]}")
    config = next(old.parent.glob("????????????????????????????????.yaml"))
    by_folder, by_config = ("--local", there.config.local_root), ("--config", config)
    for target, options in (("one", by_folder), ("two", by_config), ("two", by_config)):
        place = tmp_path / target
        said = run_command("store", "copy", url, place, *options)
        assert said.exit_code == 0, said.output
        found = Responses(place / "responses").find([answer(1).request_hash, answer(2).request_hash])
        assert found.keys() == {answer(1).request_hash}, "the other one is torn"
    assert unsent.read_text().startswith(lines[0]), "the next run sends it"


def test_a_store_that_cannot_be_copied_is_named(old, url, tmp_path):
    store = str(old.parent / "store")
    with pytest.raises(ConfigError, match="is source and target"):
        copy_store(store, store, lambda key, is_new: None)
    with pytest.raises(ConfigError, match=r"nothing holds no artefact: name the folder or the URL"):
        copy_store(str(tmp_path / "nothing"), url, lambda key, is_new: None)
    lost = Project(load_config(old)).store.get("eval_dataset").file(files.RAW_FILE)
    kept = lost.read_bytes()
    lost.unlink()
    with pytest.raises(DataError, match=r"raw.parquet is gone, so eval_dataset counts as not made: materialize it"):
        copy_store(store, url, lambda key, is_new: None)
    lost.write_bytes(kept)
    copy_store(store, url, lambda key, is_new: None)
    target = with_store(old, url)
    target.store.revise("student_base", None, lambda current, out: _copied(current, out))
    with pytest.raises(DataError, match=r"holds student_base in the version .* it was not replaced"):
        copy_store(store, url, lambda key, is_new: None)


def _copied(current, out):
    from distill_dagster.training.specs import PrepareResult

    shutil.copytree(current.folder, out, dirs_exist_ok=True)
    return current.read(PrepareResult)


def test_the_whole_lineage_is_made_in_a_bucket(made, tmp_path, url, monkeypatch):
    monkeypatch.delenv("DAGSTER_HOME", raising=False)  # a command that ran in this process set it
    local = made[0]
    short = {"evaluation.latency_requests": 2, "evaluation.speed.concurrency": [1]}  # what bears on no row
    path = write_project(tmp_path, store=url, **short)
    config = load_config(path)
    with dg.DagsterInstance.ephemeral() as instance:
        outcome = run_project(config, instance)
    assert not {name: why for name, why in outcome.failed.items() if "verdict" not in why}
    assert stale(Project(config)) == []
    other = with_store(path, url, local="another-machine")
    look = Snapshot(other)
    assert [step.title for step in list_steps(look) if not step.is_fresh] == []
    assert str(student_place(other.store)).startswith(url), "a status fetches no weights"
    for asset, shard in (("raw_dataset", "train-part-00"), ("eval_dataset", None)):
        found, expected = (project.store.get(asset, shard) for project in (other, local))
        assert found.data_version == expected.data_version
        rows = [parquet.read_table(manifest.file(files.RAW_FILE)) for manifest in (found, expected)]
        assert rows[0] == rows[1]
    answers = [p.store.get("teacher_outputs", "train-part-00").file(files.TEACHER_FILE) for p in (other, local)]
    columns = ["row_id", "sample", "turn", "raw_text", "status"]
    assert parquet.read_table(answers[0], columns) == parquet.read_table(answers[1], columns)
    assert (student_path(other.store) / "model.safetensors").is_file()
    assert dagster_home(config).parent.parent == (tmp_path / ".distill").resolve()
    assert not (tmp_path / "s3:").exists()
    assert {entry.name for entry in tmp_path.iterdir()} >= {".distill", "data"}


def test_a_look_at_all_shards_is_one_listing_for_each_asset(old, url, monkeypatch):
    copy_store(str(old.parent / "store"), url, lambda key, is_new: None)
    project, asked = with_store(old, url), []
    shards = len(Snapshot(project).shards)
    assert shards > 1
    list_steps(Snapshot(project))
    for name in ("get", "list"):
        own = getattr(Bucket, name)
        monkeypatch.setattr(Bucket, name, lambda bucket, path, own=own: asked.append(path) or own(bucket, path))
    list_steps(Snapshot(project))
    assert asked.count("manifests/raw_dataset") == asked.count("manifests/teacher_outputs") == 1
    assert [path for path in asked if path.startswith(("manifests/raw_dataset/", "manifests/teacher_outputs/"))] == []
    assert len(asked) == len(set(asked)), "nothing is asked twice"

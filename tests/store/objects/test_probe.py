"""A server that ignores conditional writes is refused, before anything is published there."""

import pytest

from distill_dagster.config.reading import load_config
from distill_dagster.errors import DataError
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.snapshot import Snapshot
from distill_dagster.planning.steps import list_steps
from distill_dagster.preflight.pending import Pending
from distill_dagster.preflight.places import bucket_requirement, place_requirements
from distill_dagster.store.objects.bucket import Bucket, open_bucket
from distill_dagster.store.objects.probe import probe
from distill_dagster.store.places import open_store
from testing.object_store import open_careless_bucket
from testing.projects import write_project
from testing.store_writers import publish


def test_a_server_that_keeps_conditions_is_taken(bucket):
    assert probe(bucket) == f"{bucket.url} can be written, and refuses what conditional writes must refuse"
    assert bucket.list("probe") == [], "the probe leaves nothing"
    assert bucket_requirement(bucket.url, write=True).state == "ok"
    assert bucket_requirement(bucket.url, write=False).state == "not checked"


@pytest.mark.processes
def test_a_server_that_ignores_conditions_is_refused(tmp_path):
    with open_careless_bucket("stores", tmp_path / "nanio"):
        found = bucket_requirement("s3://stores/careless", write=True)
        assert found.state == "error"
        assert "let two writers create the same object (it ignores `If-None-Match: *`)" in found.found
        store = open_store("s3://stores/careless", tmp_path / "local")
        with pytest.raises(DataError, match="s3://stores/careless cannot hold a store: its server let two writers"):
            publish(store, "s0", "x")
        assert open_bucket("s3://stores/careless").list("manifests") == []


@pytest.mark.parametrize(
    ("ignored", "says"),
    [("replace", "ignores `If-Match`"), ("race", "writers at once created the same object")],
)
def test_every_promise_is_looked_at(bucket, monkeypatch, ignored, says):
    """A server that keeps some of them, and one whose conditions fail under load."""
    create = Bucket.create

    def careless(own, path, data, *_):
        own.put(path, data)
        return own.get(path).tag

    if ignored == "replace":
        monkeypatch.setattr(Bucket, "replace", careless)
    else:
        monkeypatch.setattr(Bucket, "create", lambda o, p, d: (careless if p.endswith("race") else create)(o, p, d))
    with pytest.raises(DataError, match=says):
        probe(bucket)


@pytest.mark.processes
def test_the_preflight_of_a_project_refuses_such_a_server(tmp_path):
    config = load_config(write_project(tmp_path, store="s3://stores/careless"))
    with open_careless_bucket("stores", tmp_path / "nanio"):
        look = Snapshot(Project(config))
        pending = Pending.of(config, list_steps(look), None)
        found = {(need.what, need.of): need for need in place_requirements(look, pending, {}, write=True)}
    assert found["conditional writes", "store"].state == "error"
    assert found["write access", "local_folder"].found == str(config.local_root)

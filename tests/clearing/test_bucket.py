"""In a bucket, a version that goes is retired first: its files are there for a day, for those who read them."""

import json
from datetime import timedelta

import pytest

from distill_dagster.clearing.versions import WRITTEN, VersionsToClear
from distill_dagster.config.reading import load_config
from distill_dagster.errors import DataError
from distill_dagster.lineage.project import Project
from distill_dagster.store.artefacts import Store
from distill_dagster.store.objects.lease import leased
from distill_dagster.store.places import open_store
from distill_dagster.teachers.responses import Responses
from testing import object_store
from testing.api_project import write_api_project
from testing.clearing import LATER, MUCH_LATER, NAMES, NOWHERE, answer, clear, publish, store_replies, text_of

pytestmark = pytest.mark.processes
A = "raw_dataset/a"


@pytest.fixture(scope="module", autouse=True)
def server():
    with object_store.open_bucket("stores") as client:
        yield client


@pytest.fixture
def project(tmp_path) -> Project:
    return Project(load_config(write_api_project(tmp_path, NOWHERE, shards=1, store=f"s3://stores/{tmp_path.name}")))


def look(project: Project) -> VersionsToClear:
    return VersionsToClear.look(project.store, project.config, LATER)


def going(project: Project) -> set[str]:
    return {version.data_version for version in look(project).going}


def elsewhere(project: Project, tmp_path) -> Store:
    """The store as another machine sees it."""
    return open_store(project.config.store, tmp_path / "elsewhere")


def test_an_old_version_goes_and_who_reads_it_has_a_day(project, tmp_path):
    publish(project.store, A, "old")
    reader = elsewhere(project, tmp_path).get("raw_dataset", "a")
    publish(project.store, A, "new")
    found = look(project).part()
    assert (found.lots[0].count, found.lots[0].size) == (1, 2 * 3000)
    assert [lot.count for lot in found.delete()] == [1, 0]
    assert project.store.previous("raw_dataset", "a") is None
    assert text_of(project.store.get("raw_dataset", "a")) == "new"
    assert text_of(reader) == "old", "its files are still there"
    assert going(project) == set()
    assert not look(project).unnamed, "they are no day old"
    assert len(project.store.backend.sweep(timedelta(seconds=-1))) == len(NAMES)
    assert text_of(elsewhere(project, tmp_path).get("raw_dataset", "a")) == "new"
    publish(project.store, A, "newest")
    assert text_of(project.store.previous("raw_dataset", "a")) == "new"


def test_what_is_needed_or_being_read_stays(project):
    publish(project.store, A, "r1")
    publish(project.store, "teacher_outputs/a", "t1", raw_dataset="r1")
    publish(project.store, "eval_report", "e1")
    for key, data in ((A, "r2"), ("eval_report", "e2")):
        publish(project.store, key, data)
    assert going(project) == {"e1"}, "the answers were made from the old rows"
    publish(project.store, "teacher_outputs/a", "t2", raw_dataset="r2")
    assert going(project) == {"e1", "r1", "t1"}
    with leased(project.store.backend.bucket, "teacher_outputs/a"):
        assert going(project) == {"e1"}
    with leased(project.store.backend.bucket, "eval_report"):
        assert going(project) == set(), "a report is made from nearly all"


def test_what_is_published_or_written_between_the_look_and_the_deletion_is_left_alone(project):
    for key in (A, "raw_dataset/b"):
        publish(project.store, key, "1")
        publish(project.store, key, "2")
    part = look(project).part()
    publish(project.store, A, "3")
    with leased(project.store.backend.bucket, "raw_dataset/b"):
        gone, _, missed = part.delete()
    assert (gone.count, missed.count, missed.why) == (0, 2, WRITTEN)
    assert text_of(project.store.previous("raw_dataset", "a")) == "2"
    assert text_of(project.store.previous("raw_dataset", "b")) == "1"


def test_replies_to_rows_that_are_gone_go_there_too(project):
    responses = Responses(project.responses)
    store_replies(responses, "one", [answer(n) for n in (1, 2, 100, 101)])
    clear(project, LATER)
    lots = clear(project, MUCH_LATER)
    assert [lot.count for lot in lots if lot.kind == "reply"] == [2]
    found = Responses(project.responses).find(answer(n).request_hash for n in (1, 2, 100, 101))
    assert found.keys() == {answer(n).request_hash for n in (1, 2)}
    assert Responses(project.responses).spent() == 2.0


@pytest.mark.parametrize(
    "damage",
    [
        lambda document: [],
        lambda document: {**document, "manifest": {}},
        lambda document: {**document, "previous": []},
        lambda document: {**document, "retired": {"v": "yesterday"}},
        lambda document: {**document, "manifest": {**document["manifest"], "created_at": "yesterday"}},
    ],
    ids=["a list", "an empty manifest", "a list before", "no time of a retired one", "no time"],
)
def test_a_damaged_object_of_an_artefact_is_named(damage, project):
    publish(project.store, A, "only")
    bucket, path = project.store.backend.bucket, f"manifests/{A}.json"
    bucket.put(path, json.dumps(damage(json.loads(bucket.get(path).data))).encode())
    with pytest.raises(DataError, match=A):
        look(project)

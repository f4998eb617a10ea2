"""Old versions go; what is current, what something kept was made from, and what may be read stays."""

import itertools
import json
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from distill_dagster.clearing.lineages import READ, RELEASED, must_stay
from distill_dagster.clearing.specs import Rules
from distill_dagster.clearing.versions import WRITTEN, VersionsToClear
from distill_dagster.errors import DataError
from distill_dagster.store.artefacts import Store
from distill_dagster.store.old_versions import LocalOldVersions
from testing.clearing import LATER, publish, release, text_of
from tests.lineage.test_older_store import OLD

A, STUDENT = "raw_dataset/a", "student_checkpoint"


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def look(store, tiny_config):
    """Call it for what goes and what stays, by these rules."""
    return lambda rules=LATER: VersionsToClear.look(store, tiny_config, rules)


def going(found: VersionsToClear) -> set[str]:
    """The data versions of what goes."""
    return {version.data_version for version in found.going}


def reasons(found: VersionsToClear) -> dict[str, int]:
    """Why versions stay, and how many."""
    return {lot.why: lot.count for lot in found.part().lots if lot.why}


def test_a_version_before_goes_when_it_is_old_and_the_current_one_stays_whole(store, look):
    publish(store, A, "old")
    publish(store, A, "new")
    publish(store, "raw_dataset/b", "only")
    found = look()
    (gone, *_) = found.part().lots
    assert (gone.count, gone.size) == (1, 2 * 3000)
    assert going(found) == {"old"}
    assert reasons(found) == {"it is current": 2}
    assert [lot.count for lot in found.part().delete()] == [1, 0]
    assert text_of(store.get("raw_dataset", "a")) == "new"
    assert store.previous("raw_dataset", "a") is None
    assert [path.name for path in (store.folder("raw_dataset", "a") / "versions").iterdir()] == [
        store.get("raw_dataset", "a").version
    ]
    assert going(look()) == set(), "a second look finds nothing"
    assert text_of(publish(store, A, "newest")) == "newest"
    assert text_of(store.previous("raw_dataset", "a")) == "new"


def test_a_version_that_was_replaced_lately_or_is_among_the_newest_stays(store, look):
    publish(store, A, "old")
    publish(store, A, "new")
    assert reasons(look(Rules(now=LATER.now, days=41))) == {
        "it was replaced less than 41 days ago": 1,
        "it is current": 1,
    }
    assert reasons(look(Rules(now=LATER.now, keep=2))) == {"it is among the newest 2": 1, "it is current": 1}


def test_what_a_current_artefact_was_made_from_stays_until_that_is_replaced(store, look):
    publish(store, A, "r1")
    publish(store, "teacher_outputs/a", "t1", raw_dataset="r1")
    publish(store, "validated_synthetic_set", "s1", raw_dataset={"a": "r1"}, teacher_outputs={"a": "t1"})
    publish(store, A, "r2")
    publish(store, "teacher_outputs/a", "t2", raw_dataset="r2")
    assert going(look()) == set()
    assert reasons(look())[READ] == 2
    publish(store, "validated_synthetic_set", "s2", raw_dataset={"a": "r2"}, teacher_outputs={"a": "t2"})
    assert going(look()) == {"r1", "t1", "s1"}


def test_of_two_versions_with_the_same_content_the_current_one_will_do(store, look):
    publish(store, A, "r1")
    publish(store, "teacher_outputs/a", "t1", raw_dataset="r1")
    publish(store, A, "r1")
    assert going(look()) == {"r1"}


def lineage(store: Store, number: int) -> None:
    """Everything from a shard to a report and an export, in one version."""
    n = str(number)
    publish(store, A, f"raw{n}")
    publish(store, "eval_dataset", f"test{n}")
    publish(store, "validated_synthetic_set", f"set{n}", raw_dataset={"a": f"raw{n}"}, eval_dataset=f"test{n}")
    publish(store, "student_base", f"base{n}")
    publish(store, STUDENT, f"student{n}", validated_synthetic_set=f"set{n}", student_base=f"base{n}")
    publish(store, "student_benchmark", f"bench{n}", student_checkpoint=f"student{n}", eval_dataset=f"test{n}")
    publish(store, "eval_report", f"report{n}", student_benchmark=f"bench{n}", student_checkpoint=f"student{n}")
    publish(store, "student_export_gguf_q8_0", f"export{n}", student_checkpoint=f"student{n}")
    publish(store, "gold_set", f"gold{n}", eval_dataset="another")


@pytest.mark.parametrize(
    ("champions", "first"),
    [(["student1"], "student1"), (["student2", "student1"], "student9"), (["student2"], "student1")],
    ids=["the champion", "one that rollback reaches", "the first release"],
)
def test_all_that_a_released_student_came_from_and_was_judged_with_stays(store, look, champions, first):
    lineage(store, 1)
    release(store, champions, first)
    lineage(store, 2)
    found = look()
    assert going(found) == {"gold1"}, "no student learned it"
    assert reasons(found)[RELEASED] == 8
    release(store, ["student2"], "student2")
    assert len(look().going) == 9 + 1, "the release before goes too"


def test_the_manifests_of_a_real_run_lead_from_a_student_to_all_that_it_came_from_and_was_judged_with():
    named = LocalOldVersions(OLD / "store").named()
    (student,) = (version for version in named if version.key == STUDENT)
    stays = must_stay(named, {student.data_version})
    assert {version.key for version, why in stays.items() if why == RELEASED} == {version.key for version in named}


def test_what_the_maker_of_an_artefact_may_read_stays_while_it_is_made(store, look):
    for key in (A, "teacher_outputs/a", STUDENT):
        publish(store, key, f"{key}1")
        publish(store, key, f"{key}2")
    with store.backend.writing("teacher_outputs/a"):
        found = look()
        assert going(found) == {f"{STUDENT}1"}, "it comes later in the lineage"
        assert reasons(found)["teacher_outputs/a is being made, and may read it"] == 2
    assert len(going(look())) == 3


def test_files_that_no_manifest_names_go_unless_somebody_writes_the_artefact(store, look):
    publish(store, A, "r1")
    folder = store.folder("raw_dataset", "a")
    for name in ("versions/dead-1234", ".scratch-dead"):
        (folder / name).mkdir()
        (folder / name / "half.txt").write_text("half")
    with store.backend.writing(A):
        assert not look().unnamed
        (folder / ".scratch-dead").rename(folder / "scratch-dead")  # the writer removes it at its end
    (folder / "scratch-dead").rename(folder / ".scratch-dead")
    found = look()
    assert {(left.key, left.place, left.size) for left in found.unnamed} == {
        (A, "dead-1234", 4),
        (A, ".scratch-dead", 4),
    }
    assert [lot.count for lot in found.part().delete()] == [0, 2]
    assert {path.name for path in folder.iterdir()} >= {"manifest.json", "versions"}
    assert not (folder / ".scratch-dead").exists()
    assert text_of(store.get("raw_dataset", "a")) == "r1"


def test_what_is_published_or_written_between_the_look_and_the_deletion_is_left_alone(store, look):
    for key in (A, "raw_dataset/b"):
        publish(store, key, "1")
        publish(store, key, "2")
    part = look().part()
    publish(store, A, "3")
    with store.backend.writing("raw_dataset/b"):
        gone, _, missed = part.delete()
    assert (gone.count, missed.count, missed.why) == (0, 2, WRITTEN)
    assert text_of(store.get("raw_dataset", "a")) == "3"
    assert text_of(store.previous("raw_dataset", "a")) == "2"
    assert text_of(store.previous("raw_dataset", "b")) == "1"


@pytest.mark.parametrize("name", ["manifest.json", "previous.json"])
@pytest.mark.parametrize(
    "damage",
    [
        lambda manifest: [],
        lambda manifest: {},
        lambda manifest: {name: value for name, value in manifest.items() if name != "inputs"},
        lambda manifest: {**manifest, "created_at": "yesterday"},
        lambda manifest: {**manifest, "created_at": "2026-01-01T00:00:00"},
        lambda manifest: {**manifest, "version": "../.."},
    ],
    ids=["a list", "an empty object", "no inputs", "no time", "no time zone", "a way out"],
)
def test_a_damaged_manifest_is_named_and_nothing_goes(damage, name, store, look):
    publish(store, A, "old")
    publish(store, A, "new")
    path = store.folder("raw_dataset", "a") / name
    path.write_text(json.dumps(damage(json.loads(path.read_text()))))
    with pytest.raises(DataError, match=f"the manifest of {A} is damaged"):
        look()


def test_what_a_writer_removes_during_the_look_is_none(store, look):
    publish(store, A, "r1")
    folder, ended = store.folder("raw_dataset", "a"), threading.Event()

    def write() -> None:
        for n in itertools.count():
            if ended.is_set():
                return
            scratch = folder / f".scratch-{n}"
            scratch.mkdir()
            for m in range(20):
                (scratch / f"{m}.txt").write_text("half")
            shutil.rmtree(scratch)

    with ThreadPoolExecutor() as pool:
        writing = pool.submit(write)
        try:
            for _ in range(100):
                assert reasons(look()) == {"it is current": 1}
        finally:
            ended.set()
        writing.result()

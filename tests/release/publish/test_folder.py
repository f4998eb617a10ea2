"""A release in a folder: copied beside the current one, then switched in one step."""

import shutil
from pathlib import Path

import pytest

from distill_dagster.config import FolderPlaceConfig
from distill_dagster.errors import PublishError
from distill_dagster.release.publish.bundle import RECORD_FILE
from distill_dagster.release.publish.folder import look_at_folder
from testing.publishing import PROJECT, ReleasedFiles, publish, publish_until, tree


@pytest.fixture
def publish_here(tmp_path):
    """Publish a release into the folder `place`."""
    return lambda released: publish(spec_of(released, tmp_path))


def look(folder: Path) -> str:
    return look_at_folder(FolderPlaceConfig(path=str(folder / "place")), PROJECT, whole=False)


def spec_of(released: ReleasedFiles, folder: Path):
    return released.spec(folder / "out", folder={"path": str(folder / "place")})


def test_the_current_link_leads_to_the_files(first, publish_here, tmp_path):
    place = publish_here(first)
    assert (place.state, place.uploaded) == ("published", len(first.contents))
    assert place.url == str(tmp_path / "place/current")
    assert tree(Path(place.url)) == first.published


def test_the_same_release_is_not_copied_again(first, publish_here, tmp_path):
    publish_here(first)
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "place").rglob("*")}
    again = publish_here(first)
    assert (again.state, again.uploaded) == ("already there", 0)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "place").rglob("*")} == times


def test_a_rollback_switches_back_without_a_copy(first, second, publish_here, tmp_path):
    publish_here(first)
    publish_here(second)
    assert tree(tmp_path / "place/current") == second.published
    back = publish_here(first)
    assert (back.state, back.uploaded) == ("published", 0)
    assert tree(tmp_path / "place/current") == first.published


def test_another_card_of_the_same_student_is_another_release(first, publish_here, tmp_path):
    before = publish_here(first)
    after = publish_here(ReleasedFiles(tmp_path / "other", "a", **{"README.md": "---\n---\nanother card"}))
    assert after.release != before.release
    assert (tmp_path / "place/current/README.md").read_text().endswith("another card")


def test_what_the_previous_release_has_is_linked_and_not_copied(first, second, publish_here, tmp_path):
    publish_here(first)
    assert publish_here(second).uploaded == 2, "the weights"
    before, after = tmp_path / "place/releases" / first.bundle.release, tmp_path / "place/current"
    same = {path for path in tree(after) if (before / path).samefile(after / path)}
    assert same == first.contents.keys() - {path for path in first.contents if path.endswith(".safetensors")}
    assert (tree(before), tree(after)) == (first.published, second.published)


def test_a_file_that_changed_at_the_place_is_not_linked(first, second, publish_here, tmp_path):
    publish_here(first)
    (tmp_path / "place/current/NOTICE").write_text("A NOTICE")
    assert publish_here(second).uploaded == 3
    assert tree(tmp_path / "place/current") == second.published


def test_a_disk_without_hard_links_gets_copies(first, second, publish_here, tmp_path, monkeypatch):
    def refuse(source, target):
        raise PermissionError(1, "Operation not permitted")

    publish_here(first)
    monkeypatch.setattr("os.link", refuse)
    assert publish_here(second).uploaded == len(second.contents)
    assert tree(tmp_path / "place/current") == second.published


@pytest.mark.processes
@pytest.mark.parametrize(
    ("target", "number", "left"), [("shutil:copyfile", 2, 1), ("os:rename", 1, 0), ("os:replace", 2, 0)]
)
def test_a_kill_shows_nothing_half_and_the_next_run_goes_on(
    first, second, publish_here, tmp_path, target, number, left
):
    publish_here(first)
    publish_until(spec_of(second, tmp_path), target, number)
    assert tree(tmp_path / "place/current") == first.published
    place = publish_here(second)
    assert (place.state, place.uploaded) == ("published", left)
    assert tree(tmp_path / "place/current") == second.published
    assert {path.name for path in (tmp_path / "place").iterdir()} == {"current", "releases"}
    assert {path.name for path in (tmp_path / "place/releases").iterdir()} == {
        released.bundle.release for released in (first, second)
    }


def test_the_part_of_a_release_that_another_one_overtook_is_deleted(first, publish_here, tmp_path):
    part = tmp_path / "place/releases/.c00000000000-00000000.part"
    part.mkdir(parents=True)
    (part / "NOTICE").write_text("a not")
    publish_here(first)
    assert [path.name for path in (tmp_path / "place/releases").iterdir()] == [first.bundle.release]


def test_a_file_that_was_half_copied_is_copied_again(first, publish_here, tmp_path):
    part = tmp_path / f"place/releases/.{first.bundle.release}.part"
    part.mkdir(parents=True)
    (part / "NOTICE").write_text("a not")
    assert publish_here(first).uploaded == len(first.contents)
    assert tree(tmp_path / "place/current") == first.published


def test_a_changed_file_at_the_place_is_named(first, publish_here, tmp_path):
    publish_here(first)
    (tmp_path / "place/current/NOTICE").write_text("cut")
    with pytest.raises(PublishError, match=r"NOTICE has 3 bytes, not 8: something else changed it; delete"):
        publish_here(first)


@pytest.mark.parametrize("name", ["current", "{}", ".{}.part"])
def test_a_folder_of_another_project_is_refused(first, publish_here, tmp_path, name):
    """Also while it publishes there for the first time, when `current` does not exist yet."""
    place = publish_here(first)
    record = Path(place.url) / RECORD_FILE
    record.write_text(record.read_text().replace('"project": "support"', '"project": "sales"'))
    if name != "current":
        (tmp_path / "place/current").unlink()
        target = tmp_path / "place/releases" / first.bundle.release
        target.rename(target.with_name(name.format(target.name)))
    with pytest.raises(PublishError, match="holds a release of the project sales, and this one is support"):
        publish_here(ReleasedFiles(tmp_path / "other", "b"))
    with pytest.raises(PublishError, match="holds a release of the project sales"):
        look(tmp_path)


@pytest.mark.parametrize("taken", ["current", "link", "gone", "releases"])
def test_what_somebody_else_has_there_is_left_alone(first, publish_here, tmp_path, taken):
    root = tmp_path / "place"
    folder = {"current": root / "current", "releases": root / "releases/v1"}.get(taken, tmp_path / "theirs")
    root.mkdir()
    folder.mkdir(parents=True)
    (folder / "mine.txt").write_text("mine")
    if taken in ("link", "gone"):
        (root / "current").symlink_to({"link": "../theirs", "gone": "../unmounted/v1"}[taken])
    before = {path: path.is_symlink() and path.readlink() for path in root.rglob("*")}
    with pytest.raises(PublishError, match="is there, and is no release of this project: move it away"):
        publish_here(first)
    with pytest.raises(PublishError, match="is there, and is no release of this project: move it away"):
        look(tmp_path)
    assert {path: path.is_symlink() and path.readlink() for path in root.rglob("*")} == before


def test_files_beside_the_releases_stay(first, publish_here, tmp_path):
    (tmp_path / "place/lost+found").mkdir(parents=True)
    (tmp_path / "place/README").write_text("mine")
    assert publish_here(first).state == "published"
    assert (tmp_path / "place/README").read_text() == "mine"


def test_a_release_that_was_deleted_is_published_again(first, publish_here, tmp_path):
    shutil.rmtree(Path(publish_here(first).url).resolve())
    assert publish_here(first).uploaded == len(first.contents)
    assert tree(tmp_path / "place/current") == first.published


def test_a_path_that_cannot_be_read_is_named(first, tmp_path):
    place = {"path": str(tmp_path / ("x" * 300))}
    with pytest.raises(PublishError, match=r"x cannot be read or written \(File name too long\)"):
        publish(first.spec(tmp_path / "out", folder=place))
    for whole in (False, True):
        with pytest.raises(PublishError, match=r"x cannot be read or written \(File name too long\)"):
            look_at_folder(FolderPlaceConfig(**place), PROJECT, whole=whole)

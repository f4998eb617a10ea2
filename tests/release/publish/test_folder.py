"""A release in a folder: copied beside the current one, then switched in one step."""

from pathlib import Path

import pytest

from distill_dagster.errors import PublishError
from distill_dagster.release.publish.bundle import RECORD_FILE
from testing.publishing import ReleasedFiles, publish, publish_until, tree


@pytest.fixture
def publish_here(tmp_path):
    """Publish a release into the folder `place`."""
    return lambda released: publish(spec_of(released, tmp_path))


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


@pytest.mark.processes
@pytest.mark.parametrize(
    ("target", "number", "kept"), [("shutil:copyfile", 3, 2), ("os:rename", 1, 7), ("os:replace", 1, 7)]
)
def test_a_kill_shows_nothing_half_and_the_next_run_goes_on(
    first, second, publish_here, tmp_path, target, number, kept
):
    publish_here(first)
    publish_until(spec_of(second, tmp_path), target, number)
    assert tree(tmp_path / "place/current") == first.published
    place = publish_here(second)
    assert (place.state, place.uploaded) == ("published", len(second.contents) - kept)
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


def test_a_folder_of_another_project_is_refused(first, publish_here, tmp_path):
    place = publish_here(first)
    record = Path(place.url) / RECORD_FILE
    record.write_text(record.read_text().replace('"project": "support"', '"project": "sales"'))
    with pytest.raises(PublishError, match="holds a release of the project sales, and this one is support"):
        publish_here(ReleasedFiles(tmp_path / "other", "b"))


def test_a_name_that_is_taken_is_left_alone(first, publish_here, tmp_path):
    (tmp_path / "place/current").mkdir(parents=True)
    (tmp_path / "place/current/mine.txt").write_text("mine")
    with pytest.raises(PublishError, match="the name is taken"):
        publish_here(first)
    assert (tmp_path / "place/current/mine.txt").read_text() == "mine"

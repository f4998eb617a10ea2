"""A release in a repository of a hub: the real client against a server of its API on loopback."""

import pytest
from huggingface_hub import HfApi

from distill_dagster.config import HubPlaceConfig
from distill_dagster.errors import PublishError
from distill_dagster.release.publish.bundle import RECORD_FILE
from distill_dagster.release.publish.hub import look_at_hub
from testing.hub_server import HubServer
from testing.publishing import PROJECT, ReleasedFiles, publish, publish_elsewhere, publish_until

REPO = "acme/support-student"
VARIABLE = "TOKEN_OF_THE_TEST"


@pytest.fixture
def hub(monkeypatch):
    with HubServer() as server:
        monkeypatch.setenv(VARIABLE, server.token)
        monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")  # the server speaks the LFS protocol; read by child processes
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
        yield server


@pytest.fixture
def place(hub) -> dict:
    return {"repo": REPO, "token_from": VARIABLE, "endpoint": hub.url}


@pytest.fixture
def publish_here(place, tmp_path):
    """Publish a release in the repository; `how` are fields of the place."""
    return lambda released, **how: publish(released.spec(tmp_path / "out", hub={**place, **how}))


def test_one_commit_holds_all_files_and_a_tag_names_it(first, publish_here, hub):
    place = publish_here(first)
    repo = hub.repos[REPO]
    assert (place.state, place.uploaded, place.revision) == ("published", len(first.contents), repo.head)
    assert place.url == f"{hub.url}/{REPO}/tree/{first.bundle.release}"
    assert hub.files(REPO) == hub.files(REPO, first.bundle.release) == first.published
    assert [message for _, _, message in repo.commits] == ["initial commit", f"Release {first.bundle.release}"]
    assert repo.private


def test_the_same_release_sends_no_file_again(first, publish_here, hub):
    publish_here(first)
    sent, asked = list(hub.uploads), len(hub.requests)
    again = publish_here(first)
    assert (again.state, again.uploaded, again.revision) == ("already there", 0, hub.repos[REPO].head)
    assert hub.uploads == sent
    assert len(hub.repos[REPO].commits) == 2
    assert not [line for line in hub.requests[asked:] if "commit" in line or "preupload" in line or "lfs" in line]


def test_the_next_release_deletes_only_what_the_one_before_had(first, publish_here, hub, tmp_path):
    publish_here(first)
    repo = hub.repos[REPO]
    repo.add({**repo.at("main")[1], "assets/logo.svg": b"by hand"}, "a logo")
    second = ReleasedFiles(tmp_path / "second", "b")
    del second.contents["NOTICE"]
    publish_here(second)
    assert hub.files(REPO) == {**second.published, "assets/logo.svg": b"by hand"}
    assert hub.files(REPO, first.bundle.release) == first.published


def test_a_rollback_commits_the_earlier_files_without_sending_the_large_ones(first, second, publish_here, hub):
    publish_here(first)
    publish_here(second)
    sent = list(hub.uploads)
    back = publish_here(first)
    assert (back.state, hub.uploads) == ("published", sent)
    assert hub.files(REPO) == first.published


@pytest.mark.processes
@pytest.mark.parametrize(
    ("target", "number", "sent"),
    [
        ("huggingface_hub._commit_api:lfs_upload", 2, 1),
        ("huggingface_hub._commit_api:_send_commit", 1, 2),
    ],
)
def test_a_kill_before_the_commit_shows_nothing_and_the_next_run_goes_on(
    first, second, publish_here, place, hub, tmp_path, target, number, sent
):
    publish_here(first)
    before = len(hub.uploads)
    publish_until(second.spec(tmp_path / "out", hub=place), target, number)
    assert hub.files(REPO) == first.published
    assert len(hub.uploads) == before + sent
    assert publish_elsewhere(second.spec(tmp_path / "out", hub=place)).state == "published"
    assert hub.files(REPO) == second.published
    assert len(set(hub.uploads)) == len(hub.uploads) == before + 2


@pytest.mark.processes
def test_a_kill_between_commit_and_tag_leaves_only_the_tag_to_do(first, place, hub, tmp_path):
    spec = first.spec(tmp_path / "out", hub=place)
    publish_until(spec, "huggingface_hub:HfApi.create_tag")
    assert (hub.files(REPO), hub.repos[REPO].tags) == (first.published, {})
    assert publish(spec).state == "already there"
    assert hub.repos[REPO].tags == {first.bundle.release: hub.repos[REPO].head}


def test_a_commit_of_somebody_else_meanwhile_is_not_overwritten(first, publish_here, hub):
    hub.before_commit = lambda repo: repo.add({**repo.at("main")[1], "theirs.txt": b"x"}, "theirs")
    with pytest.raises(PublishError, match="somebody else committed at the same time: run again"):
        publish_here(first)
    assert hub.files(REPO) == {"theirs.txt": b"x"}


def test_a_public_repository_is_refused_where_it_should_be_private(first, publish_here, hub):
    publish_here(first, private=False)
    with pytest.raises(PublishError, match="is public, and `private` is true"):
        publish_here(first)


def test_a_gitignore_that_would_leave_files_out_is_refused(first, second, publish_here, hub):
    publish_here(first)
    repo = hub.repos[REPO]
    repo.add({**repo.at("main")[1], ".gitignore": b"*.json"}, "ignores")
    with pytest.raises(PublishError, match=r"has a \.gitignore, by which the hub would leave out files"):
        publish_here(second)


@pytest.mark.parametrize("theirs", ["README.md", "config.json", "weights.gguf"])
def test_a_repository_with_files_of_somebody_else_is_refused(first, publish_here, place, hub, theirs):
    HfApi(hub.url, hub.token).create_repo(REPO, private=True)
    hub.repos[REPO].add({**hub.repos[REPO].at("main")[1], theirs: b"theirs"}, "by hand")
    with pytest.raises(PublishError, match=f"{REPO} holds {theirs}, and no distill_release.json"):
        look_at_hub(HubPlaceConfig(**place), PROJECT, whole=True)
    with pytest.raises(PublishError, match=f"{REPO} holds {theirs}, and no distill_release.json"):
        publish_here(first)
    assert (hub.files(REPO), hub.uploads) == ({theirs: b"theirs"}, [])


def test_an_empty_repository_is_taken(first, publish_here, place, hub):
    HfApi(hub.url, hub.token).create_repo(REPO, private=True)
    assert look_at_hub(HubPlaceConfig(**place), PROJECT, whole=True) == f"{REPO} can be written"
    assert publish_here(first).state == "published"


def test_a_file_that_somebody_else_added_is_not_replaced(first, publish_here, hub, tmp_path):
    publish_here(first)
    repo = hub.repos[REPO]
    repo.add({**repo.at("main")[1], "chat_template.jinja": b"by hand"}, "a template")
    second = ReleasedFiles(tmp_path / "second", "b", **{"chat_template.jinja": "the student's"})
    with pytest.raises(PublishError, match=r"somebody else added chat_template\.jinja to .*: move them away"):
        publish_here(second)
    assert hub.files(REPO)["chat_template.jinja"] == b"by hand"


def test_another_projects_repository_is_refused(first, second, publish_here, hub):
    publish_here(first)
    repo = hub.repos[REPO]
    files = dict(repo.at("main")[1])
    files[RECORD_FILE] = files[RECORD_FILE].replace(b'"project": "support"', b'"project": "sales"')
    repo.add(files, "theirs")
    with pytest.raises(PublishError, match="holds a release of the project sales"):
        publish_here(second)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"token": None}, f"expected in the environment variable {VARIABLE}, which is not set"),
        (
            {"token": "another-token-\nof-somebody"},
            f"{VARIABLE} holds characters that no token has",
        ),
        ({"token": "another-token-of-somebody"}, f"does not accept the token in {VARIABLE}"),
        ({"read_only": True}, "may not do this: give it write access"),
    ],
)
def test_a_token_that_cannot_write_is_named_and_not_shown(first, publish_here, place, hub, monkeypatch, change, said):
    publish_here(first)
    if "token" in change:
        monkeypatch.setenv(VARIABLE, change["token"]) if change["token"] else monkeypatch.delenv(VARIABLE)
    hub.read_only = change.get("read_only", False)
    with pytest.raises(PublishError, match=said) as looked:
        look_at_hub(HubPlaceConfig(**place), PROJECT, whole=True)
    assert hub.token not in str(looked.value)
    assert "another-token" not in str(looked.value)


def test_the_preflight_writes_nothing(first, publish_here, place, hub):
    config = HubPlaceConfig(**place)
    assert look_at_hub(config, PROJECT, whole=True) == f"{REPO} does not exist, and will be created"
    assert hub.repos == {}
    publish_here(first)
    assert look_at_hub(config, PROJECT, whole=True) == f"{REPO} can be written"
    asked = len(hub.requests)
    assert look_at_hub(config, PROJECT, whole=False) == f"{VARIABLE} is set"
    assert len(hub.requests) == asked
    with pytest.raises(PublishError, match=r"the token in \w+ belongs to acme, not to other: name a repository"):
        look_at_hub(config.model_copy(update={"repo": "other/x"}), PROJECT, whole=True)

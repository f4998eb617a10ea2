"""Publish to a repository of the Hugging Face hub: all files in one commit, then a tag with the release's name.

Large files go to the hub's storage first, where they are found by their hash: a run that was killed does not send them
again. Nobody sees them before the commit. The commit also deletes files of the previous release that this one lacks;
files that somebody else added stay. It is refused if the repository has moved on since it was read, if another file
would be overwritten, and if the repository holds files and no record of a release: then they are somebody else's.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill_dagster.config import HubPlaceConfig
from distill_dagster.errors import PublishError, chain_of
from distill_dagster.models.quiet import quietly
from distill_dagster.release.gate import short
from distill_dagster.release.publish.bundle import RECORD_FILE, Bundle, ReleaseRecord, read_record, require_own
from distill_dagster.release.publish.messages import first_line
from distill_dagster.release.publish.specs import PublishedPlace

if TYPE_CHECKING:
    from huggingface_hub import HfApi

IGNORE_FILE = ".gitignore"
OF_GIT = {".gitattributes", IGNORE_FILE}  # the hub makes the first one itself
SHOWN_FILES = 3  # in a message


def publish_to_hub(place: HubPlaceConfig, bundle: Bundle) -> PublishedPlace:
    """Make the bundle the content of the repository's main branch.

    Raises:
        PublishError: no token is set, the repository cannot be read or written, is public although it should be
            private, or holds a release of another project, or files of somebody else.
    """
    token = read_token(place)
    with _explained(place, token):
        api = _api(place, token)
        head = _head_of(api, place) or _created(api, place)
        before = _own_record(api, place, head, bundle.project)
        is_new = before != bundle.record
        commit = _commit(api, place, bundle, before, head.sha) if is_new else head.sha
        api.create_tag(place.repo, tag=bundle.release, revision=commit, exist_ok=True)
    held = before.files if before else {}
    uploaded = sum(held.get(name) != digest for name, digest in bundle.files.items())
    url = f"{api.endpoint}/{place.repo}/tree/{bundle.release}"
    return bundle.published("hub", place.repo, url, is_new=is_new, uploaded=uploaded, revision=commit)


def look_at_hub(place: HubPlaceConfig, project: str, whole: bool) -> str:
    """What was found: that the token is set, and with `whole`, that it may write to the repository or create it.

    Raises:
        PublishError: as `publish_to_hub`.
    """
    token = read_token(place)
    if not whole:
        return f"{place.token_from} is set"
    with _explained(place, token):
        api = _api(place, token)
        head = _head_of(api, place)
        if head is None:
            _require_owner(api, place)
            return f"{place.repo} does not exist, and will be created"
        api.auth_check(place.repo, write=True)
        _own_record(api, place, head, project)
    return f"{place.repo} can be written"


def read_token(place: HubPlaceConfig) -> str:
    """The token from its environment variable; PublishError if it is not set, or holds no token."""
    token = os.environ.get(place.token_from, "").strip()
    if not token:
        is_empty = "is empty" if place.token_from in os.environ else "is not set"
        raise PublishError(
            f"{place.repo}: the token is expected in the environment variable {place.token_from}, which {is_empty}: "
            "export it, or name another one in `token_from`"
        )
    if not (token.isascii() and token.isprintable()):
        raise PublishError(
            f"{place.repo}: the environment variable {place.token_from} holds characters that no token has (line "
            "breaks, or letters outside ASCII): copy the token again"
        )
    return token


def _api(place: HubPlaceConfig, token: str) -> "HfApi":
    from huggingface_hub import HfApi

    return HfApi(endpoint=place.endpoint and place.endpoint.rstrip("/"), token=token)


def _head_of(api: "HfApi", place: HubPlaceConfig) -> Any | None:
    """The repository's main branch as the hub describes it; None if the repository does not exist."""
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        return api.repo_info(place.repo)
    except RepositoryNotFoundError:
        return None


def _created(api: "HfApi", place: HubPlaceConfig) -> Any:
    api.create_repo(place.repo, private=place.private, exist_ok=True)
    return api.repo_info(place.repo)


def _require_private(place: HubPlaceConfig, head: Any) -> None:
    if place.private and not head.private:
        raise PublishError(
            f"{place.repo} is public, and `private` is true: make the repository private, or set `private: false` if "
            "everyone may read the student"
        )


def _require_owner(api: "HfApi", place: HubPlaceConfig) -> None:
    """The repository does not exist: its owner has to be the token's user, or one of the user's organizations."""
    found = api.whoami()
    names = [found["name"], *(org["name"] for org in found.get("orgs", []))]
    owner = place.repo.partition("/")[0]
    if owner not in names:
        raise PublishError(
            f"{place.repo} does not exist, and the token in {place.token_from} belongs to {', '.join(names)}, not to "
            f"{owner}: name a repository of theirs, or give a token of {owner}"
        )


def _own_record(api: "HfApi", place: HubPlaceConfig, head: Any, project: str) -> ReleaseRecord | None:
    """The record of the present release; PublishError if this project may not publish in the repository."""
    _require_private(place, head)
    before = _record_at(api, place, head.sha)
    require_own(before, project, place.repo)
    if before is None and (theirs := set(api.list_repo_files(place.repo, revision=head.sha)) - OF_GIT):
        raise PublishError(
            f"{place.repo} holds {_listed(theirs)}, and no {RECORD_FILE}, so this project did not publish them: name "
            "another repository, or empty this one"
        )
    return before


def _listed(names: set[str]) -> str:
    """The first names, and how many more there are."""
    first, more = sorted(names)[:SHOWN_FILES], len(names) - SHOWN_FILES
    return ", ".join(first) + (f" and {more} more" if more > 0 else "")


def _record_at(api: "HfApi", place: HubPlaceConfig, commit: str) -> ReleaseRecord | None:
    """The record that a commit holds."""
    from huggingface_hub.errors import EntryNotFoundError

    with tempfile.TemporaryDirectory() as folder:
        try:
            path = api.hf_hub_download(place.repo, RECORD_FILE, revision=commit, local_dir=folder)
        except EntryNotFoundError:
            return None
        return read_record(Path(path).read_bytes(), f"{RECORD_FILE} of {place.repo}")


def _commit(api: "HfApi", place: HubPlaceConfig, bundle: Bundle, before: ReleaseRecord | None, parent: str) -> str:
    """Commit all files at once; returns the commit's name."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    there, ours = set(api.list_repo_files(place.repo, revision=parent)), set(before.files if before else ())
    _require_room(place, bundle, there - ours)
    gone = sorted((ours - set(bundle.files)) & there)
    record = CommitOperationAdd(RECORD_FILE, bundle.record.text.encode())
    files = [CommitOperationAdd(name, bundle.folder / name) for name in bundle.files]
    return api.create_commit(
        place.repo,
        [*files, record, *(CommitOperationDelete(name) for name in gone)],
        commit_message=f"Release {bundle.release}",
        commit_description=f"The student {short(bundle.student)} of the project {bundle.project}.",
        parent_commit=parent,
    ).oid


def _require_room(place: HubPlaceConfig, bundle: Bundle, theirs: set[str]) -> None:
    """Raise PublishError if the files that somebody else added stand in the way."""
    if IGNORE_FILE in theirs:
        raise PublishError(
            f"{place.repo} has a {IGNORE_FILE}, by which the hub would leave out files of the release: delete it"
        )
    if both := theirs & set(bundle.files):
        raise PublishError(
            f"somebody else added {_listed(both)} to {place.repo}, and the release has files of these names: move them "
            "away"
        )


@contextlib.contextmanager
def _explained(place: HubPlaceConfig, token: str) -> Iterator[None]:
    """Turn the client's errors into a PublishError without the token; a failed upload is an error of any class."""
    try:
        with quietly():
            yield
    except PublishError:
        raise
    except Exception as e:  # noqa: BLE001 - the client's, httpx2's and hf_xet's; `from e` would log their requests
        answers = (getattr(cause, "response", None) for cause in chain_of(e))
        status = next((answer.status_code for answer in answers if answer is not None), None)
        raise PublishError(f"{place.repo}: {first_line(e, [token])}; {_way_out(place, status)}") from None


def _way_out(place: HubPlaceConfig, status: int | None) -> str:
    kept = "what was sent is not sent again"
    if status == 401:
        return f"the hub does not accept the token in {place.token_from}: export a valid one"
    if status == 403:
        return f"the token in {place.token_from} may not do this: give it write access to the repository"
    if status == 412:
        return f"somebody else committed at the same time: run again; {kept}"
    return f"look at the network and at `endpoint`, and run again; {kept}"

"""What the server of hub_server.py knows: repositories with their commits and tags, and large objects by their hash."""

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

FIRST = {".gitattributes": b"*.safetensors filter=lfs\n"}  # the hub's first commit


@dataclass
class HubRepo:
    """A model repository: commits with all their files, the head of `main` last, and tags."""

    private: bool
    commits: list[tuple[str, dict[str, bytes], str]] = field(default_factory=list)  # name, files, message
    tags: dict[str, str] = field(default_factory=dict)
    large: set[str] = field(default_factory=set)  # paths that are LFS objects

    @property
    def head(self) -> str:
        """The commit that `main` leads to."""
        return self.commits[-1][0]

    def at(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        """Name and files of a commit, a tag or `main`."""
        wanted = self.head if revision == "main" else self.tags.get(revision, revision)
        return next(((name, files) for name, files, _ in self.commits if name == wanted), None)

    def add(self, files: dict[str, bytes], message: str) -> str:
        """Commit these files."""
        text = repr((len(self.commits), sorted(files.items()), message)).encode()
        self.commits.append((hashlib.sha1(text).hexdigest(), files, message))
        return self.head


class HubState:
    """The repositories, the large objects, and what was asked."""

    def __init__(self, owner: str = "acme", organizations: tuple[str, ...] = (), read_only: bool = False) -> None:
        self.owner, self.organizations, self.read_only = owner, organizations, read_only
        self.token = "the-token-of-a-test"
        self.repos: dict[str, HubRepo] = {}
        self.objects: dict[str, bytes] = {}
        self.uploads: list[str] = []
        self.requests: list[str] = []
        self.before_commit: Callable[[HubRepo], object] = lambda _: None
        self.url = ""

    def files(self, repo: str, revision: str = "main") -> dict[str, bytes]:
        """Path -> bytes at a revision, without the hub's own file."""
        found = self.repos[repo].at(revision)
        assert found is not None, f"{repo} has no revision {revision}"
        return {path: body for path, body in found[1].items() if path not in FIRST}

    def commit(self, of: str, lines: list[dict[str, Any]]) -> tuple[int, Any]:
        """Apply the lines of a commit to the repository of this name, all or none."""
        repo = self.repos[of]
        files, large = dict(repo.at("main")[1]), set(repo.large)
        header = lines[0]["value"]
        self.before_commit(repo)
        if header.get("parentCommit", repo.head) != repo.head:
            return 412, {"error": "the branch has moved on"}
        for line in lines[1:]:
            kind, value = line["key"], line["value"]
            path = value["path"]
            if kind == "file":
                files[path] = base64.b64decode(value["content"])
                large.discard(path)
            elif kind == "lfsFile" and value["oid"] in self.objects:
                files[path] = self.objects[value["oid"]]
                large.add(path)
            elif kind == "deletedFile" and path in files:
                del files[path]
            else:
                return 400, {"error": f"{kind} {path}: no such object or file"}
        repo.large = large
        name = repo.add(files, header["summary"])
        return 200, {"commitUrl": f"{self.url}/{of}/commit/{name}", "commitOid": name}


def remote_name(repo: HubRepo, path: str) -> str | None:
    """The name by which the client knows that a file has not changed."""
    body = repo.at("main")[1].get(path)
    if body is None:
        return None
    return hashlib.sha256(body).hexdigest() if path in repo.large else blob_name(body)


def blob_name(body: bytes) -> str:
    """The name of a file in git."""
    return hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()

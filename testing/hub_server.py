"""A server on loopback that speaks the part of the Hugging Face hub's API with which a model is published.

    with HubServer() as hub:
        HfApi(endpoint=hub.url, token=hub.token).create_repo("acme/support", private=True)
        hub.files("acme/support")                  # path -> bytes on the main branch
        hub.uploads                                # SHA-256 of every large file that was sent, in order

Large files go through the LFS protocol (git-lfs/docs/api/batch.md): the client asks which objects are missing, sends
those, and commits their hashes. A commit is one request; it is refused if an object is missing, if `parentCommit` is
no longer the head, or if a file that it deletes does not exist. `owner` is the user's name and `organizations` are
theirs. `read_only` refuses every write with a 403.
"""

import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

from testing.hub_state import FIRST, HubRepo, HubState, blob_name, remote_name

LARGE = (".safetensors", ".bin")


class HubServer(HubState):
    """The server, in threads of this process."""

    def __enter__(self) -> "HubServer":
        handler = type("Requests", (HubRequests,), {"hub": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class HubRequests(BaseHTTPRequestHandler):
    """One connection of a client; `hub` is the server's state."""

    protocol_version = "HTTP/1.1"
    hub: HubState

    def log_message(self, *_: object) -> None:
        """Keep the tests' output clean."""

    def answer(self, status: int, body: Any = b"", **headers: str) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def do_GET(self) -> None:
        self._serve()

    do_HEAD = do_POST = do_PUT = do_GET

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self._chunked() if self.headers.get("Transfer-Encoding") == "chunked" else self.rfile.read(length)
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append(f"{self.command} {path}")
        given = self.headers.get("Authorization")
        if given != f"Bearer {self.hub.token}" and not path.startswith("/lfs/"):
            self.answer(401, {"error": given}, X_Error_Message="Invalid credentials in Authorization header")
            return
        for (command, pattern), serve in ROUTES.items():
            if self.command in command and (match := re.fullmatch(pattern, path)):
                serve(self, body, **match.groupdict())
                return
        self.answer(404, {"error": f"no such path: {path}"})

    def _chunked(self) -> bytes:
        pieces = []
        while size := int(self.rfile.readline(), 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def _repo(self, name: str) -> HubRepo | None:
        if name not in self.hub.repos:
            self.answer(404, {"error": "Repository not found"}, X_Error_Code="RepoNotFound")
        return self.hub.repos.get(name)

    def _may_write(self) -> bool:
        if self.hub.read_only:
            self.answer(403, {}, X_Error_Message="this token reads only")
        return not self.hub.read_only

    def whoami(self, body: bytes) -> None:
        organizations = [{"name": name} for name in self.hub.organizations]
        self.answer(200, {"name": self.hub.owner, "orgs": organizations, "type": "user"})

    def create(self, body: bytes) -> None:
        given = json.loads(body)
        name = f"{given.get('organization') or self.hub.owner}/{given['name']}"
        if name in self.hub.repos:
            self.answer(409, {"error": "exists"})
        elif self._may_write():
            self.hub.repos[name] = HubRepo(private=given.get("visibility") == "private" or given.get("private", False))
            self.hub.repos[name].add(dict(FIRST), "initial commit")
            self.answer(200, {"url": f"{self.hub.url}/{name}", "name": name})

    def validate_yaml(self, body: bytes) -> None:
        if json.loads(body)["content"].startswith("---\n"):
            self.answer(200, {"errors": [], "warnings": []})
        else:
            self.answer(400, {"errors": [{"message": "no metadata"}], "warnings": []})

    def info(self, body: bytes, repo: str) -> None:
        if found := self._repo(repo):
            siblings = [{"rfilename": path} for path in found.at("main")[1]]
            said = {"id": repo, "sha": found.head, "private": found.private, "siblings": siblings, "tags": []}
            self.answer(200, said)

    def auth_check(self, body: bytes, repo: str) -> None:
        if self._repo(repo) and self._may_write():
            self.answer(200, {})

    def tree(self, body: bytes, repo: str, revision: str) -> None:
        if (found := self._repo(repo)) and (commit := found.at(revision)):
            entries = [
                {"type": "file", "path": path, "size": len(content), "oid": blob_name(content)}
                for path, content in commit[1].items()
            ]
            self.answer(200, entries)

    def preupload(self, body: bytes, repo: str) -> None:
        if (found := self._repo(repo)) and self._may_write():
            files = [
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if file["path"].endswith(LARGE) else "regular",
                    "shouldIgnore": False,
                    "oid": remote_name(found, file["path"]),
                }
                for file in json.loads(body)["files"]
            ]
            self.answer(200, {"files": files})

    def batch(self, body: bytes, repo: str) -> None:
        objects = [
            {**wanted}
            if wanted["oid"] in self.hub.objects
            else {**wanted, "actions": {"upload": {"href": f"{self.hub.url}/lfs/{wanted['oid']}"}}}
            for wanted in json.loads(body)["objects"]
        ]
        self.answer(200, {"transfer": "basic", "objects": objects})

    def upload(self, body: bytes, digest: str) -> None:
        if hashlib.sha256(body).hexdigest() != digest:
            self.answer(400, {"error": "the hash differs"})
            return
        self.hub.objects[digest] = body
        self.hub.uploads.append(digest)
        self.answer(200)

    def commit(self, body: bytes, repo: str) -> None:
        if self._repo(repo) and self._may_write():
            self.answer(*self.hub.commit(repo, [json.loads(line) for line in body.splitlines()]))

    def tag(self, body: bytes, repo: str, revision: str) -> None:
        if not ((found := self._repo(repo)) and self._may_write()):
            return
        name, commit = json.loads(body)["tag"], found.at(revision)
        if name in found.tags or commit is None:
            self.answer(409 if commit else 404, {"error": "the tag exists, or the revision does not"})
        else:
            found.tags[name] = commit[0]
            self.answer(200, {})

    def resolve(self, body: bytes, repo: str, revision: str, path: str) -> None:
        if found := self._repo(repo):
            commit = found.at(revision)
            if commit is None or path not in commit[1]:
                self.answer(404, {}, X_Error_Code="EntryNotFound")
                return
            content = commit[1][path]
            self.answer(200, content, ETag=f'"{blob_name(content)}"', X_Repo_Commit=commit[0])


NAME = r"(?P<repo>[^/]+/[^/]+)"
ROUTES = {
    ("GET", "/api/whoami-v2"): HubRequests.whoami,
    ("POST", "/api/repos/create"): HubRequests.create,
    ("POST", "/api/validate-yaml"): HubRequests.validate_yaml,
    ("GET", f"/api/models/{NAME}"): HubRequests.info,
    ("GET", f"/api/models/{NAME}/auth-check/write"): HubRequests.auth_check,
    ("GET", f"/api/models/{NAME}/tree/(?P<revision>[^/]+)"): HubRequests.tree,
    ("POST", f"/api/models/{NAME}/preupload/main"): HubRequests.preupload,
    ("POST", f"/{NAME}\\.git/info/lfs/objects/batch"): HubRequests.batch,
    ("PUT", "/lfs/(?P<digest>[0-9a-f]{64})"): HubRequests.upload,
    ("POST", f"/api/models/{NAME}/commit/main"): HubRequests.commit,
    ("POST", f"/api/models/{NAME}/tag/(?P<revision>[^/]+)"): HubRequests.tag,
    ("GETHEAD", f"/{NAME}/resolve/(?P<revision>[^/]+)/(?P<path>.+)"): HubRequests.resolve,
}

"""The processes of deploy/: PostgreSQL, the migration, code server, daemon and web server, each its own process.

    with open_production(config) as production:
        production.kill("daemon")       # kill -9; `start` brings it back, as systemd or compose would
        production.ask("{ version }")   # the GraphQL interface of the web server

They run with deploy/dagster.yaml and deploy/workspace.yaml, and with the environment of deploy/compose.yaml.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg

from testing.dev_server import environment, free_port
from testing.postgres import DATABASE, PASSWORD, USER, PostgresServer, open_postgres
from testing.waiting import wait_for

DEPLOY = Path(__file__).parents[1] / "deploy"
PROGRAMS = Path(sys.executable).parent
LAUNCH = """mutation($backfill: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $backfill) {
  __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""
STATUS = """query($id: String!) { partitionBackfillOrError(backfillId: $id) {
  ... on PartitionBackfill { status error { message } } } }"""


class Production:
    """The processes over one project, and the instance that they share."""

    def __init__(self, folder: Path, config: Path, postgres: PostgresServer) -> None:
        self.folder, self.postgres = folder, postgres
        self.home, self.log = folder / "home", folder / "processes.log"
        self.home.mkdir(parents=True)
        shutil.copy(DEPLOY / "dagster.yaml", self.home)
        self.ports = {"code": free_port(), "webserver": free_port()}
        server = {"PGHOST": "127.0.0.1", "PGPORT": str(postgres.port), "PGUSER": USER, "PGPASSWORD": PASSWORD}
        self.environment = environment() | {
            **server,
            "PGDATABASE": DATABASE,
            "DAGSTER_HOME": str(self.home),
            "DISTILL_CONFIG": str(config),
            "CODE_HOST": "127.0.0.1",
            "CODE_PORT": str(self.ports["code"]),
            "PYTHONWARNINGS": "ignore",
            "DAGSTER_BACKFILL_RETRY_DEFINITION_CHANGED_ERROR": "1",
        }
        self.processes: dict[str, subprocess.Popen] = {}
        self.killed: list[subprocess.Popen] = []  # of a code server, the runs go on

    def migrate(self) -> None:
        """The init step."""
        command = [str(PROGRAMS / "dagster"), "instance", "migrate"]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def start(self, name: str) -> None:
        """Start one of code, daemon and webserver, and wait until the servers answer."""
        workspace = ["--workspace", str(DEPLOY / "workspace.yaml")]
        loopback = ["--host", "127.0.0.1", "--port", str(self.ports.get(name))]
        module = ["--module-name", "distill_dagster.definitions", "--location-name", "distill_dagster"]
        command = {
            "code": ["dagster", "api", "grpc", *loopback, *module],
            "daemon": ["dagster-daemon", "run", *workspace],
            "webserver": ["dagster-webserver", *loopback, *workspace],
        }[name]
        with self.log.open("a") as log:
            own = [str(PROGRAMS / command[0]), *command[1:]]
            self.processes[name] = subprocess.Popen(
                own, stdout=log, stderr=log, env=self.environment, cwd=self.folder, start_new_session=True
            )
        if name == "webserver":
            wait_for(self._answers, "the web server's start")

    def kill(self, name: str) -> None:
        """SIGKILL for one process. The runs that a code server has started go on."""
        process = self.processes[name]
        process.send_signal(signal.SIGKILL)
        process.wait()
        self.killed.append(process)

    def end(self) -> None:
        """End all processes, and the runs that they have started."""
        for process in [*self.killed, *self.processes.values()]:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """The answer of the web server's GraphQL interface."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        url = f"http://127.0.0.1:{self.ports['webserver']}/graphql"
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        answer = json.load(urllib.request.urlopen(request, timeout=60))
        assert "errors" not in answer, answer
        return answer["data"]

    def backfill(self, assets: list[str], shards: list[str]) -> str:
        """Launch a backfill as the UI does; its id."""
        keys = [{"path": [asset]} for asset in assets]
        said = self.ask(LAUNCH, backfill={"assetSelection": keys, "partitionNames": shards, "tags": []})
        found = said["launchPartitionBackfill"]
        assert found["__typename"] == "LaunchBackfillSuccess", found
        return found["backfillId"]

    @contextlib.contextmanager
    def instance(self) -> Iterator[dg.DagsterInstance]:
        """The instance, as another process opens it."""
        with dg.DagsterInstance.from_config(str(self.home)) as instance:
            yield instance

    def _answers(self) -> bool:
        assert self.processes["webserver"].poll() is None, self.log.read_text()[-4000:]
        try:
            loaded = self.ask("{ workspaceOrError { ... on Workspace { locationEntries { loadStatus } } } }")
        except OSError:
            return False
        entries = loaded["workspaceOrError"]["locationEntries"]
        return [entry["loadStatus"] for entry in entries] == ["LOADED"]


@contextlib.contextmanager
def open_production(folder: Path, config: Path) -> Iterator[Production]:
    """All of it, running."""
    import pytest

    with open_postgres() as postgres, pytest.MonkeyPatch.context() as patch:
        production = Production(folder, config, postgres)
        for name in ("PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE"):
            patch.setenv(name, production.environment[name])
        production.migrate()
        try:
            for name in ("code", "daemon", "webserver"):
                production.start(name)
            yield production
        finally:
            production.end()

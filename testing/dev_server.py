"""A real `distill-dagster dev`: web server, daemon, code server and run launcher, on a project's own instance.

    with DevServer(config_path) as server:     # its output goes to dev.log beside the config
        server.ask("{ version }")              # the GraphQL interface that the UI itself uses

All its processes, the runs that it launched included, end with the block.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testing.waiting import wait_for

COMMAND = [sys.executable, "-c", "from distill_dagster.cli import app; app()"]
RELOAD = """mutation { reloadRepositoryLocation(repositoryLocationName: "distill_dagster.definitions") {
  ... on WorkspaceLocationEntry { locationOrLoadError { __typename } } } }"""


def wait_until_up(process: subprocess.Popen, url: str, log: Path) -> None:
    """Wait until a server answers at this URL; fail with its log if the process ends before."""

    def is_up() -> bool:
        assert process.poll() is None, log.read_text()
        try:
            return urllib.request.urlopen(url, timeout=5).status == 200
        except OSError:
            return False

    wait_for(is_up, "the server's start")


def free_port() -> int:
    """A port of this machine on which nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def environment() -> dict[str, str]:
    """The environment of this process, without another project's config and instance."""
    return {key: value for key, value in os.environ.items() if key not in ("DAGSTER_HOME", "DISTILL_CONFIG")}


@dataclass(frozen=True)
class Said:
    """A command that ended."""

    exit_code: int
    stdout: str
    output: str  # what it wrote to standard error too


def run_command(*arguments: object, **variables: str) -> Said:
    """`distill-dagster` with these arguments, and these variables in its environment, in a process of its own."""
    asked, own = [*COMMAND, *map(str, arguments)], environment() | variables
    done = subprocess.run(asked, capture_output=True, text=True, timeout=900, env=own, check=False)
    return Said(done.returncode, done.stdout, done.stdout + done.stderr)


class DevServer:
    """A running `distill-dagster dev`; with `location`, a Python file of definitions, a running `dagster dev` of that.

    `home` is the Dagster instance of a location.
    """

    def __init__(self, config: Path, location: Path | None = None, home: Path | None = None) -> None:
        self.config, self.log_path = config, config.parent / "dev.log"
        self.location, self.home = location, home

    def _command(self, port: int) -> list[str]:
        if self.location is None:
            return [*COMMAND, "dev", "--config", str(self.config), "--port", str(port)]
        dagster = [sys.executable, "-W", "ignore", "-m", "dagster", "dev", "-f", str(self.location)]
        return [*dagster, "--host", "127.0.0.1", "--port", str(port)]

    def __enter__(self) -> "DevServer":
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        own = environment() | ({"DAGSTER_HOME": str(self.home)} if self.home else {})
        with self.log_path.open("w") as log:
            self.process = subprocess.Popen(
                self._command(port), stdout=log, stderr=log, env=own, start_new_session=True
            )
        try:
            wait_until_up(self.process, f"{self.url}/server_info", self.log_path)
        except BaseException:
            self.__exit__()
            raise
        return self

    def kill(self) -> None:
        """End all its processes at once, as a machine that loses power would."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is not None:
            return
        os.killpg(self.process.pid, signal.SIGINT)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)

    def log(self) -> str:
        """What all its processes have written so far."""
        return self.log_path.read_text()

    def reload(self) -> None:
        """Make it read the config again, as the UI's reload button does."""
        answer = self.ask(RELOAD)["reloadRepositoryLocation"]
        assert answer == {"locationOrLoadError": {"__typename": "RepositoryLocation"}}, answer

    def ask(self, query: str) -> dict[str, Any]:
        """The answer of the GraphQL interface that the UI itself uses."""
        body = json.dumps({"query": query}).encode()
        request = urllib.request.Request(f"{self.url}/graphql", body, {"Content-Type": "application/json"})
        return json.load(urllib.request.urlopen(request, timeout=30))["data"]

"""A PostgreSQL server on loopback from Debian's package, which runs as a user other than root.

    with open_postgres() as server:
        server.write_instance(home)      # a dagster.yaml whose storage is this server
        server.crash()                   # as `pg_ctl stop -m immediate`; `server.start()` recovers it

What uses it is skipped where the package is missing: `needs_postgres`. Root starts the server as the user `postgres`,
which the package adds, because PostgreSQL refuses to run as root.
"""

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from testing.dev_server import free_port

USER, PASSWORD, DATABASE = "dagster", "made-for-a-test", "postgres"
START_SECONDS = 120
PORTS, TAKEN = 5, "could not bind"  # ports that are tried; what the server says of one that is in use
FOLDERS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: float(folder.parent.name))


def why_no_postgres() -> str | None:
    """Why no server can be started here, or None."""
    if not FOLDERS or not (FOLDERS[-1] / "initdb").exists():
        return "no PostgreSQL: `apt-get install postgresql` brings Debian's, which `make test-all` does as root"
    try:
        import dagster_postgres  # noqa: F401
    except ImportError:
        return "no dagster-postgres: install the extra `postgres`"
    return None


needs_postgres = pytest.mark.skipif(why_no_postgres() is not None, reason=why_no_postgres() or "")


class PostgresServer:
    """A server with an empty database. Its user has a password, as one in production."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.data, self.port = folder, folder / "data", 0  # chosen when it starts for the first time
        self._as = _owner()
        if self._as:
            shutil.chown(folder, *self._as)
        password = folder / "password"
        password.write_text(PASSWORD)
        if self._as:
            shutil.chown(password, *self._as)
        self._run("initdb", "-D", self.data, "-U", USER, "--auth=scram-sha-256", f"--pwfile={password}", "-E", "UTF8")

    def start(self) -> None:
        """Start it, and wait until it answers. It keeps the port of its first start."""
        log, ports = self.folder / "server.log", [self.port] if self.port else (free_port() for _ in range(PORTS))
        for port in ports:
            try:
                self._start(port)
            except AssertionError:
                if self.port or TAKEN not in log.read_text():
                    raise
                log.unlink()  # another process took the port meanwhile
                continue
            self.port = port
            return
        raise AssertionError(f"{PORTS} free ports in a row were taken by others")

    def _start(self, port: int) -> None:
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.folder}"
        options += " -c max_connections=200"
        log = self.folder / "server.log"
        self._run("pg_ctl", "-D", self.data, "-l", log, "-o", options, "-w", "-t", START_SECONDS, "start")
        deadline = time.monotonic() + START_SECONDS
        while subprocess.run([FOLDERS[-1] / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]).returncode:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)

    def stop(self) -> None:
        """Stop it in order."""
        self._run("pg_ctl", "-D", self.data, "-m", "fast", "-w", "stop")

    def crash(self) -> None:
        """End all its processes at once without a checkpoint."""
        self._run("pg_ctl", "-D", self.data, "-m", "immediate", "-w", "stop")

    def storage(self) -> dict[str, Any]:
        """The section `storage` of a dagster.yaml. SQLAlchemy 2.1 takes plain `postgresql` for another driver."""
        server = {"hostname": "127.0.0.1", "port": self.port, "username": USER, "password": PASSWORD}
        return {"postgres": {"postgres_db": {**server, "db_name": DATABASE, "scheme": "postgresql+psycopg2"}}}

    def write_instance(self, home: Path, settings: Path) -> None:
        """Write a dagster.yaml into `home`: these settings, with this server as their storage."""
        home.mkdir(parents=True, exist_ok=True)
        document = {**yaml.safe_load(settings.read_text()), "storage": self.storage()}
        (home / "dagster.yaml").write_text(yaml.safe_dump(document))

    def _run(self, program: str, *arguments: object) -> None:
        """Run a program of the package to its end. The server that `pg_ctl` starts inherits no pipe, and holds none."""
        user = {"user": self._as[0], "group": self._as[1], "extra_groups": []} if self._as else {}
        said = self.folder.with_name(f"{self.folder.name}-{program}.log")
        try:
            with said.open("w") as log:
                command = [str(FOLDERS[-1] / program), *map(str, arguments)]
                done = subprocess.run(command, stdout=log, stderr=log, cwd="/", check=False, **user)
            assert done.returncode == 0, said.read_text()
        finally:
            said.unlink(missing_ok=True)


def _owner() -> tuple[int, int] | None:
    """The ids of the user that the server runs as, if this process is root's."""
    if os.getuid() != 0:
        return None
    entry = pwd.getpwnam("postgres")
    return entry.pw_uid, entry.pw_gid


@contextlib.contextmanager
def open_postgres() -> Iterator[PostgresServer]:
    """A running server; it is stopped, and its data deleted, at the end of the block."""
    with tempfile.TemporaryDirectory(prefix="postgres-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        server = PostgresServer(Path(folder))
        server.start()
        try:
            yield server
        finally:
            with contextlib.suppress(AssertionError):  # a test may have crashed it
                server.crash()

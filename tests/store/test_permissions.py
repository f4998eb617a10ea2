"""Nobody else can write the files of a store, even if the process that makes it was started with umask 0."""

import os
import subprocess

import pytest

from testing.dev_server import COMMAND, environment
from testing.projects import write_project


@pytest.mark.processes
@pytest.mark.timeout(1800)
def test_no_file_of_a_store_is_world_writable(tmp_path):
    path = write_project(tmp_path, compute={"backend": "subprocess"})
    shell = ["sh", "-c", 'umask 0; exec "$@"', "sh", *COMMAND, "run", "--config", str(path)]
    done = subprocess.run(shell, env=environment(), capture_output=True, text=True, timeout=1700)
    assert done.returncode in (0, 3), done.stderr
    found = [entry for entry in (tmp_path / "store").rglob("*") if not entry.is_symlink()]
    assert len(found) > 50
    assert [str(entry) for entry in (tmp_path / "store", *found) if os.lstat(entry).st_mode & 0o002] == []

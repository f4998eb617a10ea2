"""MLflow's own server in a process of its own, on a free port of loopback, with its data in a folder.

    with MlflowServer(tmp_path) as server:
        MlflowClient(server.url, server.url).search_registered_models()

Runs and registry are in SQLite, and the server stores the files itself, as `mlflow server` does by default.
"""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from testing.dev_server import wait_until_up


class MlflowServer:
    """The server, while the block runs."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url, self.folder = f"http://127.0.0.1:{self.port}", folder

    def __enter__(self) -> "MlflowServer":
        command = [
            *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)),
            *("--workers", "1", "--backend-store-uri", f"sqlite:///{self.folder / 'mlflow.db'}"),
            *("--artifacts-destination", str(self.folder / "artifacts")),
        ]
        quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        self._log = (self.folder / "server.log").open("wb")
        self._process = subprocess.Popen(
            command, env=os.environ | quiet, stdout=self._log, stderr=self._log, start_new_session=True
        )
        try:
            wait_until_up(self._process, f"{self.url}/health", self.folder / "server.log")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)  # its session: the server, and the process that answers
        self._process.wait()
        self._log.close()

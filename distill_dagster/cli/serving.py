"""Where `distill-dagster dev` opens the UI, and a watch over its start.

If Dagster's web server cannot listen, it logs an error and stays, and so does the daemon: a project would be automated
without a UI that shows it. So the port is tried before anything starts, and watched until the web server listens.
"""

import errno
import os
import signal
import socket
import subprocess
import sys
import time

import psutil

from distill_dagster.errors import ConfigError

HOST = "127.0.0.1"  # Dagster has no login
LOOK_SECONDS = 0.5


def require_free(port: int) -> None:
    """Refuse a port on which the web server could not listen.

    Raises:
        ConfigError: another program listens on it, or this user may not.
    """
    if problem := _problem(port):
        raise ConfigError(f"port {port} of {HOST} {problem}: choose another --port, or end what uses it")


def watch_start(port: int) -> None:
    """Start a process that ends this one, and with it the daemon, if another program takes the port first.

    This process may become another program by `exec`. The watch ends when a process below it listens.
    """
    subprocess.Popen([sys.executable, "-m", "distill_dagster.cli.serving", str(os.getpid()), str(port)])


def watch(server: int, port: int) -> None:
    """Watch until a process below `server`, the parent of this one, listens on the port; interrupt it if none can."""
    while os.getppid() == server and not _listens(server, port):
        if (problem := _problem(port)) and not _listens(server, port):
            print(f"error: port {port} {problem} by another program since: choose another --port", file=sys.stderr)
            os.kill(server, signal.SIGINT)
            return
        time.sleep(LOOK_SECONDS)


def _problem(port: int) -> str | None:
    """Why nothing more can listen on the port; None if something can."""
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the web server does: a port just freed is free
        try:
            trial.bind((HOST, port))
        except OSError as e:
            return "is in use" if e.errno == errno.EADDRINUSE else f"cannot be used ({e.strerror})"
    return None


def _listens(server: int, port: int) -> bool:
    """Whether a process below `server` listens on the port."""
    try:
        below = psutil.Process(server).children(recursive=True)
    except psutil.NoSuchProcess:
        return False
    return any(_has(process, port) for process in below)


def _has(process: psutil.Process, port: int) -> bool:
    try:
        found = process.net_connections("tcp")
    except psutil.Error:
        return False
    return any(item.status == psutil.CONN_LISTEN and item.laddr.port == port for item in found)


if __name__ == "__main__":
    watch(int(sys.argv[1]), int(sys.argv[2]))

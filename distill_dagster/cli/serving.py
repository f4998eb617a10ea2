"""Where `distill-dagster dev` opens the UI, and a watch over its start.

Dagster has no login, and who reaches its web server can run code as this user. So any address but loopback needs a
promise that a proxy asks for a login in front of it (docs/production.md).

If Dagster's web server cannot listen, it logs an error and stays, and so does the daemon: a project would be automated
without a UI that shows it. So the port is tried before anything starts, and watched until the web server listens.
"""

import errno
import ipaddress
import os
import signal
import socket
import subprocess
import sys
import time

import psutil

from distill_dagster.errors import ConfigError

HOST = "127.0.0.1"
LOOK_SECONDS = 0.5


def require_login(host: str, has_proxy: bool) -> None:
    """Refuse an address that others reach, unless a proxy is in front.

    Raises:
        ConfigError: nobody promised one, or `host` is no address of this machine.
    """
    try:
        found = {info[4][0] for info in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except OSError as e:
        raise ConfigError(f"--host {host}: {e.strerror}; give an address of this machine, such as {HOST}") from e
    others = [address for address in found if not ipaddress.ip_address(str(address).partition("%")[0]).is_loopback]
    if others and not has_proxy:
        raise ConfigError(
            f"--host {host} can be reached from other machines, and Dagster has no login: who opens the page can run "
            "code as this user. Put a proxy that asks for a login in front (docs/production.md has one for Caddy and "
            f"one for nginx), let it connect to {HOST}, and leave --host out. If the proxy alone can connect, add "
            "--i-have-a-proxy"
        )


def in_url(host: str) -> str:
    """An address as a URL writes it."""
    return f"[{host}]" if ":" in host else host


def require_free(port: int, host: str = HOST) -> None:
    """Refuse a port on which the web server could not listen.

    Raises:
        ConfigError: another program listens on it, or this user may not.
    """
    if problem := _problem(host, port):
        raise ConfigError(f"port {port} of {host} {problem}: choose another --port, or end what uses it")


def watch_start(port: int, host: str) -> None:
    """Start a process that ends this one, and with it the daemon, if another program takes the port first.

    This process may become another program by `exec`. The watch ends when a process below it listens.
    """
    subprocess.Popen([sys.executable, "-m", "distill_dagster.cli.serving", str(os.getpid()), host, str(port)])


def watch(server: int, host: str, port: int) -> None:
    """Watch until a process below `server`, the parent of this one, listens on the port; interrupt it if none can."""
    while os.getppid() == server and not _listens(server, port):
        if (problem := _problem(host, port)) and not _listens(server, port):
            print(f"error: port {port} {problem} by another program since: choose another --port", file=sys.stderr)
            os.kill(server, signal.SIGINT)
            return
        time.sleep(LOOK_SECONDS)


def _problem(host: str, port: int) -> str | None:
    """Why nothing more can listen on the port; None if something can."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the web server does: a port just freed is free
        try:
            trial.bind((host, port))
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
    watch(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]))

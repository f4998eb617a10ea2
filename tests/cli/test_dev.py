"""`distill-dagster dev`, its port, and the ways in to the command line."""

import os
import signal
import socket
import subprocess
import sys
from importlib.metadata import version

import pytest

from distill_dagster.cli.serving import HOST, require_free, require_login
from distill_dagster.errors import ConfigError
from testing.dev_server import COMMAND, DevServer, environment, run_command
from testing.projects import write_project
from testing.waiting import wait_for


@pytest.fixture
def taken():
    """A port on which somebody listens."""
    with socket.socket() as held:
        held.bind((HOST, 0))
        held.listen()
        yield held.getsockname()[1]


def test_a_port_in_use_is_refused_and_a_free_one_is_not(taken):
    with pytest.raises(ConfigError, match=f"port {taken} of 127.0.0.1 is in use: choose another --port"):
        require_free(taken)
    with socket.socket() as free:
        free.bind((HOST, 0))
        port = free.getsockname()[1]
    require_free(port)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_needs_no_proxy(host):
    require_login(host, has_proxy=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "fe80::1%lo"])
def test_an_address_that_others_reach_needs_the_promise_of_a_proxy(host):
    with pytest.raises(ConfigError, match="can be reached from other machines, and Dagster has no login"):
        require_login(host, has_proxy=False)
    require_login(host, has_proxy=True)


def test_an_address_that_does_not_exist_is_refused():
    with pytest.raises(ConfigError, match=r"--host no\.such\.name\.invalid: "):
        require_login("no.such.name.invalid", has_proxy=True)


@pytest.mark.processes
def test_dev_beyond_loopback_starts_nothing(tmp_path):
    ended = run_command("dev", "--config", write_project(tmp_path), "--host", "0.0.0.0")
    assert ended.exit_code == 2
    assert "--i-have-a-proxy" in ended.output
    assert not (tmp_path / "store").exists()


@pytest.mark.processes
def test_a_log_keeps_its_lines_without_colour_codes():
    written = "\x1b[32m2026-01-01\x1b[0m - dagster - \x1b[1;34mINFO\x1b[0m - é\nno end".encode()
    copied = subprocess.run([sys.executable, "-m", "distill_dagster.cli.plain_log"], input=written, capture_output=True)
    assert copied.stdout.decode() == "2026-01-01 - dagster - INFO - é\nno end"


@pytest.mark.daemon
@pytest.mark.processes
def test_what_dev_writes_into_a_file_has_no_colour_codes(tmp_path):
    with DevServer(write_project(tmp_path)) as server:
        wait_for(lambda: "dagster" in server.log() and " INFO " in server.log(), "a line of the log")
        assert "\x1b" not in server.log()
        assert "nobody is alerted" not in server.log()


@pytest.mark.processes
def test_dev_on_a_port_in_use_starts_nothing(tmp_path, taken):
    config = write_project(tmp_path)
    ended = run_command("dev", "--config", config, "--port", taken)
    assert ended.exit_code == 2
    assert f"port {taken} of 127.0.0.1 is in use" in ended.output
    assert "daemon" not in ended.output
    assert not (tmp_path / "store").exists()


@pytest.mark.daemon
@pytest.mark.processes
def test_dev_ends_if_another_program_takes_the_port_during_its_start(tmp_path):
    config = write_project(tmp_path)
    with socket.socket() as free:
        free.bind((HOST, 0))
        port = free.getsockname()[1]
    asked = [*COMMAND, "dev", "--config", str(config), "--port", str(port)]
    server = subprocess.Popen(
        asked, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment(), start_new_session=True
    )
    try:
        assert f"http://127.0.0.1:{port}" in server.stdout.readline(), "the port was free"
        with socket.socket() as other:
            other.bind((HOST, port))
            other.listen()
            said, _ = server.communicate()
    finally:
        if server.poll() is None:
            os.killpg(server.pid, signal.SIGKILL)
    assert f"error: port {port} is in use by another program since" in said


@pytest.mark.processes
@pytest.mark.parametrize("port", ["0", "65536", "99999999", "-1"])
def test_a_port_that_does_not_exist_is_refused(tmp_path, port):
    ended = run_command("dev", "--config", write_project(tmp_path), "--port", port)
    assert ended.exit_code == 2
    assert "1<=x<=65535" in ended.output


@pytest.mark.processes
@pytest.mark.parametrize("verb", ["run", "status", "dev"])
def test_a_home_that_does_not_exist_ends_the_command_at_once(tmp_path, verb):
    asked = [sys.executable, "-m", "distill_dagster", verb, "--config", str(write_project(tmp_path))]
    home = environment() | {"DAGSTER_HOME": "nowhere"}
    ended = subprocess.run(asked, capture_output=True, text=True, env=home, cwd=tmp_path)
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: the environment variable DAGSTER_HOME is nowhere, which is not an absolute")
    assert len(ended.stderr.splitlines()) == 1
    assert not (tmp_path / "store").exists()


@pytest.mark.processes
def test_the_module_and_the_command_tell_their_version():
    module = [sys.executable, "-m", "distill_dagster", "--version"]
    done = subprocess.run(module, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"distill-dagster {version('distill-dagster')}\n")
    assert run_command("--version").stdout == done.stdout


@pytest.mark.processes
def test_the_shell_completes_commands_and_options():
    command = os.path.join(os.path.dirname(sys.executable), "distill-dagster")

    def completed(words: str) -> list[str]:
        asked = {"_DISTILL_DAGSTER_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
        env = environment() | asked
        return subprocess.run([command], capture_output=True, text=True, env=env).stdout.split()

    assert {"init", "run", "status"} <= set(completed("distill-dagster "))
    assert completed("distill-dagster sta") == ["status"]
    assert "--until" in completed("distill-dagster run --u")


@pytest.mark.processes
@pytest.mark.parametrize("folder", ["/proc/foo", "{tmp}/file", "{tmp}/file/below"])
def test_init_into_an_impossible_folder_is_one_line(tmp_path, folder):
    (tmp_path / "file").write_text("mine")
    ended = run_command("init", folder.format(tmp=tmp_path))
    assert ended.exit_code == 2
    assert "cannot be written" in ended.output
    assert "Traceback" not in ended.output
    assert (tmp_path / "file").read_text() == "mine"

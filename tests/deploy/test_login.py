"""The proxies of deploy/ in front of a real web server: nobody gets in without a login, over HTTP or the websocket."""

import base64
import contextlib
import json
import os
import shutil
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from testing.dev_server import environment, free_port, wait_until_up
from testing.production import DEPLOY, PROGRAMS
from testing.waiting import wait_for

pytestmark = pytest.mark.processes

NAME, PASSWORD = "ada", "a-long-password"
NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
MAIN = """
daemon off;
pid {folder}/nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{ listen 127.0.0.1:{port}; include {folder}/dagster_ui.inc; }}
}}
"""


@pytest.fixture(scope="module")
def upstream(tmp_path_factory):
    """The port of a web server without code locations."""
    folder = tmp_path_factory.mktemp("webserver")
    port, log = free_port(), folder / "log"
    command = [PROGRAMS / "dagster-webserver", "--empty-workspace", "--host", "127.0.0.1", "--port", str(port)]
    with running(command, log, DAGSTER_HOME=str(folder)) as process:
        wait_until_up(process, f"http://127.0.0.1:{port}/server_info", log)
        yield port


@contextlib.contextmanager
def running(command, log: Path, **variables):
    with log.open("w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, env=environment() | variables)
    try:
        yield process
    finally:
        process.terminate()  # nginx ends its workers
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture
def caddy(upstream, tmp_path):
    program, port = PROGRAMS / "caddy", free_port()
    hashed = subprocess.run([program, "hash-password", "--plaintext", PASSWORD], capture_output=True, text=True)
    variables = {
        "UI_ADDRESS": f"http://127.0.0.1:{port}",
        "UI_USER": NAME,
        "UI_PASSWORD_HASH": hashed.stdout.strip(),
        "UI_UPSTREAM": f"127.0.0.1:{upstream}",
        "XDG_DATA_HOME": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path),
    }
    command = [program, "run", "--adapter", "caddyfile", "--config", DEPLOY / "Caddyfile"]
    with running(command, tmp_path / "log", **variables) as process:
        wait_for(lambda: listens(process, port, tmp_path / "log"), "Caddy's start")
        yield port


@pytest.fixture
def nginx(upstream, tmp_path):
    if NGINX is None:
        pytest.skip("no nginx: `apt-get install nginx-light` brings Debian's, which `make test-all` does as root")
    port, users = free_port(), tmp_path / "users"
    users.write_text(f"{NAME}:{{PLAIN}}{PASSWORD}\n")
    tmp_path.chmod(0o755)
    shared = (DEPLOY / "nginx/dagster_ui.inc").read_text()
    own = shared.replace("/etc/nginx/dagster.htpasswd", str(users)).replace("127.0.0.1:3000", f"127.0.0.1:{upstream}")
    assert own.count(str(users)) == own.count(f"127.0.0.1:{upstream}") == 1
    (tmp_path / "dagster_ui.inc").write_text(own)
    main = tmp_path / "nginx.conf"
    rights = "user root;" if os.getuid() == 0 else ""  # pytest's folders are this user's alone
    main.write_text(rights + MAIN.format(folder=tmp_path, port=port))
    with running([NGINX, "-p", tmp_path, "-c", main], tmp_path / "log") as process:
        wait_for(lambda: listens(process, port, tmp_path / "log"), "nginx's start")
        yield port


@pytest.fixture(params=["caddy", "nginx"])
def proxy(request):
    return request.getfixturevalue(request.param)


def listens(process, port, log) -> bool:
    assert process.poll() is None, log.read_text()
    return status_of(port, "/server_info") == 401


def headers(name=None, password=None) -> dict[str, str]:
    login = base64.b64encode(f"{name}:{password}".encode()).decode()
    return {"Authorization": f"Basic {login}"} if name else {}


def status_of(port, path, login=(), body=None) -> int | None:
    asked = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", body, {**headers(*login), "Content-Type": "application/json"}
    )
    try:
        return urllib.request.urlopen(asked, timeout=30).status
    except urllib.error.HTTPError as e:
        return e.code
    except OSError:
        return None


@pytest.mark.parametrize("path", ["/server_info", "/", "/graphql", "/runs", "/report_asset_materialization/a"])
@pytest.mark.parametrize("login", [(), (NAME, "guessed"), ("eve", PASSWORD)])
def test_nothing_is_answered_without_the_login(proxy, path, login):
    assert status_of(proxy, path, login) == 401
    assert status_of(proxy, path, login, body=b'{"query": "{ version }"}') == 401


def test_with_the_login_the_pages_and_graphql_are_answered(proxy):
    assert status_of(proxy, "/server_info", (NAME, PASSWORD)) == 200
    assert status_of(proxy, "/", (NAME, PASSWORD)) == 200
    assert status_of(proxy, "/graphql", (NAME, PASSWORD), body=b'{"query": "{ version }"}') == 200


@pytest.mark.parametrize("login", [(), (NAME, "guessed")])
def test_the_websocket_is_not_opened_without_the_login(proxy, login):
    with pytest.raises(InvalidStatus) as refused:
        connect(f"ws://127.0.0.1:{proxy}/graphql", subprotocols=["graphql-ws"], additional_headers=headers(*login))
    assert refused.value.response.status_code == 401


def test_with_the_login_the_websocket_speaks(proxy):
    own = headers(NAME, PASSWORD)
    with connect(f"ws://127.0.0.1:{proxy}/graphql", subprotocols=["graphql-ws"], additional_headers=own) as socket:
        socket.send(json.dumps({"type": "connection_init", "payload": {}}))
        assert json.loads(socket.recv(timeout=30))["type"] == "connection_ack"


@pytest.mark.parametrize("left_out", ["UI_USER", "UI_PASSWORD_HASH"])
def test_caddy_does_not_start_without_a_login(tmp_path, left_out):
    port = free_port()
    variables = {"UI_ADDRESS": f"http://127.0.0.1:{port}", "UI_USER": NAME, "UI_PASSWORD_HASH": "x"}
    variables |= {"UI_UPSTREAM": "127.0.0.1:9", "XDG_DATA_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    own, file = environment() | variables | {left_out: ""}, ["--adapter", "caddyfile", "--config", DEPLOY / "Caddyfile"]
    ended = subprocess.run([PROGRAMS / "caddy", "run", *file], env=own, capture_output=True, timeout=60, check=False)
    assert ended.returncode == 1
    why = subprocess.run([PROGRAMS / "caddy", "validate", *file], env=own, capture_output=True, text=True, check=False)
    assert "username and password cannot be empty" in why.stderr


def test_nginx_takes_the_whole_example(tmp_path):
    if NGINX is None:
        pytest.skip("no nginx: `apt-get install nginx-light` brings Debian's, which `make test-all` does as root")
    names = ["-keyout", str(tmp_path / "key"), "-out", str(tmp_path / "pem"), "-subj", "/CN=localhost"]
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", *names]
    subprocess.run(made, check=True, capture_output=True)
    own = (DEPLOY / "nginx/dagster.conf").read_text().replace("/etc/ssl/dagster.pem", str(tmp_path / "pem"))
    own = own.replace("/etc/ssl/dagster.key", str(tmp_path / "key")).replace("/etc/nginx/conf.d", str(DEPLOY / "nginx"))
    main = tmp_path / "nginx.conf"
    main.write_text(f"error_log stderr;\npid {tmp_path}/pid;\nevents {{}}\nhttp {{ access_log off;\n{own} }}\n")
    done = subprocess.run([NGINX, "-t", "-p", tmp_path, "-c", main], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

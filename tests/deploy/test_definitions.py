"""The definitions of deploy/ are valid and keep their promises. No image is built, as no container engine runs here."""

import os
import re
import shutil
import subprocess

import pytest
import yaml

from testing.production import DEPLOY, PROGRAMS

COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SET = {"PGPASSWORD": "p", "PROJECT_FOLDER": "/srv/distill", "UI_ADDRESS": "localhost", "UI_USER": "u"}
SET |= {"UI_PASSWORD_HASH": "h"}
OWN = ("init", "code", "daemon", "webserver")


def compose_command() -> list[str]:
    """Docker's plugin, or the program of Debian's package."""
    if shutil.which("docker") and not subprocess.run(["docker", "compose", "version"], capture_output=True).returncode:
        return ["docker", "compose"]
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    pytest.skip(
        "no `docker compose`: `apt-get install docker-compose` brings Debian's, which `make test-all` does as root"
    )


@pytest.fixture
def copied(tmp_path):
    """A copy with the file .env that the services read."""
    shutil.copytree(DEPLOY, tmp_path / "deploy")
    shutil.copy(DEPLOY / "env.example", tmp_path / "deploy/.env")
    return tmp_path / "deploy"


@pytest.mark.processes
@pytest.mark.parametrize("files", [["compose.yaml"], ["compose.yaml", "compose.gpu.yaml"]])
def test_compose_accepts_its_files(copied, files):
    chosen = [part for file in files for part in ("-f", file)]
    command = [*compose_command(), *chosen, "config"]
    done = subprocess.run(command, cwd=copied, env=os.environ | SET, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert set(yaml.safe_load(done.stdout)["services"]) == {"postgres", *OWN, "caddy"}


@pytest.mark.processes
@pytest.mark.parametrize("missing", ["PGPASSWORD", "UI_USER", "UI_PASSWORD_HASH"])
def test_compose_refuses_to_start_without_a_password(copied, missing):
    (copied / ".env").write_text("")
    command = [*compose_command(), "-f", "compose.yaml", "config"]
    own = os.environ | {name: value for name, value in SET.items() if name != missing}
    own.pop(missing, None)
    done = subprocess.run(command, cwd=copied, env=own, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert missing in done.stderr


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_every_service_is_another_user_than_root_and_cannot_write_its_root(name):
    service = COMPOSE["services"][name]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", service["user"])
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert ("ports" in service) is (name == "caddy"), "only the proxy with the login has a port outside"


def test_nothing_starts_before_the_database_is_migrated():
    assert COMPOSE["services"]["init"]["command"] == ["dagster", "instance", "migrate"]
    for name in OWN[1:]:
        needs = COMPOSE["services"][name]["depends_on"]["init"]
        assert needs == {"condition": "service_completed_successfully"}
        unit = (DEPLOY / f"systemd/distill-{name}.service").read_text()
        assert "Requires=distill-init.service" in unit
        assert re.search("^After=.*distill-init.service", unit, re.MULTILINE)


def test_the_daemon_repeats_a_backfill_whose_code_server_was_away():
    switch = "DAGSTER_BACKFILL_RETRY_DEFINITION_CHANGED_ERROR"
    assert COMPOSE["services"]["daemon"]["environment"][switch] == "1"
    assert f"Environment={switch}=1" in (DEPLOY / "systemd/distill-daemon.service").read_text()


@pytest.mark.processes
@pytest.mark.parametrize("name", ["Dockerfile", "caddy.Dockerfile"])
def test_hadolint_finds_nothing_in_the_images(name):
    done = subprocess.run([PROGRAMS / "hadolint", DEPLOY / name], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_image_has_what_the_package_needs():
    image = (DEPLOY / "Dockerfile").read_text()
    for name in ("distill_dagster", "assets", "operations", "resources", "pyproject.toml", "constraints.txt"):
        assert re.search(rf"^COPY .*\b{re.escape(name)}\b", image, re.MULTILINE), name
    installs = re.findall("pip install.*", image)
    assert installs
    assert all("-c constraints.txt" in line for line in installs)


@pytest.mark.processes
def test_systemd_accepts_its_units(tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze on this machine")
    for unit in sorted((DEPLOY / "systemd").glob("*.service")):
        text = re.sub("(ExecStart(?:Pre)?=)/opt/distill/.venv/bin/[a-z-]+", r"\1/bin/true", unit.read_text())
        (tmp_path / unit.name).write_text(text)  # the programs are not installed there
    units = sorted(map(str, tmp_path.glob("*.service")))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True, check=False
    )
    own = [line for line in done.stderr.splitlines() if "distill-" in line]
    assert own == [], done.stderr

"""The Dagster UI as a person uses it: a real `distill-dagster dev`, a real browser.

Skipped only where there is no Chromium with its driver. Screenshots go to the folder that DISTILL_SCREENSHOTS
names, so that the pictures in the README can be made again.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from tests.conftest import write_project

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = [
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="no chromium with chromedriver on this machine"),
    pytest.mark.timeout(420),
]
COMMAND = [sys.executable, "-c", "from distill_dagster.cli import app; app()"]
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --window-size=2400,1200"
)
EXPANDED = ",".join(f"global%40global%3A{group}" for group in ("source", "teacher", "dataset", "student", "evaluation"))
BACKFILL = "{ partitionBackfillsOrError(limit: 1) { ... on PartitionBackfills { results { status numPartitions } } } }"
CHECKS = """{ assetNodeOrError(assetKey: {path: ["teacher_outputs"]}) { ... on AssetNode {
  partitionStats { numPartitions numMaterialized numFailed } } } }"""


def wait_for(condition, seconds, what):
    """The first true value of `condition()`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(1)
    pytest.fail(f"{what} did not happen within {seconds} s")


class Server:
    """A running `distill-dagster dev`."""

    def __init__(self, folder: Path) -> None:
        config = str(write_project(folder, **{"automation.observe_seconds": 5}))
        self.environment = {k: v for k, v in os.environ.items() if k not in ("DAGSTER_HOME", "DISTILL_CONFIG")}
        subprocess.run(
            [*COMMAND, "run", "--config", config, "--until", "teacher_model"],
            check=True, capture_output=True, timeout=200, env=self.environment,
        )  # fmt: skip
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.log = (folder / "dev.log").open("w")
        command = [*COMMAND, "dev", "--config", config, "--port", str(port)]
        self.process = subprocess.Popen(
            command, stdout=self.log, stderr=self.log, env=self.environment, start_new_session=True
        )
        wait_for(self.is_up, 120, "the web server's start")

    def is_up(self) -> bool:
        try:
            return urllib.request.urlopen(f"{self.url}/server_info", timeout=5).status == 200
        except OSError:
            return False

    def ask(self, query: str) -> dict:
        """The answer of the GraphQL interface that the UI itself uses."""
        body = json.dumps({"query": query}).encode()
        request = urllib.request.Request(f"{self.url}/graphql", body, {"Content-Type": "application/json"})
        return json.load(urllib.request.urlopen(request, timeout=30))["data"]

    def stop(self) -> None:
        os.killpg(self.process.pid, signal.SIGINT)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.log.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    running = Server(tmp_path_factory.mktemp("ui"))
    yield running
    running.stop()


@pytest.fixture(scope="module")
def browser():
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in FLAGS.split():
        options.add_argument(flag)
    driver = webdriver.Chrome(service=Service(DRIVER), options=options)
    yield driver
    driver.quit()


def text_of(browser) -> str:
    """What the page shows, read in one step: an element held between two calls can go stale as the page re-renders."""
    return browser.execute_script("return document.body ? document.body.innerText : ''")


def see(browser, *words, seconds=60):
    """Wait until the page shows all the words."""
    try:
        wait_for(lambda: all(word in text_of(browser) for word in words), seconds, f"a page that shows {words}")
    except pytest.fail.Exception as e:
        pytest.fail(f"{e}; it shows: {text_of(browser)}")


CLICK = """
const [words, exact] = arguments, says = b => b.textContent.replace(/\\s+/g, ' ').trim();
const fits = b => (exact ? says(b) === words : says(b).includes(words)) && !b.disabled && b.getClientRects().length;
const button = [...document.querySelectorAll('button')].filter(fits).pop();
if (button) button.click();
return Boolean(button);
"""


def click(browser, words, exact=False, seconds=30):
    """Click the last visible, enabled button that says so; found and clicked in one step, as in `text_of`."""
    wait_for(lambda: browser.execute_script(CLICK, words, exact), seconds, f"a button {words!r}")


def keep_picture(browser, name):
    if folder := os.environ.get("DISTILL_SCREENSHOTS"):
        time.sleep(3)  # the layout of the graph is animated
        browser.save_screenshot(str(Path(folder) / f"{name}.png"))


def test_the_lineage_shows_every_asset(server, browser):
    browser.get(f"{server.url}/asset-groups?expanded={EXPANDED}")
    see(browser, "raw_shards", "raw_dataset", "teacher_outputs", "student_checkpoint", "eval_report")
    keep_picture(browser, "lineage")


def test_a_backfill_over_all_shards_is_launched_from_the_ui_and_finishes(server, browser):
    browser.get(f"{server.url}/assets/teacher_outputs")
    click(browser, "Materialize")
    see(browser, "Partition selection", "Launch backfill")
    click(browser, "All", exact=True)
    see(browser, "4 partitions")
    keep_picture(browser, "backfill")
    click(browser, "Launch backfill")
    backfill = wait_for(
        lambda: next(iter(server.ask(BACKFILL)["partitionBackfillsOrError"]["results"]), None), 60, "the backfill"
    )
    assert backfill["numPartitions"] == 4
    wait_for(
        lambda: server.ask(BACKFILL)["partitionBackfillsOrError"]["results"][0]["status"] == "COMPLETED_SUCCESS",
        300,
        "the backfill's end",
    )
    stats = server.ask(CHECKS)["assetNodeOrError"]["partitionStats"]
    assert stats == {"numPartitions": 4, "numMaterialized": 4, "numFailed": 0}


def test_the_shards_metadata_and_checks_are_shown(server, browser):
    browser.get(f"{server.url}/assets/teacher_outputs?view=partitions&partition=train-part-00")
    see(browser, "tokens_per_second", "success_share", "peak_memory_mb", "raw_text", "dagster/uri")
    keep_picture(browser, "teacher_outputs")
    browser.get(f"{server.url}/assets/teacher_outputs?view=checks")
    see(browser, "enough_answers", "Succeeded")
    keep_picture(browser, "checks")

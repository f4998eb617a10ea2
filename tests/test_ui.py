"""The Dagster UI as a person uses it: a real `distill-dagster dev`, a real browser.

Skipped only where there is no Chromium with its driver. Screenshots go to the folder that DISTILL_SCREENSHOTS
names, so that the pictures in the README can be made again.
"""

import os
import shutil
import time
from pathlib import Path

import pytest

from tests.conftest import write_project
from tests.dev_server import DevServer, run_command, wait_for

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = [
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="no chromium with chromedriver on this machine"),
    pytest.mark.timeout(420),
]
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --window-size=2400,1200"
)
EXPANDED = ",".join(f"global%40global%3A{group}" for group in ("source", "teacher", "dataset", "student", "evaluation"))
BACKFILL = "{ partitionBackfillsOrError(limit: 1) { ... on PartitionBackfills { results { status numPartitions } } } }"
CHECKS = """{ assetNodeOrError(assetKey: {path: ["teacher_outputs"]}) { ... on AssetNode {
  partitionStats { numPartitions numMaterialized numFailed } } } }"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    config = write_project(tmp_path_factory.mktemp("ui"), **{"automation.observe_seconds": 5})
    run_command("run", "--config", str(config), "--until", "teacher_model")
    with DevServer(config) as running:
        yield running


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

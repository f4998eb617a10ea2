"""The Dagster UI as a person uses it: a real `distill-dagster dev`, a real browser (see testing/browser.py)."""

import pytest

from distill_dagster.config.reading import load_config
from distill_dagster.lineage.project import Project
from distill_dagster.lineage.snapshot import Snapshot
from testing.browser import click, keep_picture, needs_browser, open_browser, see, text_of
from testing.dev_server import DevServer
from testing.projects import own_instance, run_project, write_project
from testing.waiting import PATIENCE, wait_for

pytestmark = [pytest.mark.daemon, pytest.mark.xdist_group("daemon-2"), needs_browser, pytest.mark.timeout(2 * PATIENCE)]
EXPANDED = ",".join(f"global%40global%3A{group}" for group in ("source", "teacher", "dataset", "student", "evaluation"))
BACKFILL = "{ partitionBackfillsOrError(limit: 1) { ... on PartitionBackfills { results { status numPartitions } } } }"
CHECKS = """{ assetNodeOrError(assetKey: {path: ["teacher_outputs"]}) { ... on AssetNode {
  partitionStats { numPartitions numMaterialized numFailed } } } }"""


@pytest.fixture(scope="module")
def server(tmp_path_factory, fault_server):
    """A project whose rows are made and whose teacher has answered nothing yet."""
    fault_server.script()
    endpoint = {"url": fault_server.url, "model": "made", "concurrency": 8, "attempts": 1}
    changes = {
        "teacher": {"endpoint": endpoint, "generation": {"max_new_tokens": 12}, "smoke": {"rows": 0}},
        "student.model.tokenizer": "train",
        "automation.observe_seconds": 5,
    }
    path = write_project(tmp_path_factory.mktemp("ui"), **changes)
    config = load_config(path)
    with own_instance(config) as instance:
        assert not run_project(config, instance, "teacher_model").failed
    with DevServer(path) as running:
        yield running


@pytest.fixture(scope="module")
def browser():
    with open_browser() as driver:
        yield driver


def test_the_lineage_shows_every_asset(server, browser):
    browser.set_window_size(2600, 2600)  # names outside the window are not drawn
    browser.get(f"{server.url}/asset-groups?expanded={EXPANDED}")
    see(browser, "raw_shards", "raw_dataset", "teacher_outputs", "student_checkpoint", "eval_report")
    wait_for(lambda: "Loading" not in text_of(browser), "the states of the assets")
    keep_picture(browser, "lineage")
    browser.set_window_size(2400, 1200)


def test_a_backfill_over_all_shards_is_launched_from_the_ui_and_finishes(server, browser):
    browser.get(f"{server.url}/assets/teacher_outputs")
    click(browser, "Materialize")
    see(browser, "Partition selection", "Launch backfill")
    click(browser, "All", exact=True)
    see(browser, "4 partitions")
    keep_picture(browser, "backfill")
    click(browser, "Launch backfill")
    backfill = wait_for(
        lambda: next(iter(server.ask(BACKFILL)["partitionBackfillsOrError"]["results"]), None), "the backfill"
    )
    assert backfill["numPartitions"] == 4
    wait_for(
        lambda: server.ask(BACKFILL)["partitionBackfillsOrError"]["results"][0]["status"] == "COMPLETED_SUCCESS",
        "the backfill's end",
    )
    stats = server.ask(CHECKS)["assetNodeOrError"]["partitionStats"]
    assert stats == {"numPartitions": 4, "numMaterialized": 4, "numFailed": 0}
    project = Project(load_config(server.config))
    assert project.store.shards("teacher_outputs") == sorted(Snapshot(project).sources)


def test_the_shards_metadata_and_checks_are_shown(server, browser):
    browser.get(f"{server.url}/assets/teacher_outputs?view=partitions&partition=train-part-00")
    see(browser, "tokens_per_second", "success_share", "peak_memory_mb", "raw_text", "dagster/uri")
    keep_picture(browser, "teacher_outputs")
    browser.get(f"{server.url}/assets/teacher_outputs?view=checks")
    see(browser, "enough_answers", "Succeeded")
    keep_picture(browser, "checks")


ENDS = """
const cells = [...document.querySelectorAll('table th, table td')].filter(cell => cell.getClientRects().length);
return Object.fromEntries(cells.map(cell => [cell.innerText.trim(), cell.getBoundingClientRect().right]));
"""


def test_the_columns_that_decide_are_in_sight_on_a_laptop(server, browser):
    browser.set_window_size(1400, 900)
    browser.get(f"{server.url}/assets/teacher_outputs?view=partitions&partition=train-part-00")
    see(browser, "raw_text", "finish_reason", "row_id")
    ends, width = browser.execute_script(ENDS), browser.execute_script("return window.innerWidth")
    assert {column: ends[column] < width for column in ("answer", "raw_text", "finish_reason")} == {
        "answer": True,
        "raw_text": True,
        "finish_reason": True,
    }
    keep_picture(browser, "preview")

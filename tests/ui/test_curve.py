"""The curve of a training in the Dagster UI, while the training runs: a real `distill-dagster dev`, a real browser."""

import re
import time

import pytest

from distill_dagster.config.reading import load_config
from testing.browser import click, keep_picture, needs_browser, open_browser, see, text_of
from testing.dev_server import DevServer
from testing.projects import own_instance, run_project, write_project
from testing.waiting import PATIENCE, wait_for

pytestmark = [pytest.mark.daemon, pytest.mark.xdist_group("daemon-2"), needs_browser, pytest.mark.timeout(2 * PATIENCE)]
STATUS = "{ runsOrError(limit: 1) { ... on Runs { results { status } } } }"
STEP = re.compile(r"\bstep\b\s+\S.*?[AP]M\s+(\d+)", re.DOTALL)
LONG = {"learning_rate": 1e-3, "epochs": 1000, "batch_size": 4, "evaluations": 100, "early_stopping_patience": None}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A project that has everything but its student, whose training takes minutes."""
    path = write_project(tmp_path_factory.mktemp("curve"), **{"student.training": LONG})
    config = load_config(path)
    with own_instance(config) as instance:
        for stage in ("student_base", "validated_synthetic_set"):
            assert not run_project(config, instance, stage).failed
    with DevServer(path) as running:
        yield running


def test_the_curve_grows_while_the_training_runs(server):
    def status() -> str:
        return server.ask(STATUS)["runsOrError"]["results"][0]["status"]

    with open_browser() as browser:
        page = f"{server.url}/assets/student_checkpoint"

        def shown() -> int:
            """The step of the last point that the page shows; 0 before the first one."""
            browser.get(page)
            see(browser, "Metadata")
            time.sleep(2)
            found = STEP.search(text_of(browser))
            return int(found.group(1)) if found else 0

        browser.get(page)
        click(browser, "Materialize")
        see(browser, "Launched run")
        first = wait_for(shown, "the first point")
        wait_for(lambda: shown() > first, "a later point")
        click(browser, "Plots")
        see(browser, "gradient_norm", "learning_rate", "loss", "tokens_per_second", "validation_loss")
        keep_picture(browser, "curve")
        assert status() == "STARTED"

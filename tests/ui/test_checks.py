"""A bad shard as people see it in the UI: the check that failed, what was not made because of it, and the plots.

The set was made of four good shards; then one of them got new rows, which the teacher answers badly.
"""

import json

import dagster as dg
import pytest

from distill_dagster.config.reading import load_config
from distill_dagster.definitions import build_definitions
from distill_dagster.operations.runner import QUIET
from testing.browser import click, keep_picture, needs_browser, open_browser, see
from testing.dev_server import DevServer
from testing.projects import own_instance, run_project, write_project
from testing.waiting import PATIENCE, wait_for

pytestmark = [pytest.mark.daemon, pytest.mark.xdist_group("daemon-1"), needs_browser, pytest.mark.timeout(2 * PATIENCE)]
PARTS, ROWS = 4, 60
POISONED = "train-part-02"
FOLLOWS = ["validated_synthetic_set", "student_checkpoint"]
TOPICS = {"card": 4, "transfer": 3, "login": 2, "fees": 1}  # label -> how many of ten rows are about it
LABELS = [label for label, share in TOPICS.items() for _ in range(share)]
NUMBERS = 2  # of few_refusals
SHOW = """const links = [...document.querySelectorAll('a')].filter(a => a.textContent === '[Show Markdown]');
links[arguments[0]].scrollIntoView({block: 'center'}); links[arguments[0]].click();"""
INTO_VIEW = """[...document.querySelectorAll('div')].filter(d => d.textContent === arguments[0]).pop()
.scrollIntoView({block: 'start'})"""
WIDTH = "return Math.max(0, ...[...document.images].filter(i => i.src.startsWith('data:')).map(i => i.naturalWidth))"
REFUSAL = "I'm sorry, but I can't help with that."


def request(number: int, again: str = "") -> dict:
    """A source row with its gold answer."""
    label = LABELS[number % 10]
    asked = {"role": "user", "content": f"Request <{number}>{again}: something about my {label}"}
    return {"id": f"row-{number}", "messages": [asked, {"role": "assistant", "content": label}]}


def write_part(folder, part, again=""):
    rows = [request(number, again) for number in range(ROWS * part, ROWS * (part + 1))]
    (folder / f"data/train/part-{part:02}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def rules() -> list[dict]:
    """The teacher: right as a rule, now and then wrong, silent, cut off or off the form; of the new rows often."""

    def says(numbers, text, again="", **more):
        return [{"match": f"<{n}>{again}:", "fault": "say", "text": text, **more} for n in numbers]

    new = range(2 * ROWS, 3 * ROWS)
    right = [{"match": f"my {label}", "fault": "say", "text": label} for label in TOPICS]
    return [
        *says(new[:14], REFUSAL, " again"),
        *says(new[14:23], "The label that fits this request", " again", finish_reason="length"),
        *says(range(0, 240, 13), "login"),
        *says(range(5, 240, 29), REFUSAL),
        *(rule for n in range(3, 240, 13) for rule in says([n], LABELS[n % 10], finish_reason="length")),
        *says(range(9, 240, 17), "It depends."),
        *right,
    ]


@pytest.fixture(scope="module")
def failed_run(tmp_path_factory, fault_server):
    """(config's path, id of the run that was stopped by the bad shard)."""
    folder = tmp_path_factory.mktemp("ui-checks")
    endpoint = {"url": fault_server.url, "model": "made", "concurrency": 8, "attempts": 1}
    path = write_project(
        folder,
        **{
            "task": "classification",
            "teacher": {"endpoint": endpoint, "generation": {"max_new_tokens": 16}, "smoke": {"rows": 0}},
            "student.model.tokenizer": "train",
            "checks": {"min_teacher_rows": 5, "min_train_rows": 5},
            "quality.labels": list(TOPICS),
            "quality.near_duplicate_similarity": None,
            "data.validation": [],
        },
    )
    for old in (folder / "data").rglob("*.jsonl"):
        old.unlink()
    for part in range(PARTS):
        write_part(folder, part)
    (folder / "data/test.jsonl").write_text("".join(json.dumps(request(n)) + "\n" for n in range(900, 904)))
    fault_server.script(rules=rules())
    config = load_config(path)
    with own_instance(config) as instance:
        outcome = run_project(config, instance, "student_base")
        assert not outcome.failed, outcome.failed
        write_part(folder, 2, " again")
        assert not run_project(config, instance, "raw_dataset").failed
        result = (
            build_definitions(config)
            .resolve_implicit_global_asset_job_def()
            .execute_in_process(
                instance=instance,
                asset_selection=[dg.AssetKey(name) for name in ("teacher_outputs", *FOLLOWS)],
                partition_key=POISONED,
                raise_on_error=False,
                run_config=QUIET,
            )
        )
        assert not result.success
        yield path, result.run_id


@pytest.fixture(scope="module")
def server(failed_run):
    with DevServer(failed_run[0]) as running:
        yield running


@pytest.fixture(scope="module")
def browser():
    with open_browser() as driver:
        yield driver


def test_the_check_that_failed_names_the_shard_and_the_numbers_and_plots_them(server, browser):
    browser.get(f"{server.url}/assets/teacher_outputs?view=checks&checkDetail=few_refusals")
    see(
        browser,
        "This is a blocking asset check",
        "14 of 60 answers decline (23.3%); at most 5.0% are allowed",
        POISONED,
    )
    see(browser, "Plots", "refusal_share")
    assert browser.execute_script("return document.querySelectorAll('canvas').length") == NUMBERS
    keep_picture(browser, "check-failed")
    click(browser, "Partitions", exact=True, kind="a, [role=tab]")  # the last one is the check's, before it the asset's
    see(browser, "Failed (1)", f"Passed ({PARTS - 1})", POISONED)
    keep_picture(browser, "check-partitions")


def test_the_shards_numbers_are_plotted_over_the_shards(server, browser):
    browser.get(f"{server.url}/assets/teacher_outputs?view=overview")
    see(browser, "tokens_per_second")
    click(browser, "Plots", exact=True)
    see(browser, "truncated_share", "When graphing values by partition")
    browser.execute_script(INTO_VIEW, "truncated_share")
    keep_picture(browser, "check-plot")


def test_what_follows_the_bad_shard_was_not_made(server, browser, failed_run):
    browser.get(f"{server.url}/runs/{failed_run[1]}")
    see(browser, f"partition: {POISONED}", "Errored (1)", "checks_of_teacher_outputs")
    click(browser, "Not executed", kind="div[role=button], button, h2, div")
    see(browser, "Dependencies for step validated_synthetic_set failed: ['checks_of_teacher_outputs']. Not executing.")
    see(browser, "2 blocking asset checks failed with ERROR severity")
    keep_picture(browser, "not-made")
    browser.get(f"{server.url}/assets/student_checkpoint")
    see(browser, "student_checkpoint", "Failed in")
    keep_picture(browser, "student")


def test_the_sets_plots_are_shown(server, browser):
    browser.get(f"{server.url}/assets/validated_synthetic_set")
    see(browser, "labels_before_and_after", "refused_by_filter", "[Show Markdown]")
    for number, name in enumerate(("labels", "gold")):
        browser.execute_script(SHOW, number)
        wait_for(lambda: browser.execute_script(WIDTH) > 300, f"the picture of {name}")
        keep_picture(browser, f"plot-{name}")
        click(browser, "Close", exact=True)

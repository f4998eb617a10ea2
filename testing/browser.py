"""The Dagster UI as a person uses it: a headless Chromium, and functions that read and click.

Tests that use it are skipped if Chromium or its driver is missing. Screenshots go to the folder that
DISTILL_SCREENSHOTS names, so that the pictures in the documentation can be made again.
"""

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from testing.waiting import wait_for

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
needs_browser = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="no chromium with chromedriver on this machine")
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --window-size=2400,1200"
)


@contextlib.contextmanager
def open_browser() -> Iterator[Any]:
    """A browser that is closed when the block ends."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in FLAGS.split():
        options.add_argument(flag)
    driver = webdriver.Chrome(service=Service(DRIVER), options=options)
    try:
        yield driver
    finally:
        driver.quit()


def text_of(browser) -> str:
    """What the page shows, read in one step: an element held between two calls can go stale as the page re-renders."""
    return browser.execute_script("return document.body ? document.body.innerText : ''")


def see(browser, *words):
    """Wait until the page shows all the words."""
    try:
        wait_for(lambda: all(word in text_of(browser) for word in words), f"a page that shows {words}")
    except pytest.fail.Exception as e:
        pytest.fail(f"{e}; it shows: {text_of(browser)}")


CLICK = """
const [words, exact, kind] = arguments, says = b => b.textContent.replace(/\\s+/g, ' ').trim();
const fits = b => (exact ? says(b) === words : says(b).includes(words)) && !b.disabled && b.getClientRects().length;
const button = [...document.querySelectorAll(kind)].filter(fits).pop();
if (button) { button.scrollIntoView({block: 'center'}); button.click(); }
return Boolean(button);
"""


def click(browser, words, exact=False, kind="button"):
    """Click the last visible, enabled element of a kind that says so; found and clicked in one step as in `text_of`."""
    wait_for(lambda: browser.execute_script(CLICK, words, exact, kind), f"a {kind} {words!r}")


def keep_picture(browser, name):
    """Save what the window shows, if DISTILL_SCREENSHOTS is set."""
    if folder := os.environ.get("DISTILL_SCREENSHOTS"):
        time.sleep(3)  # the layout of the graph is animated
        browser.save_screenshot(str(Path(folder) / f"{name}.png"))

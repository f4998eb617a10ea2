"""The report's page as a person reads it: on paper, on a phone, and on a desk. A real browser lays it out.

DISTILL_SCREENSHOTS names a folder for the pictures in docs/images.
"""

import base64
import io
import os
import subprocess
from pathlib import Path

import pytest

from distill_dagster.report.writing import write_pages
from testing.browser import needs_browser, open_browser
from testing.full_report import full_report

pytestmark = [pytest.mark.processes, needs_browser, pytest.mark.timeout(300)]
PHONE, DESK = (375, 812), (1280, 900)
A4 = (210, 297)  # millimetres
MARGIN = 12 / 25.4 * 72  # of @page, in points
PAPER_WIDTH = round((A4[0] - 24) / 25.4 * 96)  # between the margins, in CSS pixels
GAP = 12  # pixels between the pages of a picture

HEADINGS = "return [...document.querySelectorAll('h1, h2, h3, summary')].map(e => e.textContent.trim())"
LAST_COLUMNS = """
return [...document.querySelectorAll('table')].filter(t => t.tHead).map(t => {
  const head = [...t.tHead.rows[0].cells].at(-1);
  return [...head.childNodes].map(n => n.textContent.trim()).join(' ').trim();
});
"""
WIDER = """
const outside = e => e.getBoundingClientRect().right > innerWidth + 0.5 && !e.closest('.scroll');
return [...document.querySelectorAll('main *')].filter(outside).map(e => e.outerHTML.slice(0, 80));
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("report")
    write_pages(folder, full_report(folder))
    return (folder / "report.html").as_uri()


@pytest.fixture(scope="module")
def browser(address):
    with open_browser() as driver:
        driver.get(address)
        yield driver


@pytest.fixture(scope="module")
def printed(browser):
    """The pages of the printed report, as pypdf reads them."""
    from pypdf import PdfReader
    from selenium.webdriver.common.print_page_options import PrintOptions

    options = PrintOptions()
    options.page_width, options.page_height = A4[0] / 10, A4[1] / 10
    paper = base64.b64decode(browser.print_page(options))
    keep_print(paper)
    return PdfReader(io.BytesIO(paper)).pages


def keep_print(paper: bytes) -> None:
    """Save the first pages side by side, as pdftoppm draws them, if DISTILL_SCREENSHOTS is set."""
    if folder := os.environ.get("DISTILL_SCREENSHOTS"):
        from PIL import Image

        pages = [Image.open(io.BytesIO(drawn_page(paper, number))) for number in (1, 2, 3)]
        width, height = pages[0].size
        sheet = Image.new("RGB", (len(pages) * (width + GAP) + GAP, height + 2 * GAP), "#9aa6b2")
        for place, page in enumerate(pages):
            sheet.paste(page, (GAP + place * (width + GAP), GAP))
        sheet.quantize(256).save(Path(folder) / "report-print.png", optimize=True)


def drawn_page(paper: bytes, number: int) -> bytes:
    """A page of a PDF as a PNG."""
    which = ["-f", str(number), "-l", str(number)]
    return subprocess.run(["pdftoppm", "-png", "-r", "70", *which], input=paper, capture_output=True, check=True).stdout


def words(text: str) -> str:
    """The text without white space, which a line break may replace."""
    return "".join(text.split())


def test_no_printed_page_ends_with_a_heading(printed, browser):
    headings = {words(text) for text in browser.execute_script(HEADINGS)}
    assert len(headings) > 12
    last_lines = [[line for line in page.extract_text().splitlines() if line.strip()][-1] for page in printed]
    assert len(last_lines) > 3
    assert [line for line in last_lines if words(line) in headings] == []


def test_folded_parts_are_printed(printed):
    paper = words("".join(page.extract_text() for page in printed))
    for text in (
        "validated_synthetic_set.data_version",
        "learning_rate",
        "versions.torch",
        "What the student confuses",
    ):
        assert words(text) in paper, text


def test_no_printed_table_is_cut_at_the_right(printed, browser):
    columns = browser.execute_script(LAST_COLUMNS)
    assert len(columns) > 10
    paper = words("".join(page.extract_text() for page in printed))
    assert [column for column in columns if words(column) not in paper] == []
    outside = []

    def look(text, matrix, position, font, size):
        """Where a text begins, in points from the left; labels of an axis are turned, so both matrices count."""
        x = position[4] * matrix[0] + position[5] * matrix[2] + matrix[4]
        if text.strip() and not MARGIN * 0.9 <= x <= A4[0] / 25.4 * 72 - MARGIN * 0.9:
            outside.append(text)

    for page in printed:
        page.extract_text(visitor_text=look)
    assert outside == []


CUT = """
const cut = t => t.getBoundingClientRect().right > t.parentElement.getBoundingClientRect().right + 0.5;
return [...document.querySelectorAll('.scroll > table')].filter(cut).map(t => t.textContent.trim().slice(0, 60));
"""


def test_no_table_is_wider_than_the_paper(browser):
    lay_out(browser, PAPER_WIDTH, 900)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    found = browser.execute_script(CUT)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert found == []


def lay_out(browser, width: int, height: int, is_phone: bool = False) -> None:
    """Give the page a window of this size."""
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": is_phone}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


@pytest.mark.parametrize(("name", "size"), [("report-375", PHONE), ("report", DESK)])
def test_the_page_does_not_scroll_sideways(browser, name, size):
    lay_out(browser, *size, is_phone=size is PHONE)
    shown, inner = browser.execute_script("return [document.scrollingElement.scrollWidth, innerWidth]")
    assert shown <= inner == size[0]
    assert browser.execute_script(WIDER) == []
    keep_page(browser, name, *size)


def keep_page(browser, name: str, width: int, height: int) -> None:
    """Save the top of the page, if DISTILL_SCREENSHOTS is set."""
    if folder := os.environ.get("DISTILL_SCREENSHOTS"):
        clip = {"x": 0, "y": 0, "width": width, "height": 2 * height, "scale": 1}
        shot = browser.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
        (Path(folder) / f"{name}.png").write_bytes(base64.b64decode(shot["data"]))

"""The report in a real headless Chromium: every figure loads, nothing overflows, hostile text stays text."""

from __future__ import annotations

import os
import shutil

import pytest

from paced.analysis.page import Picture, Sample, Section, render
from paced.analysis.report.report import write_report
from paced.figures import new_figure, png_bytes

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
HOSTILE = "<img src=x onerror=\"document.title='owned'\"> \x1b[31mred\x1b[0m " + "unbroken" * 60

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.xdist_group("browser"),
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine; .ci/run installs one where it may"),
]


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    options = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
    if os.geteuid() == 0:
        options.append("--no-sandbox")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield chromium
        chromium.close()


def hostile_page() -> str:
    figure, axes = new_figure(width=6.5)
    axes.plot([0, 1], [0, 1])
    picture = Picture(title=HOSTILE, png=png_bytes(figure), alternative=HOSTILE)
    wide = {f"column {k}": [HOSTILE[:40]] * 3 for k in range(14)}
    section = Section(
        title="Everything at once",
        prose=(HOSTILE,),
        tables=(("a table wider than a phone", wide),),
        pictures=(picture, picture),
        samples=(Sample(heading=HOSTILE, lines=(("student", HOSTILE),)),),
        details=((HOSTILE, HOSTILE),),
        missing=(HOSTILE,),
    )
    return render("hostile run", HOSTILE, [section])


def inspect(browser, path, width):
    """Open a page without a network and return what a reader would notice."""
    context = browser.new_context(viewport={"width": width, "height": 900}, offline=True)
    page = context.new_page()
    requests, faults = [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(path.as_uri())
    page.wait_for_load_state()
    seen = page.evaluate(
        """() => ({
            title: document.title,
            figures: [...document.images].map(image => image.complete && image.naturalWidth > 0),
            overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
            sticking: [...document.querySelectorAll('p, h1, h2, h3, img, dl, pre, .scroll, figure')]
                .filter(node => node.getBoundingClientRect().right > window.innerWidth + 1).map(node => node.tagName),
            text: document.body.innerText,
        })"""
    )
    context.close()
    return seen | {"outside": [url for url in requests if not url.startswith(("file:", "data:"))], "faults": faults}


@pytest.mark.parametrize("width", [1280, 375], ids=["desktop", "phone"])
def test_a_hostile_page_loads_fits_and_stays_text(browser, tmp_path, width):
    file = tmp_path / "report.html"
    file.write_text(hostile_page(), encoding="utf-8")
    seen = inspect(browser, file, width)
    assert seen["figures"] == [True, True]
    assert seen["overflow"] <= 0
    assert seen["sticking"] == []
    assert seen["title"] == "hostile run"
    assert "<img src=x onerror=" in seen["text"]
    assert "\\x1b[31mred" in seen["text"]
    assert seen["outside"] == []
    assert seen["faults"] == []


@pytest.mark.parametrize("width", [1280, 375], ids=["desktop", "phone"])
def test_the_report_of_a_run_loads_and_fits(browser, small_run, width):
    seen = inspect(browser, write_report(small_run), width)
    assert len(seen["figures"]) == 4
    assert all(seen["figures"])
    assert seen["overflow"] <= 0
    assert seen["sticking"] == []
    assert "<img src=x onerror=alert(1)>" in seen["text"]
    assert seen["outside"] == []
    assert seen["faults"] == []


def test_the_browser_would_notice_a_page_that_overflows(browser, tmp_path):
    file = tmp_path / "wide.html"
    file.write_text("<body><p style='width: 3000px'>wide</p><img src='data:image/png;base64,AAAA'></body>")
    seen = inspect(browser, file, 375)
    assert seen["overflow"] > 0
    assert seen["sticking"]
    assert seen["figures"] == [False]

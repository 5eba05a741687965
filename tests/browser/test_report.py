"""A report, opened from disk where there is no network, and printed."""

import re
from pathlib import Path

import pytest

from control_plane.store.store import open_store
from tests.browser.conftest import OpenPage
from tests.builders.runs import ASYNC, BLOCKING, THREADED, decided
from tests.builders.trends import P50S, repeated
from tests.in_process import in_process
from tests.pages.stored import Stored


def report(name: str, stored: Stored, folder: Path) -> bytes:
    ids = stored.runs.classic
    if name in {"run", "compare"}:
        path = f"/runs/{ids[2]}.html" if name == "run" else f"/compare.html?runs={','.join(ids)}"
        return stored.looplab.get(path).content
    if name == "trend":
        (first, *_) = repeated(folder / "runs.db", P50S)
    else:
        store = open_store(folder / "runs.db")
        first = decided(store, "classic", [BLOCKING, THREADED, ASYNC]).id
        store.close()
    with in_process(folder) as looplab:
        return looplab.get(f"/{name}s/{first}.html").content


@pytest.mark.parametrize("name", ["run", "compare", "trend", "experiment"])
def test_a_report_opens_from_disk_and_prints_whole(
    open_page: OpenPage, stored: Stored, tmp_path: Path, name: str
) -> None:
    file = tmp_path / "report.html"
    file.write_bytes(report(name, stored, tmp_path))
    page = open_page(offline=True, viewport={"width": 1440, "height": 900})
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri())
    page.wait_for_function(
        """() => [...document.querySelectorAll("lab-figure")]
          .every((figure) => figure.querySelector(".main-svg"))"""
    )
    assert asked == [file.as_uri()]
    assert page.locator("lab-figure").count() >= (1 if name in {"trend", "experiment"} else 3)
    # The paper is narrower than the screen: what would reach beyond it is cut off.
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not([open])").count() == 0
    beyond = page.evaluate(
        """() => [...document.querySelectorAll("lab-figure .main-svg, table, pre, h1, p")]
          .filter((element) => element.getBoundingClientRect().right > 701)
          .map((element) => element.outerHTML.slice(0, 80))"""
    )
    assert beyond == []
    tallest = "Math.max(...[...document.querySelectorAll('figure')].map((f) => f.clientHeight))"
    assert page.evaluate(tallest) < 1000
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate("document.querySelector('main').clientWidth") > 1000
    printed = page.pdf(prefer_css_page_size=True, print_background=True)
    pages = len(re.findall(rb"/Type\s*/Page\b", printed))
    assert (1 if name == "trend" else 3) <= pages <= 16

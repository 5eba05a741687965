"""Home, history, targets, glossary and what keeps people out of a page, in a real browser."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from playwright.sync_api import Error, Locator, Page, expect

from control_plane.domain.experiment import rounded_blocks
from control_plane.store.share_links import ShareSubject
from control_plane.store.store import open_store
from tests.browser.axe import violations
from tests.browser.conftest import POLL_MS, OpenPage
from tests.builders.records import Shape
from tests.builders.runs import finished, items
from tests.builders.trends import P50S, repeated
from tests.dashboard import BARE, Dashboard, forked_dashboard, provide_database
from tests.pages.stored import copied

PATHS = (
    "/", "/runs/new", "/runs/new?configuration=own", "/history",
    "/history?state=failed&tag=classic", "/targets", "/targets/new", "/experiments", "/workloads",
    "/glossary", "/components", "/not-starting", "/shares", "/trends", "/audit", "/nothing",
)  # fmt: skip
WIDTHS = (360, 390, 640, 768, 1_024, 1_200, 1_440, 2_560)
COLOURS = ["color-contrast", "link-in-text-block"]
"""The rules of axe that look at colours."""
BEYOND_THE_CELL = """(names) => {
  const right = (element) => element.getBoundingClientRect().right;
  return names
    .filter((name) => name.checkVisibility() && right(name) > right(name.closest("th, td")))
    .map((name) => name.textContent);
}"""


@pytest.fixture(scope="module")
def looplab(
    tmp_path_factory: pytest.TempPathFactory, history_database: Path
) -> Iterator[Dashboard]:
    with forked_dashboard(copied(history_database, tmp_path_factory.mktemp("shown"))) as started:
        yield started


@pytest.mark.parametrize("path", PATHS)
def test_nothing_keeps_people_out(
    open_page: OpenPage, looplab: Dashboard, problems, path: str
) -> None:
    """By axe, and at every width.

    axe writes a style of its own, which the policy would refuse, and misreads `@import`.
    """
    problems.expect("/vendor/pico.min.css")
    problems.expect("/nothing")
    page = open_page(color_scheme="light", bypass_csp=True)
    page.goto(looplab.url + path)
    assert in_both_schemes(page) == ([], [])
    assert too_wide(page) == []


Violations = list[tuple[str, str]]


def in_both_schemes(page: Page) -> tuple[Violations, Violations]:
    """What axe finds on a light page, and once it is dark: then its colours alone are others."""
    light = violations(page)
    page.emulate_media(color_scheme="dark")
    page.evaluate(
        "Promise.all(document.getAnimations().map((each) => each.finished)).then(() => 0)"
    )
    return light, violations(page, runOnly=COLOURS)


def test_the_description_of_the_api_keeps_nobody_out(
    open_page: OpenPage, looplab: Dashboard, problems
) -> None:
    problems.expect("/vendor/pico.min.css")
    page = open_page(color_scheme="light", bypass_csp=True)
    page.goto(f"{looplab.url}/docs")
    page.get_by_role("button", name="/api/runs/{run_id}", exact=False).first.click()
    expect(page.get_by_text("Ten characters.")).to_be_visible()
    assert in_both_schemes(page) == ([], [])
    assert too_wide(page) == []


def test_a_trend_keeps_nobody_out(open_page: OpenPage, problems, tmp_path: Path) -> None:
    facts = [{"kernel": f"6.1.{n // 15}", "commit": f"{n // 4:07x}"} for n in range(24)]
    (run_id, *_) = repeated(tmp_path / "runs.db", [0.01] * 12 + [0.012] * 12, facts)
    problems.expect("/vendor/pico.min.css")
    with forked_dashboard(tmp_path) as looplab:
        page = open_page(color_scheme="light", bypass_csp=True)
        page.goto(f"{looplab.url}/trends/{run_id}")
        expect(page.locator("#trend .main-svg").first).to_be_visible()
        assert violations(page) == []
        assert too_wide(page) == []
        page.set_viewport_size({"width": 1_440, "height": 900})
        page.locator("summary", has_text="Add a step").click()
        fold = page.locator("#add")
        expect(fold.get_by_label("Before run")).to_be_visible()
        expect(fold.get_by_role("button", name="Add")).to_be_visible()
        assert violations(page) == []
        page.get_by_role("button", name="Reject").click()
        expect(page.get_by_text("Rejected 1")).to_be_visible()


def test_a_shared_trend_fits_a_small_screen_and_paper(
    open_page: OpenPage, problems, tmp_path: Path
) -> None:
    facts = [{"commit": f"{n // 4:07x}"} for n in range(24)]
    (run_id, *_) = repeated(tmp_path / "runs.db", P50S, facts)
    store = open_store(tmp_path / "runs.db")
    spec = store.trend_spec(run_id)
    token = store.make_share_link(ShareSubject("trend", spec, "items"), [], 7)
    store.close()
    problems.expect("/vendor/pico.min.css")
    with forked_dashboard(tmp_path) as looplab:
        page = open_page(viewport={"width": 390, "height": 844})
        page.goto(f"{looplab.url}/shared/{token}")
        box = page.get_by_role("region", name="The steps and their commits")
        assert box.evaluate("(each) => each.scrollWidth - each.clientWidth") == 0
        expect(box.get_by_role("row").get_by_text("Commits measured there")).to_be_visible()
        files = page.locator("nav[aria-label='Files']")
        expect(files).to_be_visible()
        page.emulate_media(media="print")
        expect(files).to_be_hidden()


def test_the_history_breaks_a_long_name(
    open_page: OpenPage, history_database: Path, tmp_path: Path
) -> None:
    name = "gunicorn, 2 workers, uvicorn_worker, uvloop, reuse port"
    folder = copied(history_database, tmp_path)
    with closing(sqlite3.connect(folder / "runs.db")) as database, database:
        database.execute("UPDATE run SET given_name = ?", (name,))
    with forked_dashboard(folder) as looplab:
        page = open_page(viewport={"width": 1_440, "height": 900})
        page.goto(f"{looplab.url}/history")
        box = page.get_by_role("region", name="Table of runs")
        expect(box.get_by_text(name).first).to_be_visible()
        assert box.evaluate("(each) => each.scrollWidth - each.clientWidth") == 0


def test_tables_are_not_cut_by_long_names(open_page: OpenPage, tmp_path: Path) -> None:
    shape = Shape(2_000, 1.2, spread=0.3, first_byte_share=0.3, queued_s=1.0, errors={"timeout": 9})
    name, load = "search_suggestions_of_the_new_checkout", {"model": "closed", "concurrency": 400}
    request = {"path": "/items/of/a/checkout/with/recommendations"}
    stream = {"name": name, "requests": [request], "load": load, "stop": {"duration_s": 60}}
    spec = items(title="answers_of_the_new_checkout_release_2_4", workload={"streams": [stream]})
    store = open_store(provide_database(tmp_path / "runs.db"))
    ids = [finished(store, spec, shape).id for _ in range(2)]
    store.close()
    with forked_dashboard(tmp_path) as looplab:
        page = open_page(viewport={"width": 1_440, "height": 900})
        for path, label in (
            (f"/runs/{ids[0]}", "Numbers of each stream"),
            (f"/compare?runs={','.join(ids)}", "Numbers of each run"),
        ):
            page.goto(looplab.url + path)
            box = page.get_by_role("region", name=label)
            assert box.evaluate("(each) => each.scrollWidth - each.clientWidth") == 0
            assert page.locator("table .run-chip > *").evaluate_all(BEYOND_THE_CELL) == []


def test_a_label_that_is_cut_keeps_its_clock(open_page: OpenPage, tmp_path: Path) -> None:
    names = ("search_suggestions_of_the_new_checkout", "recommendations_of_the_new_checkout")
    load = {"model": "open", "rate_per_s": 2_000, "arrivals": "constant"}
    of_all = {"requests": [{"path": "/"}], "load": load, "stop": {"duration_s": 3}}
    streams = [{"name": name, **of_all} for name in names]
    spec = items(workload={"streams": streams}, trials=1)
    with closing(open_store(provide_database(tmp_path / "runs.db"))) as store:
        run = finished(store, spec, Shape(2_000, 0.01, queued_s=0.05))
    with forked_dashboard(tmp_path) as looplab:
        page = open_page(viewport={"width": 900, "height": 900})
        page.goto(f"{looplab.url}/runs/{run.id}")
        figure = page.locator("lab-figure#percentiles")
        expect(figure.get_by_text("service time")).to_have_count(2)
        assert kept_of_cut(figure) == [" response time", " response time", *[" service time"] * 2]
        page.set_viewport_size({"width": 390, "height": 844})
        expect(figure.get_by_text("service", exact=False)).to_have_count(2)
        expect(figure.get_by_text("service time")).to_have_count(0)
        assert kept_of_cut(figure) == [" response", " response", " service", " service"]
        tile = page.locator(".tile > dt").first
        assert tile.evaluate("(label) => label.scrollWidth - label.clientWidth") == 0


def kept_of_cut(figure: Locator) -> list[str]:
    """Return what stands behind the dots of each label that was cut."""
    told = figure.locator(".annotation-text").all_text_contents()
    return sorted(text.rpartition("…")[2] for text in told if "…" in text)


def test_title_and_validity_share_a_line(open_page: OpenPage, looplab: Dashboard) -> None:
    page = open_page(viewport={"width": 360, "height": 800})
    page.goto(f"{looplab.url}/history")
    row = page.locator("tr:has(> .judged)").first
    title, judged = (row.locator(part) for part in (".title", ".judged"))
    apart = judged.evaluate("(cell) => cell.offsetTop") - title.evaluate("(cell) => cell.offsetTop")
    assert abs(apart) < 12


FITS = "width => document.documentElement.scrollWidth <= width"


def too_wide(page: Page) -> list[tuple[int, int]]:
    """The widths at which the page is wider than its window, each with how wide it is then.

    Figures follow the window a moment later.
    """
    found = []
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        with suppress(Error):
            page.wait_for_function(FITS, arg=width, timeout=5_000, polling=POLL_MS)
        found.append((width, page.evaluate("document.documentElement.scrollWidth")))
    return [(width, wide) for width, wide in found if wide > width]


def test_an_experiment_is_decided_while_it_is_looked_at(
    open_page: OpenPage, looplab: Dashboard, problems
) -> None:
    stream = {
        "requests": [{"path": "/"}],
        "load": {"model": "closed", "concurrency": 1},
        "stop": {"requests": 300},
    }
    arms = [{"name": name, "spec": {"client": {"loop": name}}} for name in ("uvloop", "asyncio")]
    common = {**BARE, "workload": {"streams": [stream]}, "warmup_s": 0}
    blocks = 4
    document = {"question": "Which loop?", "blocks": blocks, "spec": common, "arms": arms}
    made = looplab.post("/api/experiments", document).json()
    assert rounded_blocks(len(arms), blocks) == blocks
    problems.expect("/vendor/pico.min.css")
    page = open_page(bypass_csp=True)
    page.goto(looplab.url + made["url"])
    expect(page.get_by_role("button", name="Cancel")).to_be_visible()
    page.wait_for_function(
        """() => !document.querySelector("#experiment").hasAttribute("hx-get")""",
        timeout=60_000,
        polling=POLL_MS,
    )
    expect(page.locator("#effects td.verdict").first).to_be_visible()
    expect(page.get_by_role("button", name="Cancel")).to_be_hidden()
    # Loaded anew, where what was there while it measured has left no room behind.
    assert page.evaluate("performance.getEntriesByType('navigation')[0].type") == "reload"
    over = looplab.get(f"{made['url']}/live")
    assert (over.status_code, over.headers["hx-refresh"]) == (204, "true")
    assert violations(page) == []
    assert too_wide(page) == []


def test_keys(page: Page, looplab: Dashboard) -> None:
    page.goto(looplab.url)
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#keys")).to_be_hidden()
    page.keyboard.press("n")
    page.wait_for_url("**/runs/new")
    page.keyboard.press("/")
    page.wait_for_url("**/history#text")
    expect(page.locator("#text")).to_be_focused()
    page.locator("#text").blur()
    page.keyboard.press("/")
    expect(page.locator("#text")).to_be_focused()
    page.keyboard.type("n?c")
    expect(page.locator("#text")).to_have_value("n?c")


def test_the_first_tab_skips_to_the_content(page: Page, looplab: Dashboard) -> None:
    page.goto(looplab.url)
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    assert page.url.endswith("#main")


def test_the_theme_stays(open_page: OpenPage, looplab: Dashboard) -> None:
    page = open_page(color_scheme="light")
    page.goto(looplab.url)
    page.get_by_role("button", name="Dark").click()
    dark = "getComputedStyle(document.body).backgroundColor === 'rgb(16, 20, 24)'"
    assert page.evaluate(dark)
    page.goto(f"{looplab.url}/history")
    assert page.evaluate(dark)
    page.get_by_role("button", name="System").click()
    assert not page.evaluate(dark)


def test_a_term_is_explained_where_it_stands(page: Page, looplab: Dashboard) -> None:
    page.goto(f"{looplab.url}/history")
    page.get_by_role("button", name="Tail").click()
    expect(page.locator("#tip-tail")).to_contain_text("A flat line is a short tail.")
    page.locator("#tip-tail a").click()
    page.wait_for_url("**/glossary#tail")


def test_chosen_runs_get_their_letters(page: Page, looplab: Dashboard) -> None:
    page.goto(f"{looplab.url}/history?tag=classic")
    compare = page.get_by_role("button", name="Compare")
    expect(compare).to_be_disabled()
    for name in ("items, async", "items, blocking"):
        page.get_by_label(f"Choose {name}").check()
    expect(page.locator(".tray [data-slot]:visible")).to_have_text(
        [re.compile("A.*items, blocking"), re.compile("B.*items, async")]
    )
    page.keyboard.press("c")
    page.wait_for_url(re.compile("/compare[?]runs=[0-9a-z]{10},[0-9a-z]{10}$"))


def test_the_history_follows_what_is_typed(page: Page, looplab: Dashboard) -> None:
    page.goto(f"{looplab.url}/history?tag=classic")
    page.get_by_label("Search").press_sequentially("items block")
    boxes = page.get_by_role("checkbox")
    expect(boxes).to_have_count(1)
    expect(page).to_have_url(f"{looplab.url}/history?text=items+block&tag=classic")
    boxes.check()
    expect(page.locator("[data-count]")).to_have_text("1 chosen")
    page.get_by_label("From", exact=True).fill("2100-01-01")
    expect(page.get_by_role("heading", name="No run matches")).to_be_visible()
    expect(page.get_by_role("link", name="Without “From”: 1 run")).to_be_visible()
    expect(page.get_by_role("link", name="Without “Search”: 0 runs")).to_be_visible()
    expect(page.get_by_label("Search")).to_have_value("items block")
    page.get_by_label("From", exact=True).fill("")
    page.get_by_label("Search").fill("async")
    expect(page.get_by_label("Choose items, async")).to_be_visible()
    page.get_by_role("link", name="p50").click()
    page.wait_for_url("**sort=p50**")
    expect(page.get_by_role("group", name="Chosen on other pages")).to_have_text(
        re.compile("items, blocking")
    )
    page.get_by_label("Choose items, async").check()
    page.keyboard.press("c")
    page.wait_for_url(re.compile("/compare[?]runs=[0-9a-z]{10},[0-9a-z]{10}$"))


def test_choosing_works_without_script(open_page: OpenPage, looplab: Dashboard) -> None:
    page = open_page(java_script_enabled=False)
    page.goto(f"{looplab.url}/history?tag=classic")
    page.get_by_label("Choose items, async").check()
    page.get_by_label("Choose items, threaded").check()
    page.get_by_role("button", name="Compare").click()
    page.wait_for_url(re.compile("/compare[?]runs="))


@pytest.mark.parametrize("scripted", [True, False])
def test_a_small_screen_shows_filters_on_demand(
    open_page: OpenPage, looplab: Dashboard, scripted: bool
) -> None:
    page = open_page(viewport={"width": 390, "height": 844}, java_script_enabled=scripted)
    page.goto(f"{looplab.url}/history?state=finished")
    expect(page.get_by_label("State")).to_be_visible()
    expect(page.get_by_label("Tag").first).to_be_hidden()
    expect(page.locator("#chosen tbody tr").first).to_be_in_viewport()
    page.get_by_label("All filters").check()
    expect(page.get_by_label("Tag").first).to_be_visible()
    page.set_viewport_size({"width": 1440, "height": 900})
    expect(page.get_by_label("All filters")).to_be_hidden()
    expect(page.get_by_label("Tag").first).to_be_visible()


def test_the_key_of_the_search_makes_room_for_the_cross(page: Page, looplab: Dashboard) -> None:
    page.goto(f"{looplab.url}/history")
    key = page.locator(".search kbd")
    expect(key).to_be_visible()
    page.keyboard.press("/")
    expect(key).to_be_hidden()
    page.get_by_label("Search").fill("x")
    page.get_by_label("Search").blur()
    expect(key).to_be_hidden()

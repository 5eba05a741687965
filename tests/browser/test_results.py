"""Pages of runs and comparisons in a real browser: drawn, readable, and without a complaint."""

from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, ViewportSize, expect

from control_plane.analysis.charts.figure import short_time
from control_plane.analysis.charts.shift import signed
from control_plane.domain.units import number_of, rate, share
from control_plane.store.bundles import write_bundle
from control_plane.store.store import open_store
from tests.browser.axe import violations
from tests.browser.conftest import POLL_MS, OpenPage, Problems
from tests.builders.runs import ASYNC, ENVIRONMENT, finished, items
from tests.dashboard import BARE, Dashboard, items_spec, long_spec, provide_database
from tests.pages.stored import Stored

WIDE: ViewportSize = {"width": 1440, "height": 900}
SMALL: ViewportSize = {"width": 390, "height": 844}
PNG = b"\x89PNG\r\n\x1a\n"


COPIED = "sign => navigator.clipboard.readText().then((text) => text.startsWith(sign))"
PICTURED = """() => navigator.clipboard.read().then(
  (items) => items.some((item) => item.types.includes("image/png")))"""
WRITTEN = {"$time": short_time, "$rate": rate, "$share": share, "$shift": signed}
HOVERS = """() => [...document.querySelectorAll("lab-figure")].flatMap((figure) => {
  const given = JSON.parse(figure.getAttribute("figure")).data;
  const drawn = figure.querySelector(".js-plotly-plot").data;
  return drawn.map(({ text, x, y, z }, at) => [given[at].text, text, x, y, z, given[at].full]);
}).filter(([text]) => typeof text === "string")"""
DRAWN = """() => [...document.querySelectorAll("lab-figure")]
  .every((figure) => figure.querySelector(".main-svg"))"""


def addresses(stored: Stored) -> dict[str, str]:
    runs = stored.runs
    return {
        "run": f"/runs/{runs.classic[2]}",
        "streams": f"/runs/{runs.streams}",
        "blocked": f"/runs/{runs.blocked}?trial=1",
        "invalid": f"/runs/{runs.invalid}",
        "failed": f"/runs/{runs.failed}",
        "compare": f"/compare?runs={','.join(runs.classic)}",
        "refused": f"/compare?runs={runs.classic[2]},{runs.elsewhere},{runs.invalid}",
    }


def opened(page: Page, stored: Stored, name: str) -> Page:
    """The page with every figure drawn."""
    page.goto(stored.looplab.url + addresses(stored)[name])
    page.wait_for_function(DRAWN)
    return page


def test_a_result_of_elsewhere_is_measured_here_by_a_click(
    page: Page, problems: Problems, stored: Stored, tmp_path: Path
) -> None:
    theirs = open_store(provide_database(tmp_path / "runs.db"))
    short = items(trials=1, stop={"requests": 200}, warmup_s=0.1, concurrency=4, **BARE)
    finished(theirs, short, ASYNC, {**ENVIRONMENT, "hostname": "their-machine"})
    theirs.close()
    write_bundle(tmp_path / "runs.db", tmp_path / "theirs.looplab", [])
    page.goto(f"{stored.looplab.url}/import")
    page.get_by_label("File", exact=True).first.set_input_files(tmp_path / "theirs.looplab")
    page.get_by_role("button", name="Import").first.click()
    page.get_by_role("link", name="Repeat it here").click()
    expect(page.get_by_role("heading", name="What it starts here")).to_be_visible()
    assert problems.unexpected() == []
    problems.expect("inline")
    assert violations(page, preload=False) == []
    page.get_by_role("button", name="Start it").click()
    expect(page.get_by_text("Side by side, without a ratio: two machines")).to_be_visible(
        timeout=30_000
    )
    expect(page.locator("#compare").get_by_role("heading", level=1)).to_contain_text(
        "the machines differ"
    )


@pytest.mark.parametrize(
    ("name", "scheme"),
    [
        ("run", "light"),
        ("streams", "light"),
        ("blocked", "dark"),
        ("invalid", "dark"),
        ("failed", "light"),
        ("compare", "dark"),
        ("refused", "light"),
    ],
)
def test_nothing_stands_in_the_way_of_anyone(
    open_page: OpenPage, problems: Problems, stored: Stored, name: str, scheme: str
) -> None:
    """For axe, and at no width for the eye."""
    page = opened(open_page(viewport=WIDE, color_scheme=scheme), stored, name)
    assert problems.unexpected() == []
    # axe measures with inline styles, which the policy blocks.
    problems.expect("inline")
    assert violations(page, preload=False) == []
    if name in {"run", "blocked", "compare", "refused"}:
        is_never_wider_than_its_window(page)


def is_never_wider_than_its_window(page: Page) -> None:
    for width in (2_560, 1_440, 1_000, 700, 390, 360):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_function(
            """() => [...document.querySelectorAll("lab-figure")].every(
              (figure) => figure.querySelector(".main-svg").clientWidth === figure.clientWidth)"""
        )
        overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert (width, page.evaluate(overflow)) == (width, 0)


def test_a_wide_table_scrolls_and_a_figure_is_saved_or_read(
    page: Page, stored: Stored, tmp_path: Path
) -> None:
    page.set_viewport_size(SMALL)
    opened(page, stored, "run")
    a_table_wider_than_its_box_says_so(page)
    page.set_viewport_size(WIDE)
    a_figure_is_saved_as_a_picture(page, tmp_path / "saved.png")
    the_numbers_of_a_figure_stand_in_the_address(page)


def a_table_wider_than_its_box_says_so(page: Page) -> None:
    box = page.get_by_role("region", name="Numbers of each trial")
    assert box.evaluate("(box) => box.scrollWidth > box.clientWidth")
    attached = box.evaluate("(box) => getComputedStyle(box).backgroundAttachment")
    assert attached.startswith("local, local, scroll, scroll")
    box.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("(box) => box.scrollLeft > 0", arg=box.element_handle())


def test_hovering_writes_each_value_and_each_cell(page: Page, stored: Stored) -> None:
    seen = set()
    for name in ("blocked", "compare"):
        opened(page, stored, name)
        for text, texts, x, y, z, full in page.evaluate(HOVERS):
            seen.add(text)
            if text == "$requests":
                assert texts == [cell_texts(*row) for row in zip(y, y[1:], z, strict=False)]
            elif text == "$own":
                assert z == [shares(*row) for row in zip(texts, full, strict=True)]
            else:
                # Half of the last digit is rounded up there, and to an even one here.
                either = [line_texts(text, x, y, more) for more in (1, 1 + 1e-9)]
                assert all(said in both for said, *both in zip(texts, *either, strict=True))
    assert seen == {*WRITTEN, "$percentile", "$requests", "$own"}


def line_texts(text: str, x: list[float], y: list[float | None], more: float) -> list[str]:
    write = WRITTEN.get(text, short_time)
    by_place = text in {"$percentile", "$shift"}
    heads = [f"p{100 - 100 * 10**-at:.4g}: " if by_place else "" for at in x]
    values = zip(heads, y, strict=True)
    return [head + ("" if value is None else write(more * value)) for head, value in values]


def shares(values: list[float | None], full: float) -> list[float | None]:
    return [None if value is None else value / full for value in values]


def cell_texts(low_s: float, high_s: float, counts: list[int | None]) -> list[str]:
    time = short_time(float(f"{(low_s * high_s) ** 0.5:.2g}"))
    return [f"{time}: {number_of(many, 'request')}" if many else "" for many in counts]


def test_a_figure_follows_the_colours_and_runs_are_added_and_removed(
    page: Page, stored: Stored
) -> None:
    opened(page, stored, "compare")
    a_figure_follows_the_colours(page)
    runs_are_added_and_removed_by_hand(page)
    seconds_and_a_row_are_chosen_by_hand(page)


def a_figure_follows_the_colours(page: Page) -> None:
    line = page.locator("#percentiles .scatterlayer .js-line").first
    light = stroke(line)
    page.click("[data-set-theme=dark]")
    page.wait_for_function(
        """(before) => getComputedStyle(document.querySelector(
          "#percentiles .scatterlayer .js-line")).stroke !== before""",
        arg=light,
    )
    assert (light, stroke(line)) == ("rgb(60, 91, 156)", "rgb(51, 155, 218)")


def stroke(line: Locator) -> str:
    colour: str = line.evaluate("(line) => getComputedStyle(line).stroke")
    return colour


def a_figure_is_saved_as_a_picture(page: Page, picture: Path) -> None:
    with page.expect_download() as download:
        page.click("[data-png=percentiles]")
    assert download.value.suggested_filename == "percentiles.png"
    download.value.save_as(picture)
    assert picture.read_bytes().startswith(PNG)


def the_numbers_of_a_figure_stand_in_the_address(page: Page) -> None:
    table = page.locator("#distribution-table")
    expect(table).to_be_hidden()
    page.click("a[href='#distribution-table']")
    expect(table).to_be_visible()
    assert page.url.endswith("#distribution-table")
    page.reload()
    expect(table).to_be_visible()


def test_the_link_opens_the_same_view_elsewhere(open_page: OpenPage, stored: Stored) -> None:
    first = opened(
        open_page(viewport=WIDE, permissions=["clipboard-read", "clipboard-write"]),
        stored,
        "compare",
    )
    first.click("text=make baseline >> nth=1")
    expect(first.locator("h1")).to_contain_text("of C async")
    said = first.inner_text("h1")
    first.click("text=Copy as")
    first.get_by_role("button", name="Link", exact=True).click()
    first.wait_for_function(COPIED, arg="http")
    address = first.evaluate("navigator.clipboard.readText()")
    other = open_page(viewport=WIDE)
    other.goto(address)
    assert other.inner_text("h1") == said


def test_a_result_is_copied_and_shared(
    open_page: OpenPage, stored: Stored, problems: Problems
) -> None:
    clipboard = ["clipboard-read", "clipboard-write"]
    page = opened(open_page(viewport=WIDE, permissions=clipboard), stored, "compare")
    page.keyboard.press("e")
    expect(page.locator("#export")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.locator("#export a").first).to_be_focused()
    page.keyboard.press("Escape")
    for form, sign in (("Markdown", "**"), ("Table for a spreadsheet", "stream\tmetric")):
        page.click("[popovertarget=copy-as]")
        page.get_by_role("button", name=form, exact=True).click()
        page.wait_for_function(COPIED, arg=sign)
    page.click("[popovertarget=copy-as]")
    page.get_by_role("button", name="Picture of the percentiles, PNG").click()
    page.wait_for_function(PICTURED)
    page.get_by_role("link", name="Share", exact=True).click()
    page.get_by_role("button", name="Make a link").click()
    guest = open_page(viewport=WIDE)
    guest.goto(page.inner_text("#made-link"))
    guest.wait_for_function(DRAWN)
    is_never_wider_than_its_window(guest)
    problems.expect("inline")
    for shown in (page, guest):
        assert violations(shown, preload=False) == []


def seconds_and_a_row_are_chosen_by_hand(page: Page) -> None:
    """All runs show the same seconds at once, in place, too."""
    page.evaluate("window.stays = true")
    page.get_by_label("to", exact=True).fill("2")
    page.get_by_role("button", name="Show", exact=True).click()
    page.wait_for_url("**until=2")
    page.wait_for_function(
        """() => [...document.querySelectorAll("[id^=timeline-] .js-plotly-plot")].every(
        (each) => each.layout.xaxis.range[1] === 2)"""
    )
    page.locator("#ratios").get_by_role("link", name="p99 response time").first.click()
    page.wait_for_url("**metric=response_time_s.p99&until=2")
    expect(page.locator("#bars h2")).to_have_text("p99 response time")
    assert page.evaluate("window.stays")
    page.get_by_role("link", name="Every metric", exact=True).click()
    expect(page.locator("#bars h2")).to_have_text("Throughput")


def runs_are_added_and_removed_by_hand(page: Page) -> None:
    """In place: neither is the page loaded anew, nor does a run change its letter."""
    page.evaluate("window.stays = true")
    letters = page.locator("#run-header thead .letter")
    page.click("[aria-label='Remove B threaded']")
    expect(letters).to_have_text(["A", "C"])
    page.wait_for_url("**places=0,2")
    page.keyboard.press("c")
    page.click("#others a >> text=items, threaded")
    expect(letters).to_have_text(["A", "C", "B"])
    page.wait_for_url("**places=0,2,1")
    assert page.evaluate("window.stays")
    page.go_back()
    expect(letters).to_have_text(["A", "C"])


def test_without_javascript_everything_can_be_read(open_page: OpenPage, stored: Stored) -> None:
    page = open_page(java_script_enabled=False, viewport=SMALL)
    page.goto(stored.looplab.url + addresses(stored)["compare"])
    expect(page.locator("h1")).to_contain_text("served 7.4 times")
    page.click("a[href='#percentiles-table']")
    expect(page.locator("#percentiles-table")).to_be_visible()
    page.click("text=Export")
    expect(page.locator("#export")).to_be_visible()
    page.goto(stored.looplab.url + addresses(stored)["run"])
    page.click("text=Environment")
    expect(page.locator("#environment dl").first).to_be_visible()


@pytest.mark.parametrize("script", [True, False])
def test_a_run_is_cancelled(open_page: OpenPage, stored: Stored, script: bool) -> None:
    looplab = stored.looplab
    run_id = looplab.submit(long_spec(**BARE))
    looplab.until_state(run_id, {"running"})
    page = open_page(java_script_enabled=script, viewport=WIDE)
    page.goto(f"{looplab.url}/runs/{run_id}")
    if script:
        page.keyboard.press("Escape")
        expect(page.get_by_role("button", name="Cancel Enter")).to_be_focused()
        page.keyboard.press("Enter")
    else:
        page.click("button.danger")
    expect(page.locator("#run .banner, .banner")).to_contain_text("Cancelled", timeout=10_000)
    assert looplab.run(run_id)["state"] == "cancelled"


def test_a_page_says_that_its_numbers_are_old(
    page: Page, problems: Problems, stored: Stored
) -> None:
    problems.expect("ERR_INTERNET_DISCONNECTED")
    problems.expect("htmx:error: Failed to fetch")
    run_id = stored.looplab.submit(long_spec(**BARE))
    page.goto(f"{stored.looplab.url}/runs/{run_id}")
    expect(page.locator("#unanswered")).to_be_hidden()
    page.context.set_offline(True)
    expect(page.get_by_text("Looplab does not answer")).to_be_visible(timeout=10_000)
    assert page.evaluate("document.body.className") == "stale"
    page.context.set_offline(False)
    expect(page.locator("#unanswered")).to_be_hidden(timeout=10_000)
    assert page.evaluate("document.body.className") == ""
    stored.looplab.post(f"/runs/{run_id}/cancel")


def test_a_comparison_fills_while_it_is_looked_at(page: Page, stored: Stored) -> None:
    looplab: Dashboard = stored.looplab
    clients = ({"strategy": name} for name in ("async", "threaded"))
    ids = [looplab.submit(items_spec(target=BARE["target"], client=each)) for each in clients]
    page.goto(f"{looplab.url}/compare?runs={','.join(ids)}")
    expect(page.locator("#percentiles .main-svg").first).to_be_attached(timeout=30_000)
    page.wait_for_function(
        """() => !document.querySelector("#compare").hasAttribute("hx-get")""",
        timeout=30_000,
        polling=POLL_MS,
    )
    expect(page.locator("#numbers tbody tr")).to_have_count(2)

"""Results that stay: edited in place, deleted and put back, pinned, revoked, of other tools."""

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage, Problems
from tests.pages.stored import Stored

FILES = Path(__file__).parents[1] / "other_tools" / "files"

OVERLAPS = """() => [
  ...[...document.querySelectorAll("table.ratios tbody th small")].map(
    (note) => [note, note.closest("tr").querySelector(".who"), "bottom", "top"]),
  ...[...document.querySelectorAll("table.run-header thead th .run-chip")].map(
    (chip) => [chip, chip.closest("th").querySelector(".rate"), "right", "left"]),
].filter(([first, next, end, start]) =>
  first.getBoundingClientRect()[end] > next.getBoundingClientRect()[start]
).map(([first]) => first.textContent.trim())"""

CUT_OR_COVERED = """() => {
  const box = (each) => each.getBoundingClientRect();
  const figure = box(document.querySelector("#timeline"));
  const ticks = [...document.querySelectorAll("#timeline .plot-container g[class^=y] text")];
  const meet = (one, two) => one.left < two.right && two.left < one.right
    && one.top < two.bottom && two.top < one.bottom;
  return [...document.querySelectorAll("#timeline .annotation-text")].filter((title) =>
    box(title).left < figure.left || box(title).right > figure.right
    || ticks.some((tick) => meet(box(tick), box(title)))).map((title) => title.textContent)
}"""


def test_a_row_is_edited_where_it_stands(page: Page, stored: Stored) -> None:
    page.goto(f"{stored.looplab.url}/history?tag=bodies")
    page.get_by_role("link", name="Edit title, tags and note of large bodies").first.click()
    expect(page.get_by_label("Title", exact=True)).to_be_focused()
    page.get_by_label("Title", exact=True).fill("bodies of 25 MB")
    page.get_by_label("Tags, by commas").fill("bodies, nightly")
    page.get_by_label("Note", exact=True).fill("with the new parser")
    page.get_by_role("button", name="Save").click()
    page.wait_for_url("**/history?tag=bodies")
    row = page.get_by_role("row", name="bodies of 25 MB")
    expect(row.get_by_role("link", name="nightly")).to_be_visible()
    row.get_by_role("link", name="bodies of 25 MB", exact=True).click()
    expect(page.get_by_role("paragraph").filter(has_text="with the new parser")).to_be_visible()


def test_a_deleted_baseline_leaves_its_comparison_and_comes_back(
    page: Page, stored: Stored
) -> None:
    comparison = f"{stored.looplab.url}/compare?runs={','.join(stored.runs.classic)}"
    page.goto(f"{stored.looplab.url}/history")
    page.get_by_label("Choose items, blocking").check()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_role("heading", name="Delete 1 run?")).to_be_visible()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_text("1 run is deleted")).to_be_visible()
    undo = page.url
    page.goto(comparison)
    expect(page.get_by_text("The baseline was deleted: ")).to_be_visible()
    expect(page.locator("#run-header thead .letter")).to_have_count(2)
    page.goto(undo)
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("1 run is deleted")).to_have_count(0)
    page.goto(comparison)
    expect(page.locator("#run-header thead .letter")).to_have_text(["A", "B", "C"])


def test_a_pinned_baseline_is_offered_first(page: Page, stored: Stored) -> None:
    _, threaded, quick = stored.runs.classic
    page.goto(f"{stored.looplab.url}/runs/{threaded}")
    page.get_by_role("button", name="Pin", exact=True).click()
    page.get_by_label("Name of the baseline").fill("release 2.3")
    page.locator("#pin").get_by_role("button", name="Pin", exact=True).click()
    expect(page.get_by_text("pinned as release 2.3")).to_be_visible()
    page.goto(f"{stored.looplab.url}/runs/{quick}")
    page.keyboard.press("c")
    first = page.locator("#others li").first
    expect(first).to_contain_text("release 2.3: items, threaded")
    first.get_by_role("link").click()
    expect(page.get_by_text("is pinned as release 2.3, measured")).to_be_visible()
    expect(page.get_by_role("button", name="Refresh")).to_be_visible()


def test_a_revoked_link_opens_nothing(
    open_page: OpenPage, stored: Stored, problems: Problems
) -> None:
    page = open_page(viewport={"width": 1440, "height": 900})
    page.goto(f"{stored.looplab.url}/shares/new?kind=run&subject={stored.runs.blocked}")
    page.get_by_role("button", name="Make a link").click()
    guest = open_page(viewport={"width": 390, "height": 844})
    guest.goto(page.inner_text("#made-link"))
    expect(guest.get_by_role("heading", level=1)).to_contain_text("event loop was blocked")
    page.goto(f"{stored.looplab.url}/shares")
    (row,) = page.get_by_role("row").filter(has=page.get_by_role("button", name="Revoke")).all()
    expect(row.get_by_text("never")).to_have_count(0)
    row.get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("button", name="Revoke")).to_have_count(0)
    problems.expect("404")
    guest.reload()
    expect(guest.get_by_text("This link opens nothing")).to_be_visible()


def test_a_file_of_another_tool_stands_beside_a_run(page: Page, stored: Stored) -> None:
    page.goto(f"{stored.looplab.url}/import")
    part = page.locator("section", has=page.get_by_role("heading", name="Another tool"))
    part.get_by_label("File", exact=True).set_input_files(FILES / "oha.json")
    part.get_by_role("button", name="Import").click()
    expect(page.get_by_role("link", name="Other tools")).to_be_visible()
    page.get_by_role("button", name="Compare with…").click()
    page.locator("#others").get_by_role("link", name="items, async").first.click()
    page.wait_for_url("**/peers/compare?**")
    expect(page.locator("lab-figure .main-svg").first).to_be_attached()
    expect(page.get_by_role("columnheader", name="Verdict")).to_have_count(0)


def test_many_runs_stand_apart_on_a_small_screen(open_page: OpenPage, stored: Stored) -> None:
    runs = stored.runs
    ids = [*runs.classic, runs.elsewhere, runs.invalid, runs.asleep, runs.exhausted, runs.blocked]
    page = open_page(viewport={"width": 390, "height": 844})
    page.goto(f"{stored.looplab.url}/compare?runs={','.join(ids)}")
    expect(page.locator("table.run-header .run-chip").nth(7)).to_be_visible()
    expect(page.get_by_text("target, all processes").first).to_be_visible()
    assert page.evaluate(OVERLAPS) == []


def test_titles_of_panels_are_whole_on_the_smallest_screen(
    open_page: OpenPage, stored: Stored
) -> None:
    page = open_page(viewport={"width": 360, "height": 800})
    page.goto(f"{stored.looplab.url}/runs/{stored.runs.exhausted}")
    titles = page.locator("#timeline .annotation-text")
    expect(titles.filter(has_text=re.compile("^CPU: .*, 1.core$"))).to_have_count(1)
    expect(titles.filter(has_text=re.compile("^Thread-pool .*, limit 4$"))).to_have_count(1)
    assert page.evaluate(CUT_OR_COVERED) == []

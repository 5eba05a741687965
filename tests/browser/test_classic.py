"""The main job in a real browser: choose clients, watch them, compare, share the link."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.dashboard import Dashboard, forked_dashboard

ANSWER_MS = 120_000
WIDE = {"width": 1440, "height": 900}


@pytest.fixture(scope="module")
def looplab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    with forked_dashboard(tmp_path_factory.mktemp("classic")) as started:
        yield started


REQUESTS = 600


def choose(page: Page, looplab: Dashboard) -> list[str]:
    """Tick three clients on the page of a new run and press Start; the ids of its runs."""
    page.goto(f"{looplab.url}/runs/new")
    for client in ("threaded", "blocking"):
        page.get_by_label(client, exact=True).check()
    page.get_by_text("A number of requests", exact=True).click()
    page.get_by_label("Requests", exact=True).fill(f"{REQUESTS}")
    page.get_by_label("Trials", exact=True).fill("1")
    page.get_by_label("Warm-up", exact=True).fill("0.3")
    page.get_by_label("One run each").check()
    page.get_by_role("button", name="Start", exact=True).first.click()
    return compared(page)


def ask(page: Page, looplab: Dashboard) -> None:
    """Press Quick at the classic question, and look at its experiment."""
    page.goto(looplab.url)
    expect(page.get_by_role("heading", name="24,999 requests")).to_be_visible()
    page.locator("form[action='/experiments/classic/start'] button[value='quick']").first.click()
    page.wait_for_url(re.compile("/experiments/[0-9a-z]{10}$"))


def compared(page: Page) -> list[str]:
    page.wait_for_url(re.compile("/compare[?]runs="))
    return page.url.partition("runs=")[2].partition("&")[0].split(",")


def shown(page: Page) -> list[str]:
    """What the comparison says, without what tells the time."""
    return [page.locator("h1").inner_text(), *page.locator("main td, main th").all_inner_texts()]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_from_the_form_to_a_shared_link(open_page: OpenPage, looplab: Dashboard) -> None:
    page = open_page(viewport=WIDE, permissions=["clipboard-read", "clipboard-write"])
    ids = choose(page, looplab)
    assert len(ids) == 3
    expect(page.locator("#run-header")).to_contain_text("queued")

    watch(page, looplab, ids[-1])
    expect(page.locator("h1")).to_contain_text("served", timeout=ANSWER_MS)
    for run_id in ids:
        (stream,) = looplab.finished(run_id)["streams"]
        assert (stream["requests"], stream["completed"]) == (REQUESTS, REQUESTS)

    expect(page.locator("#run-header .badge")).to_have_count(3, timeout=ANSWER_MS)
    expect(page.locator(".js-plotly-plot").first).to_be_visible()
    page.get_by_role("button", name="Copy as").click()
    page.get_by_role("button", name="Link", exact=True).click()
    link = page.evaluate("navigator.clipboard.readText()")
    assert link.startswith(f"{looplab.url}/compare?runs={','.join(ids)}")

    fresh = open_page(viewport=WIDE)
    fresh.goto(link)
    expect(fresh.locator(".js-plotly-plot").first).to_be_visible()
    page.goto(link)
    assert shown(fresh) == shown(page)


def watch(page: Page, looplab: Dashboard, run_id: str) -> None:
    """The page of a run that waits for others goes on to its result by itself."""
    live = page.context.new_page()
    live.goto(f"{looplab.url}/runs/{run_id}")
    expect(live.get_by_role("button", name="Cancel")).to_be_visible()
    expect(live.locator("#live")).to_have_count(0, timeout=ANSWER_MS)
    expect(live.get_by_role("button", name="Cancel")).to_have_count(0)
    assert looplab.run(run_id)["state"] == "finished"
    live.close()


def test_reading_and_starting_without_script(open_page: OpenPage, looplab: Dashboard) -> None:
    page = open_page(java_script_enabled=False)
    ask(page, looplab)
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("main")).to_contain_text("cancelled")
    page.goto(f"{looplab.url}/runs/new")
    page.get_by_role("button", name="Start", exact=True).first.click()
    page.wait_for_url(re.compile("/runs/[0-9a-z]{10}$"))
    page.get_by_role("button", name="Cancel").click()
    page.goto(f"{looplab.url}/history")
    expect(page.locator("table tbody tr").first).to_be_visible()

"""Targets in a real browser: checked, read, started by hand, and what they say of themselves."""

import os
import re
import signal
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, Request, expect

from control_plane.targets.configurations import BUILTIN_CONFIGURATIONS
from tests.browser.axe import violations
from tests.browser.conftest import OpenPage
from tests.builders import own
from tests.dashboard import Dashboard, forked_dashboard
from tests.target_app.server import serving

NAME = BUILTIN_CONFIGURATIONS[0].name
READY_MS = 20_000


@pytest.fixture(scope="module")
def looplab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    folder = tmp_path_factory.mktemp("targets")
    own.project(folder)
    with forked_dashboard(folder) as started:
        yield started


def test_a_check_shows_its_end_without_a_reload(looplab: Dashboard, page: Page) -> None:
    page.goto(looplab.url + "/targets")
    page.click("#applications li:has-text('shop') >> text=Check")
    page.wait_for_selector("#checkup:has-text('It starts')")
    assert page.url.endswith("/targets/applications/shop#checkup")
    assert page.locator("#checkup[hx-trigger]").count() == 0


def test_a_request_is_called_after_the_application_that_is_asked(
    looplab: Dashboard, page: Page
) -> None:
    page.goto(looplab.url + "/runs/new?application=shop")
    name = page.locator("[name='workload.streams.0.name']")
    expect(name).to_have_value("shop")
    page.get_by_label("Bundled", exact=True).check()
    path = page.locator("[name='workload.streams.0.requests.0.path']").input_value()
    expect(name).to_have_value(path.removeprefix("/"))


def test_picked_classes_stand_in_the_form(looplab: Dashboard, page: Page) -> None:
    page.goto(looplab.url + "/runs/new?application=shop")
    page.click("#offer summary")
    page.click("#offer button:has-text('Read')")
    page.check("[name=pick][value='GET /items/{item_id}']")
    page.check("[name=pick][value='POST /items/']")
    page.check("[name='pick.writes']")
    page.click("text=Replace the request classes")
    paths = [field.input_value() for field in page.locator("[name$='.path']").all()]
    assert paths == ["/items/{item_id}", "/items/?name={name}"]


def start(page: Page, looplab: Dashboard) -> None:
    page.goto(looplab.url + "/targets")
    page.get_by_role("button", name=f"Start {NAME} by hand").click()
    page.wait_for_url("**/targets#by-hand")


def test_the_page_follows_it(page: Page, looplab: Dashboard) -> None:
    start(page, looplab)
    part = page.locator("#by-hand")
    expect(part.get_by_role("link", name=re.compile("^http"))).to_be_visible(timeout=READY_MS)
    expect(part).to_contain_text("Application startup complete")
    found = re.search(r"pid (\d+)", part.inner_text())
    assert found
    os.kill(int(found[1]), signal.SIGKILL)
    expect(part).to_contain_text("target died, signal 9", timeout=READY_MS)
    expect(part.get_by_role("button", name="Stop")).to_have_count(0)


def test_it_works_without_script_and_keeps_nobody_out(
    open_page: OpenPage, looplab: Dashboard, problems
) -> None:
    problems.expect("/vendor/pico.min.css")
    page = open_page(java_script_enabled=False)
    start(page, looplab)
    seen = open_page(bypass_csp=True)
    seen.goto(looplab.url + "/targets")
    expect(seen.locator("#by-hand").get_by_role("button", name="Stop")).to_be_visible()
    assert violations(seen) == []
    page.get_by_role("button", name=f"Stop {NAME}").click()
    expect(page.locator("#by-hand")).to_contain_text("stopped by hand")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serving("target_app") as running:
        yield str(running.client.base_url).rstrip("/")


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_the_description_is_drawn_without_internet(page, address: str, path: str) -> None:
    asked: list[str] = []

    def note(request: Request) -> None:
        asked.append(request.url)

    page.on("request", note)
    page.goto(address + path)
    expect(page.get_by_text("/movies/with-log/{id}").first).to_be_attached(timeout=15_000)
    page.wait_for_load_state("networkidle")
    outside = [url for url in asked if urlsplit(url).scheme in {"http", "https"}]
    assert all(url.startswith(address) for url in outside), outside
    assert any(url.endswith("/openapi.json") for url in asked)

"""A target started by hand, as people see it: with script it follows what happens."""

import os
import re
import signal
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from control_plane.targets.builtin_configurations import BUILTIN_CONFIGURATIONS
from tests.browser.conftest import OpenPage
from tests.dashboard import Dashboard, dashboard

NAME = BUILTIN_CONFIGURATIONS[0].name
READY_MS = 20_000


@pytest.fixture(scope="module")
def looplab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    with dashboard(tmp_path_factory.mktemp("by-hand")) as started:
        yield started


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
    found = Axe().run(seen).response["violations"]
    assert [(violation["id"], violation["nodes"][0]["html"]) for violation in found] == []
    page.get_by_role("button", name=f"Stop {NAME}").click()
    expect(page.locator("#by-hand")).to_contain_text("stopped by hand")

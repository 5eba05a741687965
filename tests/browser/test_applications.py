"""A check that is followed by script, and request classes picked on the page."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from tests.builders import own
from tests.dashboard import Dashboard, dashboard


@pytest.fixture(scope="module")
def looplab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    folder = tmp_path_factory.mktemp("applications")
    own.project(folder)
    with dashboard(folder) as started:
        yield started


def test_a_check_shows_its_end_without_a_reload(looplab: Dashboard, page: Page) -> None:
    page.goto(looplab.url + "/targets")
    page.click("#applications li:has-text('shop') >> text=Check")
    page.wait_for_selector("#checkup:has-text('It starts')")
    assert page.url.endswith("/targets/applications/shop#checkup")
    assert page.locator("#checkup[hx-trigger]").count() == 0


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

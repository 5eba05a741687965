"""/docs and /redoc of the application under test, with nothing from elsewhere."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Request, expect

from tests.target_app.server import serving


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

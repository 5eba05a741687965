"""A real Chromium for each test file, and pages on which nothing may go wrong unseen."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, ViewportSize, sync_playwright

from tests.dashboard import forked_dashboard
from tests.pages.stored import Filled, Stored, copied
from tests.pages.stored import history_database as history_database
from tests.pages.stored import stored_database as stored_database

OFF_BY_PLAYWRIGHT = (
    *("AimEnabled", "AvoidCorsURLLoaderRestartOnRedirect", "AvoidUnnecessaryBeforeUnloadCheckSync"),
    *("DestroyProfileOnBrowserClose", "HttpsFirstBalancedModeAutoEnable", "HttpsUpgrades"),
    *("LensOverlay", "MediaRouter", "NetworkTimeServiceQuerying", "OptimizationHints"),
    *("PaintHolding", "PreconnectToSearch", "ThirdPartyStoragePartitioning"),
)
"""What Playwright switches off; a second switch replaces its first, so it stands here again."""
ADDRESS_BAR = ("WebUIOmniboxPopup", "WebUIOmniboxAimPopup", "WebUIOmniboxFullPopup")
"""The list below the address bar, which nobody sees: a page of its own in a process of its own for
each context, half of what a test costs."""
SPARE = "SpareRendererForSitePerProcess"
"""A process kept ready for a page that is never opened: each context would start one in vain."""
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    f"--disable-features={','.join((*OFF_BY_PLAYWRIGHT, *ADDRESS_BAR, SPARE))}",
]
# Report-only policies write nothing to the console, so every violation is written there.
REPORT_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`CSP: ${event.violatedDirective} blocked ${event.blockedURI}`));
"""

OpenPage = Callable[..., Page]
FIRST: ViewportSize = {"width": 1280, "height": 720}
"""Playwright's own."""
NOTHING = "<link rel=icon href='data:,'>"
"""Without it the browser asks for a picture."""
POLL_MS = 100
"""For what takes seconds: asked at each frame, as Playwright does, the page draws each frame."""
FORGET = "() => { localStorage.clear(); sessionStorage.clear(); }"


@dataclass
class Problems:
    """What the browser complained about. A test that provokes a complaint names a part of it."""

    seen: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def expect(self, part: str) -> None:
        self.expected.append(part)

    def unexpected(self) -> list[str]:
        return [
            complaint
            for complaint in self.seen
            if not any(part in complaint for part in self.expected)
        ]


@dataclass
class Window:
    """A page in a context of its own, for one test after the other."""

    page: Page
    options: dict[str, Any]
    problems: Problems

    def watch(self) -> None:
        context = self.page.context
        context.add_init_script(REPORT_VIOLATIONS)
        context.on("console", self._console)
        context.on("weberror", lambda error: self.problems.seen.append(f"uncaught: {error.error}"))

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.problems.seen.append(f"{message.type}: {message.text} ({message.location['url']})")

    def forget(self) -> None:
        """Make it as it was opened: nothing stored, nothing shown.

        It stays at its address, because the browser starts another process for a blank page.
        """
        page, context = self.page, self.page.context
        for other in context.pages[1:]:
            other.close()
        page.evaluate(FORGET)
        context.clear_cookies()
        nowhere = urljoin(page.url, "/nowhere")
        page.route(nowhere, lambda route: route.fulfill(content_type="text/html", body=NOTHING))
        page.goto(nowhere)
        page.unroute(nowhere)
        page.emulate_media(color_scheme=self.options.get("color_scheme", "light"), media="null")
        page.set_viewport_size(self.options.get("viewport", FIRST))


def chromium() -> str:
    """Path of the browser; without one the test is skipped, or fails where REQUIRE_BROWSER=1."""
    for name in ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    reason = "Chromium was not found; on Debian: apt-get install chromium fonts-liberation"
    if os.environ.get("REQUIRE_BROWSER") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Ends with its module: Playwright's loop must not run while async tests do."""
    path = chromium()
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory, stored_database: Filled) -> Iterator[Stored]:
    folder = copied(stored_database.database, tmp_path_factory.mktemp("stored"))
    with forked_dashboard(folder) as started:
        yield Stored(started, stored_database.runs)


@pytest.fixture
def problems() -> Problems:
    return Problems()


@pytest.fixture(scope="module")
def windows(browser: Browser) -> list[Window]:
    """Those that wait for a test with the same options: a new one is half of what a test costs."""
    return []


@pytest.fixture
def open_page(browser: Browser, windows: list[Window], problems: Problems) -> Iterator[OpenPage]:
    """Call it for a page in a context of its own; takes Playwright's options of a context.

    With `first_visit=True` the browser has nothing of the site, not even in its cache.
    For example `open_page(java_script_enabled=False)`, `open_page(color_scheme="dark")` or
    `open_page(viewport={"width": 390, "height": 844})`. The test fails on any console error
    or warning, uncaught exception or policy violation that `problems.expect` does not name.
    """
    opened: list[Window] = []
    alone: list[Window] = []

    def new(*, first_visit: bool = False, **options: Any) -> Page:
        waiting = [] if first_visit else windows
        window = next((window for window in waiting if window.options == options), None)
        if window:
            windows.remove(window)
            window.problems = problems
        else:
            window = Window(browser.new_context(**options).new_page(), options, problems)
            window.watch()
        (alone if first_visit else opened).append(window)
        return window.page

    yield new
    for window in opened:
        if window.page.url.startswith("http"):
            window.forget()
            windows.append(window)
        else:
            alone.append(window)
    for window in alone:
        window.page.context.close()
    assert problems.unexpected() == []


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    return open_page(viewport={"width": 1440, "height": 900})

"""A real Chromium for each test file, and pages on which nothing may go wrong unseen."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

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


@dataclass
class Problems:
    """What the browser complained about. A test that provokes a complaint names a part of it."""

    seen: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def expect(self, part: str) -> None:
        self.expected.append(part)

    def watch(self, context: BrowserContext) -> None:
        context.add_init_script(REPORT_VIOLATIONS)
        context.on("console", self._console)
        context.on("weberror", lambda error: self.seen.append(f"uncaught: {error.error}"))

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.seen.append(f"{message.type}: {message.text} ({message.location['url']})")

    def unexpected(self) -> list[str]:
        return [
            complaint
            for complaint in self.seen
            if not any(part in complaint for part in self.expected)
        ]


def chromium() -> str:
    """Path of the browser; without one the test is skipped, or fails where REQUIRE_BROWSER=1."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
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


@pytest.fixture
def open_page(browser: Browser, problems: Problems) -> Iterator[OpenPage]:
    """Call it for a page in a context of its own; takes Playwright's options of a context.

    For example `open_page(java_script_enabled=False)`, `open_page(color_scheme="dark")` or
    `open_page(viewport={"width": 390, "height": 844})`. The test fails on any console error
    or warning, uncaught exception or policy violation that `problems.expect` does not name.
    """
    contexts: list[BrowserContext] = []

    def new(**options: Any) -> Page:
        context = browser.new_context(**options)
        contexts.append(context)
        problems.watch(context)
        return context.new_page()

    yield new
    for context in contexts:
        context.close()
    assert problems.unexpected() == []


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    return open_page(viewport={"width": 1440, "height": 900})

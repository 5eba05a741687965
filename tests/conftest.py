"""The order of the rooms and of their long files, and the event loop of async tests."""

import os
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
ORDER = (
    "domain",
    "analysis",
    "experiments",
    "target_app",
    "processes",
    "load",
    "store",
    "targets",
    "jobs",
    "access",
    "api",
    "faults",
    "browser",
    "pages",
)

LONG = (
    "test_cycles.py",
    "test_schema.py",
    "test_classic.py",
    "test_results.py",
    "test_causes.py",
    "test_loads.py",
    "test_gates.py",
)
"""Files of half a minute and more, the longest first: they lead their room, so that no lane of
`-n 2` is left with one of them at the end."""


def pytest_configure() -> None:
    """The settings of the person who runs the tests must not reach the product under test."""
    for name in [name for name in os.environ if name.startswith("LOOPLAB_")]:
        del os.environ[name]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: (rank(item.path), place(item.path)))
    for item in items:
        if room(item.path) == "browser":
            item.add_marker("browser")


def room(path: Path) -> str:
    """The folder below tests/, or "" for a file that lies there directly."""
    return path.relative_to(TESTS).parts[0] if path.parent != TESTS else ""


def rank(path: Path) -> int:
    """Files beside this one first, then ORDER; an unlisted room goes with the pages."""
    name = room(path)
    if not name:
        return -1
    return ORDER.index(name if name in ORDER else "pages")


def place(path: Path) -> int:
    """The place in its room: long files first."""
    return LONG.index(path.name) if path.name in LONG else len(LONG)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"

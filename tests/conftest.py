"""The order of the rooms and of long files, the event loop of async tests, and `looplab` called."""

import gc
import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from zlib import crc32

import pytest
from hypothesis import settings

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
    "browser/test_pages.py",
    "cases/test_r17.py",
    "targets/test_launch.py",
    "browser/test_results.py",
    "test_cli.py",
    "api/test_experiments.py",
    "jobs/test_causes.py",
    "cases/test_workers_that_end.py",
    "targets/test_shown_command.py",
    "faults/test_processes.py",
    "browser/test_classic.py",
    "browser/test_kept_results.py",
    "browser/test_form.py",
    "jobs/test_loads.py",
    "cases/test_r03.py",
    "targets/test_guard.py",
    "pages/new_run/test_routes.py",
    "cases/test_r04.py",
    "api/test_runs.py",
    "jobs/test_gates.py",
    "faults/test_kills.py",
    "faults/test_servers.py",
    "faults/test_schema.py",
    "faults/test_cycles.py",
    "cases/test_r18.py",
    "browser/test_targets.py",
    "pages/targets/test_manual_targets.py",
    "cases/test_r26.py",
    "test_cli_experiment.py",
    "pages/targets/test_applications_view.py",
    "faults/test_disk.py",
    "faults/test_connections.py",
    "pages/test_trend_pages.py",
    "pages/test_sharing.py",
    "store/test_run_query.py",
    "cases/test_secrets.py",
    "cases/test_login.py",
    "load/test_kept_connections.py",
    "load/test_strategies.py",
)
"""Files of ten seconds and more, of the processor or of waiting, the longest first. Where files are
shared out among lanes none of these begins near the end, which would leave a lane alone with it."""

LONG_SHARE = 0.7
"""The share of the files among which the long ones are spread: these wait for much of their time,
which short ones fill, most of which compute."""

YOUNG = 20_000
"""Thousands of tests are collected and kept: garbage is looked for seldom, and never among them."""

Call = Callable[..., subprocess.CompletedProcess[str]]


def pytest_configure() -> None:
    """The settings of the person who runs the tests must not reach the product under test."""
    for name in [name for name in os.environ if name.startswith("LOOPLAB_")]:
        del os.environ[name]
    gc.set_threshold(YOUNG)
    # A background command inherits that SIGINT is ignored, and what is tested with it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # How long an example takes says how busy the machine is.
    settings.register_profile("looplab", deadline=None)
    settings.load_profile("looplab")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: place(item.path))
    else:
        items.sort(key=lambda item: rank(item.path))
    for item in items:
        if room(item.path) == "browser":
            item.add_marker("browser")


def pytest_collection_finish() -> None:
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def frozen() -> None:
    """Leave what the files before have made, imports above all, out of the search for garbage."""
    gc.collect()
    gc.freeze()


@cache
def room(path: Path) -> str:
    """The folder below tests/, or "" for a file that lies there directly."""
    return path.relative_to(TESTS).parts[0] if path.parent != TESTS else ""


@cache
def rank(path: Path) -> int:
    """Files beside this one first, then ORDER; an unlisted room goes with the pages."""
    name = room(path)
    if not name:
        return -1
    return ORDER.index(name if name in ORDER else "pages")


@cache
def place(path: Path) -> float:
    """Where a file stands among all, from 0 to 1; short ones by a number that follows no room."""
    name = path.relative_to(TESTS).as_posix()
    if name in LONG:
        return LONG_SHARE * LONG.index(name) / len(LONG)
    return crc32(name.encode()) / 2**32


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def call(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Call:
    """As `looplab` in a folder of its own, without a process: for calls that are refused."""
    # Only here, because most tests need no command line.
    from control_plane.cli import main

    def refused(arguments: Sequence[str], stdin: str = "") -> subprocess.CompletedProcess[str]:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["looplab", *arguments])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        code = ended.value.code
        assert isinstance(code, int)
        return subprocess.CompletedProcess(arguments, code, printed.out, printed.err)

    return refused

"""The size of the thread pool that a target asks for, in an application of the settings."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from control_plane.domain.spec import Target
from control_plane.targets.application import Application
from control_plane.targets.launch import start_application
from tests.builders import own
from tests.targets.site import APPLICATIONS, Site, get_json

FOUR = Target("mine", loop="asyncio", http="h11", threads=4)
_OTHER = replace(FOUR, http=None)
SERVERS = {
    "uvicorn": FOUR,
    "gunicorn": replace(_OTHER, server="gunicorn", worker="asgi", reuse_port=False),
    "hypercorn": replace(_OTHER, server="hypercorn"),
    "granian": replace(_OTHER, server="granian", keep_alive_s=None),
}


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return own.environment(tmp_path_factory.mktemp("mine") / "env")


@pytest.mark.parametrize("server", ["uvicorn", "gunicorn", "hypercorn", "granian"])
async def test_as_many_endpoints_run_at_once(site: Site, python: Path, server: str) -> None:
    """One of the servers is not looked into."""
    place = replace(site.context(), probe=server != "uvicorn")
    mine = Application("pool:app", APPLICATIONS, name="mine", python=python)
    started = await start_application(mine, SERVERS[server], place)
    try:
        with ThreadPoolExecutor(8) as users:
            seen = list(users.map(get_json, [started.url] * 8, ["/together"] * 8))
    finally:
        await started.stop()
    assert max(seen) == 4


async def test_what_the_application_sets_itself_stands(
    site: Site, python: Path, tmp_path: Path
) -> None:
    (tmp_path / "sets.py").write_text(SETS)
    mine = Application("sets:app", tmp_path, name="mine", python=python)
    started = await start_application(mine, FOUR, site.context())
    try:
        assert get_json(started.url, "/") == [4, 9]
    finally:
        await started.stop()


@pytest.mark.parametrize("server", ["uvicorn", "granian"])
async def test_an_application_that_imports_anyio_late_has_it_after_that(
    site: Site, tmp_path: Path, server: str
) -> None:
    started = await start_application(raw(tmp_path), SERVERS[server], site.context())
    try:
        assert [get_json(started.url, "/lent") for _ in range(2)] == [40, 4]
    finally:
        await started.stop()


async def test_an_application_without_anyio_is_served_all_the_same(
    site: Site, tmp_path: Path
) -> None:
    (tmp_path / "anyio.py").write_text("raise ImportError('not here')")
    started = await start_application(raw(tmp_path), FOUR, site.context())
    try:
        assert [get_json(started.url, "/") for _ in range(2)] == ["here", "here"]
        assert not any("anyio" in line for line in started.log())
    finally:
        await started.stop()


def raw(folder: Path) -> Application:
    (folder / "asgi.py").symlink_to(APPLICATIONS / "asgi.py")
    (folder / "late.py").write_text(LATE)
    return Application("late:app", folder, name="mine")


LATE = """
from asgi import application


def lent():
    from anyio import to_thread
    return to_thread.current_default_thread_limiter().total_tokens


app = application({"/lent": lent})
"""

SETS = """
from contextlib import asynccontextmanager

from anyio import to_thread
from fastapi import FastAPI

seen = []


@asynccontextmanager
async def lifespan(_app):
    limiter = to_thread.current_default_thread_limiter()
    seen.append(limiter.total_tokens)
    limiter.total_tokens = 9
    yield


app = FastAPI(lifespan=lifespan)


@app.get("/")
async def sizes():
    return [*seen, to_thread.current_default_thread_limiter().total_tokens]
"""

"""An application that answered 503 or 500 while it loaded had failed after 2 s."""

import asyncio
import shutil
from pathlib import Path

import pytest

from control_plane.applications_file import read_applications
from control_plane.domain.errors import TargetFailed
from control_plane.domain.spec import Target
from control_plane.targets.application import Application
from control_plane.targets.launch import start_application
from tests.cases.conftest import CASES
from tests.targets.site import Site

OTHERS = """
import asyncio
from app import answer, life

STATUSES = {"/locked": 401, "/moved": 302, "/": 500}

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return await life(receive, send)
    if scope["path"] != "/events":
        return await answer(send, STATUSES[scope["path"]])
    kind = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": kind})
    while True:
        await send({"type": "http.response.body", "body": b"data: x\\n\\n", "more_body": True})
        await asyncio.sleep(0.1)
"""

SETTINGS = """
[applications.locked]
app = "others:app"
ready_path = "/locked"
ready_status = 401

[applications.elsewhere]
app = "others:app"
ready_path = "/moved"
ready_status = [200, 302]

[applications.faulty]
app = "others:app"

[applications.events]
app = "others:app"
ready_path = "/events"

[applications.refused]
app = "others:app"
ready_path = "/locked"
start_timeout_s = 3
"""
LOADS_S = {"loading": 3, "late-db": 3}
"""How long these are not ready, which is longer than a server once could answer errors."""


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "state")


@pytest.fixture
def applications(tmp_path: Path) -> dict[str, Application]:
    folder = tmp_path / "R02"
    shutil.copytree(CASES / "R02", folder)
    case = folder / "app.py"
    case.write_text(case.read_text().replace("6 if", "3 if"))
    (folder / "others.py").write_text(OTHERS)
    settings = folder / "looplab.toml"
    settings.write_text(settings.read_text() + SETTINGS)
    return dict(read_applications(settings))


async def test_ready_is_what_the_ready_path_says(
    site: Site, applications: dict[str, Application]
) -> None:
    refused = applications.pop("refused")

    async def ready_s(name: str) -> float:
        target = await start_application(
            applications[name], Target(loop="asyncio", application=name), site.context()
        )
        await target.stop()
        return target.ready_s or 0.0

    async def fails() -> None:
        with pytest.raises(TargetFailed, match=r"the last answer to GET /locked was 401$"):
            await start_application(refused, Target(application="refused"), site.context())

    took_s, _ = await asyncio.gather(asyncio.gather(*map(ready_s, applications)), fails())
    for name, so_long_s in zip(applications, took_s, strict=True):
        assert so_long_s >= LOADS_S.get(name, 0), name

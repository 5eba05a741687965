import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import uvicorn
from fastapi import APIRouter, FastAPI
from starlette.routing import BaseRoute

from control_plane.app import LateRouter
from control_plane.dashboard_server import DashboardServer
from tests.dashboard import provide_database


def server_of(read: Callable[[], list[BaseRoute]]) -> DashboardServer:
    app = FastAPI()
    app.router.default = LateRouter(read)
    return DashboardServer(uvicorn.Config(app, log_level="warning", lifespan="off"))


def routes_at(path: str) -> list[BaseRoute]:
    router = APIRouter()
    router.add_api_route(path, lambda: "here")
    return router.routes


async def test_late_routes_are_read_soon_though_nobody_asks() -> None:
    loop, are_read = asyncio.get_running_loop(), asyncio.Event()

    def read() -> list[BaseRoute]:
        loop.call_soon_threadsafe(are_read.set)
        return routes_at("/history")

    server = server_of(read)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.create_task(server.serve([listener]))
        await asyncio.wait_for(are_read.wait(), 10)
        assert not server.should_exit
        server.should_exit = True
        await asyncio.wait_for(serving, 10)
    assert not server.broken


def not_imported() -> list[BaseRoute]:
    raise ImportError("no libffi")


@pytest.mark.parametrize(
    ("read", "reason"),
    [
        (not_imported, "ImportError: no libffi"),
        (lambda: routes_at("/forgotten"), "LookupError: No role in access/route_roles.py for: GET"),
    ],
)
async def test_it_stops_where_pages_or_api_cannot_be_served(
    read: Callable[[], list[BaseRoute]], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    server = server_of(read)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        await asyncio.wait_for(server.serve([listener]), 10)
    assert server.broken
    (told,) = [record.getMessage() for record in caplog.records if record.name == "looplab"]
    assert told.startswith(
        f"Looplab stops, because its pages or its API cannot be served: {reason}"
    )
    assert "\n" not in told


def test_a_broken_package_of_pages_ends_the_process_with_one_readable_line(tmp_path: Path) -> None:
    provide_database(tmp_path / "runs.db")
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "jinja2.py").write_text('raise ImportError("no libffi")\n')
    path = os.pathsep.join([str(broken), *filter(None, [os.environ.get("PYTHONPATH")])])
    ended = subprocess.run(
        [sys.executable, "-m", "control_plane", "--port", "0", "--no-token"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": path},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ended.returncode == 1
    assert ended.stdout.endswith("Looplab has stopped; nothing of it runs any more\n")
    (line,) = ended.stderr.splitlines()
    assert line.endswith(f"ImportError: no libffi ({broken}/jinja2.py, line 1)")

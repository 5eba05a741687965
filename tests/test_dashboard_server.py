import asyncio
import errno
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import APIRouter, FastAPI
from starlette.routing import BaseRoute

from control_plane import dashboard_server
from control_plane.access import login
from control_plane.app import LateRouter
from control_plane.dashboard_server import DashboardServer, ServedConnection, asked_token, listen
from control_plane.domain.errors import SettingsError
from control_plane.domain.limits import Limits
from control_plane.domain.target_addresses import allowed_target
from control_plane.settings import Settings
from tests.dashboard import (
    BARE,
    DashboardProcess,
    dashboard,
    forked_dashboard,
    long_spec,
    provide_database,
    until,
)

ENDED = "Looplab has stopped; nothing of it runs any more"


def server_of(read: Callable[[], list[BaseRoute]]) -> DashboardServer:
    app = FastAPI()
    app.router.default = LateRouter(read)
    connection: Any = partial(ServedConnection, most_open=100)
    return DashboardServer(
        uvicorn.Config(app, log_level="warning", lifespan="off", http=connection)
    )


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
    assert ended.stdout.endswith(f"{ENDED}\n")
    (line,) = ended.stderr.splitlines()
    assert line.endswith(f"ImportError: no libffi ({broken}/jinja2.py, line 1)")


def measures(looplab: DashboardProcess, experiment_id: str) -> bool:
    arms = looplab.get(f"/api/experiments/runs/{experiment_id}").json()["runs"]
    return any(arm["state"] == "running" for arm in arms)


def test_an_experiment_that_a_stop_pauses_is_told_then_and_at_the_next_start(
    tmp_path: Path,
) -> None:
    """With the page where it is resumed; the next stop says nothing of what it did not pause."""
    arms = [{"name": name, "spec": {"client": {"loop": name}}} for name in ("uvloop", "asyncio")]
    document = {"question": "Which loop?", "blocks": 3, "spec": long_spec(**BARE), "arms": arms}
    told = []
    for start in (1, 2, 3):
        with dashboard(tmp_path) as looplab:
            assert isinstance(looplab.process, subprocess.Popen)
            if start == 1:
                made = looplab.post("/api/experiments", document).json()
            if start == 3:
                looplab.post(f"/api/experiments/runs/{made['id']}/resume")
            if start != 2:
                until(partial(measures, looplab, made["id"]), "an arm runs", 60)
            assert looplab.stop(signal.SIGINT) == 0
            assert looplab.process.stdout is not None
            told.append((looplab.url, looplab.process.stdout.read().splitlines()))
    (_, first), (url, second), (third_url, third) = told
    page = f"/experiments/{made['id']}"
    paused, last = f"Experiment {made['id']} is paused with 0 complete blocks: ", ENDED
    assert first == [f"{paused}start Looplab again and resume it at {page}", last]
    assert second == [f"{paused}resume it at {url}{page}", last]
    assert third == [f"{paused}resume it at {third_url}{page}", *first]


async def test_one_request_too_many_is_refused_and_a_lack_of_files_ends_those_who_send_none(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    server, loop = server_of(lambda: routes_at("/history")), asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.create_task(server.serve([listener]))
        silent, other = await asyncio.open_connection(*listener.getsockname())
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        monkeypatch.setattr(dashboard_server, "MOST_REQUESTS", 0)
        writer.write(b"GET /history HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        response = await asyncio.wait_for(reader.read(), 10)
        assert response.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        loop.call_exception_handler({"message": "no file", "exception": OSError(errno.EMFILE, "")})
        assert await asyncio.wait_for(silent.read(), 10) == b""
        for connection in (writer, other):
            connection.close()
        loop.call_exception_handler({"message": "what else broke", "exception": OSError("x")})
        server.should_exit = True
        await asyncio.wait_for(serving, 10)
    told = [record.getMessage() for record in caplog.records]
    assert "no file is left for a connection (ulimit -n): 1 that sent no request are ended" in told
    assert any("what else broke" in line for line in told)


def test_an_address_that_cannot_be_had_is_refused_with_its_owner_or_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dashboard_server, "PATIENCE_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(SettingsError, match=rf"^Port 127\.0\.0\.1:{port} belongs to .*\)\."):
            listen(Settings(port=port))
    with pytest.raises(SettingsError, match=r"^Cannot listen on 192\.0\.2\.1:0: Cannot assign"):
        listen(Settings(host="192.0.2.1", port=0))


def test_a_token_is_asked_for_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "4294000001").mkdir()
    monkeypatch.setattr(login, "_LOGGED_IN", tmp_path)
    chosen = "a token that was chosen"
    assert asked_token(Settings(token=chosen)) == (
        chosen,
        "It asks for the token of LOOPLAB_TOKEN",
    )
    elsewhere = Limits(allowed_targets=(allowed_target("shop.example"),))
    for settings, reason in (
        (Settings(token="on"), "It asks for a token"),
        (Settings(token="off", viewer_password="x"), "It asks for a password"),
        (Settings(token="off", limits=elsewhere), "It asks for a token, because LOOPLAB_ALLOWED"),
        (Settings(), "It asks for a token, because 4294000001"),
    ):
        token, told = asked_token(settings)
        assert told.startswith(reason)
        assert token is not None
        assert len(token) >= 32
        assert token != asked_token(settings)[0]
    assert asked_token(Settings(token="off")) == (None, "")


def test_the_page_is_opened_in_a_browser_and_no_command_line_has_the_address_that_logs_in(
    tmp_path: Path,
) -> None:
    for logs_in, option in ((False, "--no-token"), (True, "--token")):
        opened = tmp_path / f"opened{option}"
        browser = tmp_path / f"browser{option}"
        shows = 'cat "${1#file://}"' if logs_in else ":"
        browser.write_text(
            f'#!/bin/sh\n{{ echo "$1"; {shows}; }} > "{opened}.new"\nmv "{opened}.new" "{opened}"\n'
        )
        browser.chmod(0o755)
        with forked_dashboard(
            tmp_path, ["--open", option], {"BROWSER": f"{browser} %s"}
        ) as started:
            until(opened.exists, "a browser was asked")
            address, *page = opened.read_text().splitlines()
            assert (address == started.url) == (not logs_in)
            assert (f"url={started.url}/login/" in "".join(page)) == logs_in
            if logs_in:
                logging_in = "".join(page).partition("url=")[2].partition('"')[0]
                behind_tls = {"X-Forwarded-Proto": "https"}
                answer = httpx.get(logging_in, headers=behind_tls)
                assert "Secure" in answer.headers["set-cookie"]
            started.stop()
        if logs_in:
            assert not Path(address.removeprefix("file://")).exists()

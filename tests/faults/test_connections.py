"""Connections that send nothing, or half a request, keep nobody from the dashboard."""

import asyncio
import contextlib
import errno
import resource
import socket
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import uvicorn

from control_plane.dashboard_server import MOST_WAITING, DashboardServer
from tests.dashboard import DashboardProcess, forked_dashboard, until

SILENT, HALF_SENT = 1_100, 800
HALF = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-"


@pytest.fixture
def many_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextlib.contextmanager
def connected(looplab: DashboardProcess) -> Iterator[list[socket.socket]]:
    parts = urlsplit(looplab.url)
    address = parts.hostname, parts.port
    with contextlib.ExitStack() as stack:
        links = [
            stack.enter_context(socket.create_connection(address))
            for _ in range(SILENT + HALF_SENT)
        ]
        for link in links:
            link.setblocking(False)
        for link in links[SILENT:]:
            with contextlib.suppress(OSError):
                link.sendall(HALF)
        yield links


def open_ones(links: list[socket.socket]) -> list[socket.socket]:
    """Those that the dashboard did not end."""

    def is_open(link: socket.socket) -> bool:
        try:
            return bool(link.recv(1_000))
        except BlockingIOError:
            return True
        except OSError:
            return False

    return [link for link in links if is_open(link)]


@contextlib.contextmanager
def few_files(soft: int, hard: int | None) -> Iterator[None]:
    """Let this process open so many; `hard` None leaves how far it can raise that itself."""
    limit = hard or resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, limit))
    yield


@pytest.mark.parametrize("limits", [(256, None), (512, 512)], ids=["can be raised", "low"])
@pytest.mark.usefixtures("many_files")
def test_silent_and_half_sent_connections_are_ended(
    clean_after: Path, limits: tuple[int, int | None]
) -> None:
    with forked_dashboard(clean_after, within=partial(few_files, *limits)) as looplab:
        with connected(looplab) as links:
            assert looplab.get("/").status_code == 200
            until(lambda: len(open_ones(links)) <= MOST_WAITING, "few may wait", 30, 0.5)
            assert looplab.get("/history").status_code == 200
            until(lambda: not open_ones(links), "all are ended", 30, 0.5)
        log = (clean_after / "looplab.log").read_text()
        assert "no file is left" not in log
        assert "Traceback" not in log


async def test_a_lack_of_files_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    server = DashboardServer(uvicorn.Config("none"))
    loop = asyncio.get_running_loop()
    for _ in range(3):
        server.on_fault(loop, {"exception": OSError(errno.EMFILE, "too many")})
    assert [record.message[:15] for record in caplog.records] == ["no file is left"]

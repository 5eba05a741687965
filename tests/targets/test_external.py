import os
import socket
import subprocess
import sys

import pytest

from control_plane.domain.errors import TargetFailed
from control_plane.targets.launch import free_ports, reach


async def test_a_server_that_runs_is_reached_and_its_processes_are_seen() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        target = await reach(f"http://localhost:{port}", ())
        assert target.url == f"http://127.0.0.1:{port}"
        assert {os.getpid(), child.pid} <= set(target.pids())
        assert (target.command, target.pid, target.ready_s) == (None, 0, None)
        assert (target.failure(), target.log()) == (None, ())
        child.communicate()
        await target.stop()
        assert await reach(f"http://127.0.0.1:{port}/", ())


async def test_an_address_of_version_six_keeps_its_brackets() -> None:
    try:
        server = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no ::1")
    with server:
        port = server.getsockname()[1]
        assert (await reach(f"http://[::1]:{port}", ())).url == f"http://[::1]:{port}"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://127.0.0.1:{port}", r"^Nothing listens at http://127\.0\.0\.1:\d+: start"),
        ("http://127.0.0.1:8200", r"^Port 8200 is this dashboard"),
        ("http://name.invalid:{port}", r"^name\.invalid has no address"),
        ("http://192.0.2.1:{port}", r"^192\.0\.2\.1 is not on this machine"),
    ],
)
async def test_what_cannot_be_reached_is_said(url: str, message: str) -> None:
    port = next(free_ports("127.0.0.1"))
    with pytest.raises(TargetFailed, match=message):
        await reach(url.format(port=port), {8200})

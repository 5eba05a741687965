"""Responses that wait for a delayed ACK are found whatever the first one takes, also at a URL."""

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from control_plane.analysis.validity.response_gates import ACK_HIGH_S, ACK_LOW_S
from control_plane.targets.http_get_and_delayed_ack import delayed_ack_s
from control_plane.targets.launch import free_ports
from control_plane.targets.observation.procfs import inodes_at
from tests.dashboard import Dashboard, until

CASE = Path(__file__).parent / "R21"
LOOKS, NEEDED = 8, {True: 1, False: 3}
"""One look may wait for the processor in between: one finds the trap, and where there is none three
find none.
"""
LOAD = {"model": "closed", "concurrency": 1}
STREAM = {"requests": [{"path": "/"}], "load": LOAD, "stop": {"duration_s": 1}}

AT_ONCE = (CASE / "server.py").read_text().replace("    wbufsize = 0\n", "    wbufsize = -1\n")
NO_DELAY = (
    (CASE / "server.py")
    .read_text()
    .replace("    wbufsize = 0\n", "    wbufsize = 0\n    disable_nagle_algorithm = True\n")
)
SLOW = (
    (CASE / "server.py")
    .read_text()
    .replace(
        "    def do_GET(self):\n", "    def do_GET(self):\n        __import__('time').sleep(0.06)\n"
    )
)
SLOW_AT_ONCE = SLOW.replace("    wbufsize = 0\n", "    wbufsize = -1\n")
PLAIN = """
import socket, sys, threading, time

def serve(connection):
    {setting}
    first = True
    while connection.recv(65536):
        if first:
            time.sleep({first_s})
        first = False
        for piece in {pieces}:
            connection.sendall(piece)
    connection.close()

listener = socket.create_server((sys.argv[1], int(sys.argv[2])))
while True:
    threading.Thread(target=serve, args=listener.accept()[:1], daemon=True).start()
"""
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def plain(*pieces: bytes, setting: str = "pass", first_s: float = 0.0) -> str:
    return PLAIN.format(pieces=repr(pieces), setting=setting, first_s=first_s)


QUICK = "connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)"


@pytest.fixture(scope="module")
def looplab(case: Callable[[str], Dashboard]) -> Dashboard:
    return case("R21")


def gate_of(looplab: Dashboard, target: dict[str, Any]) -> dict[str, Any]:
    spec = {"target": target, "workload": {"streams": [STREAM]}, "warmup_s": 0}
    run = looplab.finished(looplab.submit(spec))
    judged = {reason["gate"]: reason for reason in run["validity"]["judged"]}
    gate: dict[str, Any] = judged["delayed_ack"]
    return gate


@pytest.mark.parametrize("name", ["two-writes", "slow-first"])
def test_a_command_that_writes_twice_is_suspect(looplab: Dashboard, name: str) -> None:
    gate = gate_of(looplab, {"application": name, "server": "command"})
    assert gate["level"] == "suspect"
    assert ACK_LOW_S <= gate["value"] <= ACK_HIGH_S
    assert "TCP_NODELAY" in gate["text"]
    assert "uvloop" not in gate["text"]


@pytest.mark.parametrize(
    ("source", "trapped"),
    [
        ((CASE / "slow_first.py").read_text(), True),
        (SLOW, True),
        (AT_ONCE, False),
        (NO_DELAY, False),
        (SLOW_AT_ONCE, False),
        (plain(CHUNKED, b"2\r\nok\r\n", b"0\r\n\r\n"), True),
        (plain(HEAD[:-2], b"\r\n", b"ok"), True),
        (plain(HEAD, b"ok", first_s=1.0), True),
        (plain(HEAD, b"ok", setting=QUICK), False),
    ],
    ids=["slow first", "slow", "one write", "no delay", "slow, one write", "chunks",
         "three pieces", "a second for the first", "pieces, no delay"],
)  # fmt: skip
async def test_a_server_by_its_address(source: str, trapped: bool) -> None:
    port = next(free_ports("127.0.0.1"))
    server = subprocess.Popen([sys.executable, "-c", source, "127.0.0.1", str(port)])
    url = f"http://127.0.0.1:{port}"
    try:
        until(partial(listens, port), "it listens")
        found: list[bool] = []
        while len(found) < LOOKS and found.count(trapped) < NEEDED[trapped]:
            value = await delayed_ack_s(url, "/")
            found.append(value is not None and ACK_LOW_S <= value <= ACK_HIGH_S)
    finally:
        server.kill()
        server.wait()
    assert found.count(trapped) == NEEDED[trapped], found


def test_a_url_is_checked_as_well(looplab: Dashboard) -> None:
    port = next(free_ports("127.0.0.1"))
    words = [sys.executable, str(CASE / "slow_first.py"), "127.0.0.1", str(port)]
    server = subprocess.Popen(words)
    try:
        until(lambda: listens(port), "it listens")
        # Beside other load a look may miss it.
        gates = [gate_of(looplab, {"url": f"http://127.0.0.1:{port}"})]
        while gates[-1]["level"] != "suspect" and len(gates) < 3:
            gates.append(gate_of(looplab, {"url": f"http://127.0.0.1:{port}"}))
    finally:
        server.kill()
        server.wait()
    gate = gates[-1]
    assert gate["level"] == "suspect"
    assert "uvloop" not in gate["text"]


def listens(port: int) -> bool:
    """Return whether a socket of that port listens; one that another test left does not."""
    return bool(inodes_at("127.0.0.1", port))

"""The wait until a started server is ready: it responds, and it is the process we started."""

import asyncio
import socket
import time
from dataclasses import dataclass

from control_plane.domain.errors import TargetFailed
from control_plane.targets import sockets
from control_plane.targets.supervisor import Supervisor

POLL_S = 0.005
BROKEN_AFTER_S = 2.0
"""How long a server may respond 500 and above before its start has failed."""

LOG_LINES = 20


@dataclass(frozen=True)
class ReadinessProbe:
    """When a server is ready: `path` responds below 500, and `workers` processes accept."""

    host: str
    port: int
    path: str
    workers: int
    timeout_s: float
    host_header: str


async def wait_until_ready(server: Supervisor, probe: ReadinessProbe) -> str | None:
    """Wait until the server is ready; return None, or the name of who else has the port.

    Raises TargetFailed when the server ends before, answers only errors, or the time is over.
    """
    waiting = asyncio.create_task(_until_response(server, probe))
    ending = asyncio.create_task(server.ended())
    try:
        async with asyncio.timeout(probe.timeout_s):
            await asyncio.wait({waiting, ending}, return_when=asyncio.FIRST_COMPLETED)
        return waiting.result() if waiting.done() else _port_owner(server, probe, ending.result())
    except TimeoutError:
        raise _failed(server, _timeout_reason(server, probe)) from None
    finally:
        waiting.cancel()
        ending.cancel()


def _port_owner(server: Supervisor, probe: ReadinessProbe, reason: str) -> str:
    owner = sockets.owner_of(probe.host, probe.port)
    if owner is None:
        raise _failed(server, f"start: target ended before it was ready, {reason}")
    return owner


def _timeout_reason(server: Supervisor, probe: ReadinessProbe) -> str:
    inodes = sockets.inodes_at(probe.host, probe.port)
    late = f"start timeout: not ready after {probe.timeout_s:g} s"
    if not inodes:
        return f"{late}, nothing listens on {probe.host}:{probe.port}"
    if (accepting := _accepting_count(server, inodes)) < probe.workers:
        return f"{late}, {accepting} of {probe.workers} workers accept connections"
    return f"{late}, no answer to GET {probe.path}"


async def _until_response(server: Supervisor, probe: ReadinessProbe) -> str | None:
    broken_since: float | None = None
    while (status := await _status(probe)) is None or status >= 500:
        broken_since = (broken_since or time.monotonic()) if status else None
        if broken_since and time.monotonic() - broken_since > BROKEN_AFTER_S:
            raise _failed(server, f"start: target answers {status} to GET {probe.path}")
        await asyncio.sleep(10 * POLL_S if status else POLL_S)
    return await _until_all_accept(server, probe)


async def _until_all_accept(server: Supervisor, probe: ReadinessProbe) -> str | None:
    """Wait for the other workers; return None, or the name of who else listens on the port.

    A response shows that one worker works: the others are ready when they accept, too.
    """
    while True:
        inodes = sockets.inodes_at(probe.host, probe.port)
        if foreign := inodes - sockets.held_inodes(inodes, server.pids()):
            return sockets.holder_name(foreign)
        if inodes and (probe.workers == 1 or _accepting_count(server, inodes) >= probe.workers):
            return None
        await asyncio.sleep(POLL_S)


def _accepting_count(server: Supervisor, inodes: set[int]) -> int:
    return len(sockets.accepting(inodes, server.pids()))


async def _status(probe: ReadinessProbe) -> int | None:
    """Return the status of one GET; None when there was no response."""
    loop = asyncio.get_running_loop()
    request = f"GET {probe.path} HTTP/1.1\r\nHost: {probe.host_header}\r\nConnection: close\r\n\r\n"
    with socket.socket() as connection:
        connection.settimeout(0)
        try:
            await loop.sock_connect(connection, (probe.host, probe.port))
            await loop.sock_sendall(connection, request.encode())
            head = await loop.sock_recv(connection, 1024)
        except OSError:
            return None
    words = head.split(None, 2)
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else None


def _failed(server: Supervisor, message: str) -> TargetFailed:
    return TargetFailed(message, server.output.lines()[-LOG_LINES:])

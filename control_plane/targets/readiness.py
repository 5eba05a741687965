"""When a started server is ready: it answers, and who answers is the process that was started."""

import asyncio
import socket
import time
from dataclasses import dataclass

from control_plane.domain.errors import TargetFailed
from control_plane.targets import sockets
from control_plane.targets.supervisor import Supervisor

POLL_S = 0.005
BROKEN_AFTER_S = 2.0
"""How long a server may answer 500 and above before its start has failed."""

LOG_LINES = 20


@dataclass(frozen=True)
class ReadinessProbe:
    """What shows that a server works: `path` answers below 500, and `workers` processes accept."""

    host: str
    port: int
    path: str
    workers: int
    timeout_s: float

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"


async def wait_until_ready(server: Supervisor, sign: ReadinessProbe) -> str | None:
    """Wait for the sign. None: ready; else the name of who has the port, for another to be tried.

    Raises TargetFailed when the server ends before, answers only errors, or the time is over.
    """
    waiting = asyncio.create_task(_until_answered(server, sign))
    ending = asyncio.create_task(server.ended())
    try:
        async with asyncio.timeout(sign.timeout_s):
            await asyncio.wait({waiting, ending}, return_when=asyncio.FIRST_COMPLETED)
        return waiting.result() if waiting.done() else _why_ended(server, sign, ending.result())
    except TimeoutError:
        raise _failed(server, _lateness(server, sign)) from None
    finally:
        waiting.cancel()
        ending.cancel()


def _why_ended(server: Supervisor, sign: ReadinessProbe, reason: str) -> str:
    owner = sockets.owner_of(sign.host, sign.port)
    if owner is None:
        raise _failed(server, f"start: target ended before it was ready, {reason}")
    return owner


def _lateness(server: Supervisor, sign: ReadinessProbe) -> str:
    inodes = sockets.inodes_at(sign.host, sign.port)
    late = f"start timeout: not ready after {sign.timeout_s:g} s"
    if not inodes:
        return f"{late}, nothing listens on {sign.host}:{sign.port}"
    if (accepting := _accepting(server, inodes)) < sign.workers:
        return f"{late}, {accepting} of {sign.workers} workers accept connections"
    return f"{late}, no answer to GET {sign.path}"


async def _until_answered(server: Supervisor, sign: ReadinessProbe) -> str | None:
    broken_since: float | None = None
    while (status := await _status(sign)) is None or status >= 500:
        broken_since = (broken_since or time.monotonic()) if status else None
        if broken_since and time.monotonic() - broken_since > BROKEN_AFTER_S:
            raise _failed(server, f"start: target answers {status} to GET {sign.path}")
        await asyncio.sleep(10 * POLL_S if status else POLL_S)
    return await _until_all_accept(server, sign)


async def _until_all_accept(server: Supervisor, sign: ReadinessProbe) -> str | None:
    """An answer shows that one worker works: the others are ready when they accept, too."""
    while True:
        inodes = sockets.inodes_at(sign.host, sign.port)
        if strange := inodes - sockets.held_inodes(inodes, server.pids()):
            return sockets.holder_name(strange)
        if inodes and (sign.workers == 1 or _accepting(server, inodes) >= sign.workers):
            return None
        await asyncio.sleep(POLL_S)


def _accepting(server: Supervisor, inodes: set[int]) -> int:
    return len(sockets.accepting(inodes, server.pids()))


async def _status(sign: ReadinessProbe) -> int | None:
    """The status of one GET; None when nothing answered."""
    loop = asyncio.get_running_loop()
    request = (
        f"GET {sign.path} HTTP/1.1\r\nHost: {sign.host}:{sign.port}\r\nConnection: close\r\n\r\n"
    )
    with socket.socket() as connection:
        connection.settimeout(0)
        try:
            await loop.sock_connect(connection, (sign.host, sign.port))
            await loop.sock_sendall(connection, request.encode())
            head = await loop.sock_recv(connection, 1024)
        except OSError:
            return None
    words = head.split(None, 2)
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else None


def _failed(server: Supervisor, message: str) -> TargetFailed:
    return TargetFailed(message, server.output.lines()[-LOG_LINES:])

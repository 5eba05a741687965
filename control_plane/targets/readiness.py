"""The wait until a started server is ready: it responds, and it is the process we started."""

import asyncio
import os
import re
import socket
from collections.abc import Container
from contextlib import suppress
from dataclasses import dataclass, replace

import httptools

from control_plane.domain.errors import StartPrevented, TargetFailed
from control_plane.domain.server_command_lines import called_wrongly
from control_plane.targets.guarded_server import GuardedServer
from control_plane.targets.http_get_and_delayed_ack import unverified_tls
from control_plane.targets.observation import procfs

POLL_S = 0.005
HANDSHAKE_S = 2.0
"""How long a server that does not speak HTTP may take to show that it does not speak TLS either."""

LAST_LOOK_S = 1.0
"""How long it may take to see what else a server speaks, whose time is over."""
LOG_LINES = 20
_LONGEST_FRAME = 16_384
LARGE_BYTES = 1_000_000
"""A response that is still not whole after so much of its body counts as one."""


@dataclass(frozen=True)
class ReadinessProbe:
    """When a server is ready: `path` responds, and `workers` processes accept.

    `statuses` are those that count; None: any. `by_epoll`: workers wait so for connections.
    """

    host: str
    port: int
    path: str
    statuses: Container[int] | None
    workers: int
    timeout_s: float
    host_header: str
    by_epoll: bool = True

    @property
    def request(self) -> bytes:
        """The request that is asked until it is ready."""
        lines = (f"GET {self.path} HTTP/1.1", f"Host: {self.host_header}", "Connection: close")
        return "\r\n".join([*lines, "", ""]).encode()


@dataclass
class Readiness:
    """What is known of a server that starts.

    `secure`: it responds by TLS. `status` of its last response; None before the first. `has_head`:
    the head of a response came, whole or not. `owner`: who else has the port; None where nobody
    has.
    """

    secure: bool = False
    status: int | None = None
    has_head: bool = False
    owner: str | None = None

    @property
    def scheme(self) -> str:
        """What its URL begins with."""
        return "https" if self.secure else "http"


async def wait_until_ready(server: GuardedServer, probe: ReadinessProbe) -> Readiness:
    """Wait until the server is ready, or another is found to have the port.

    Raises TargetFailed when the server ends before, is not able to serve, or the time is over.
    """
    found = Readiness()
    waiting = asyncio.create_task(_until_response(server, probe, found))
    ending = asyncio.create_task(server.ended())
    try:
        async with asyncio.timeout(probe.timeout_s):
            await asyncio.wait({waiting, ending}, return_when=asyncio.FIRST_COMPLETED)
        if waiting.done():
            waiting.result()
        else:
            found.owner = _port_owner(server, probe, ending.result())
        return found
    except TimeoutError:
        reason = _timeout_reason(server, probe, found)
        if found.status is None and procfs.inodes_at(probe.host, probe.port):
            fault = await protocol_fault(replace(probe, timeout_s=LAST_LOOK_S), secure=False)
            reason = f"{reason}, target {fault}" if fault else reason
        raise _failed(server, reason) from None
    finally:
        waiting.cancel()
        ending.cancel()


_IN_USE = re.compile("address already in use|connection in use", re.IGNORECASE)
"""What servers print whose address somebody else has; gunicorn has words of its own."""


def _port_owner(server: GuardedServer, probe: ReadinessProbe, reason: str) -> str:
    owner = procfs.owner_of(probe.host, probe.port)
    if owner is None:
        failed = _failed(server, f"start: target ended before it was ready, {reason}")
        # A port of its own besides this one, or its owner is gone by now.
        if any(map(_IN_USE.search, failed.log)):
            raise StartPrevented(str(failed), failed.log)
        raise failed
    return owner


def _timeout_reason(server: GuardedServer, probe: ReadinessProbe, found: Readiness) -> str:
    inodes = procfs.inodes_at(probe.host, probe.port)
    late = f"start timeout: not ready after {probe.timeout_s:g} s"
    if standing := server.held():
        return f"{late}, {standing}"
    if not inodes:
        places = procfs.listening_places(server.pids())
        instead = f", it listens on {', '.join(places[:3])}" if places else ""
        return f"{late}, nothing listens on {probe.host}:{probe.port}{instead}"
    if found.status is not None and not _is_ready(probe, found.status):
        return f"{late}, the last answer to GET {probe.path} was {found.status}"
    if (accepting := _accepting_count(server, inodes, probe)) < probe.workers:
        return f"{late}, {accepting} of {probe.workers} workers accept connections"
    return f"{late}, no answer to GET {probe.path}"


def _is_ready(probe: ReadinessProbe, status: int) -> bool:
    return probe.statuses is None or status in probe.statuses


async def _until_response(server: GuardedServer, probe: ReadinessProbe, found: Readiness) -> None:
    while True:
        try:
            status = await _status(probe, found)
        except _SpeaksHttp2:
            raise _failed(server, f"start: target {_HTTP_2_ALONE}") from None
        found.status = status or found.status
        if status == 500 and called_wrongly(server.output.lines()):
            raise _failed(server, f"start: target answers 500 to GET {probe.path}")
        if status is not None and _is_ready(probe, status):
            break
        await asyncio.sleep(10 * POLL_S if status else POLL_S)
    found.owner = await _until_all_accept(server, probe)


async def _until_all_accept(server: GuardedServer, probe: ReadinessProbe) -> str | None:
    """Wait for the other workers; return None, or the name of who else listens on the port.

    A response shows that one worker works: the others are ready when they accept, too.
    """
    while True:
        inodes = procfs.inodes_at(probe.host, probe.port)
        if foreign := inodes - procfs.held_inodes(inodes, server.pids()):
            return procfs.holder_name(foreign)
        if inodes and (
            probe.workers == 1 or _accepting_count(server, inodes, probe) >= probe.workers
        ):
            return None
        await asyncio.sleep(POLL_S)


def _accepting_count(server: GuardedServer, inodes: set[int], probe: ReadinessProbe) -> int:
    """Return how many workers accept, or where that cannot be seen how many processes could."""
    pids = server.pids()
    if probe.by_epoll:
        return len(procfs.accepting(inodes, pids))
    return len([pid for pid in procfs.holders(inodes, pids) if not procfs.children(pid)])


_HTTP_2_ALONE = "speaks HTTP/2 alone, HTTP/1.1 is what is measured"
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\x04\0\0\0\0\0"
"""How a client that knows of it begins HTTP/2 (RFC 9113, 3.4): with settings, none of them."""
_FRAME = re.compile(rb"\0..[\x04\x07][\0\x01]\0{4}", re.DOTALL)
"""The head of a frame of settings, or of one that ends the connection, of an HTTP/2 server."""


class _SpeaksHttp2(Exception):
    """A server answered HTTP/1.1 by HTTP/2."""


async def protocol_fault(probe: ReadinessProbe, *, secure: bool) -> str:
    """Return what a running server speaks instead of HTTP/1.1 with or without TLS; "" if it does.

    Empty, too, where it says nothing within `timeout_s`.
    """
    try:
        async with asyncio.timeout(probe.timeout_s):
            return await _spoken_instead(probe, secure=secure)
    except TimeoutError:
        return ""
    except _SpeaksHttp2:
        return _HTTP_2_ALONE


async def _spoken_instead(probe: ReadinessProbe, *, secure: bool) -> str:
    found = Readiness(secure)
    status = await _status(probe, found)
    if found.secure and not secure:
        return "speaks TLS: give https://"
    if status is not None or found.has_head:
        return ""
    if secure and await _status(probe, Readiness()) is not None:
        return "speaks no TLS: give http://"
    return _HTTP_2_ALONE if await _speaks_http2(probe, secure=secure) else ""


async def _speaks_http2(probe: ReadinessProbe, *, secure: bool) -> bool:
    tls = unverified_tls() if secure else None
    if tls is not None:
        tls.set_alpn_protocols(["h2"])
    try:
        reader, writer = await asyncio.open_connection(probe.host, probe.port, ssl=tls)
        writer.write(_PREFACE)
        data = await reader.read(_LONGEST_FRAME)
    except OSError:
        return False
    writer.transport.abort()
    return _FRAME.match(data) is not None


async def _status(probe: ReadinessProbe, found: Readiness) -> int | None:
    """Return the status of one GET; None when there was no response.

    A server that took it and gave no response, or 400, is asked by TLS.
    """
    try:
        status = await _ask(probe, found, secure=found.secure)
    except ConnectionRefusedError:
        return None
    except (OSError, httptools.HttpParserError):
        status = None
    if found.secure or status not in {None, 400}:
        return status
    try:
        by_tls = await _ask(probe, found, secure=True)
    except (OSError, httptools.HttpParserError):
        by_tls = None
    found.secure = by_tls is not None
    return by_tls or status


async def _open_connection(
    probe: ReadinessProbe, *, secure: bool
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if not secure and probe.host.startswith("127.") and (connected := _connected(probe)):
        return await asyncio.open_connection(sock=connected)
    return await asyncio.open_connection(
        probe.host,
        probe.port,
        ssl=unverified_tls() if secure else None,
        ssl_handshake_timeout=HANDSHAKE_S if secure else None,
    )


def _connected(probe: ReadinessProbe) -> socket.socket | None:
    """Return a connection within this machine; None where it is not made at once.

    Raises ConnectionRefusedError where nobody listens: a starting server is asked 200 times a
    second, and to the event loop a connection that fails is twenty times the work.
    """
    connected = socket.socket()
    connected.settimeout(0)
    try:
        with suppress(BlockingIOError):
            connected.connect((probe.host, probe.port))
        if fault := connected.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(fault, os.strerror(fault))
        connected.getpeername()
    except OSError as error:
        connected.close()
        if isinstance(error, ConnectionRefusedError):
            raise
        return None
    return connected


async def _ask(probe: ReadinessProbe, found: Readiness, *, secure: bool) -> int | None:
    """Return the status of the whole response to one GET; None when the server ends it before.

    Raises OSError where the server cannot be reached, HttpParserError where it speaks otherwise.
    """
    reader, writer = await _open_connection(probe, secure=secure)
    response = _Response()
    try:
        writer.write(probe.request)
        while not response.whole:
            data = await reader.read(65_536)
            if not data:
                return response.status if response.ends_by_close else None
            if _FRAME.match(data) and response.status is None:
                raise _SpeaksHttp2
            response.parser.feed_data(data)
        return response.status
    except httptools.HttpParserUpgrade:
        return response.parser.get_status_code()
    finally:
        found.has_head = found.has_head or response.status is not None
        writer.transport.abort()


class _Response:
    """A response as it comes, after interim ones. An event stream is whole with its head."""

    def __init__(self) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self._headers: dict[bytes, bytes] = {}
        self._body_bytes = 0
        self.status: int | None = None
        self.whole = False

    @property
    def ends_by_close(self) -> bool:
        """Whether the head has come, and the end of the connection is that of the body."""
        return self.status is not None and not self._headers.keys() & {
            b"content-length",
            b"transfer-encoding",
        }

    def on_message_begin(self) -> None:
        """Called by the parser, as all of these."""
        self._headers.clear()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        status = self.parser.get_status_code()
        self.status = status if status >= 200 else None
        self.whole = self._headers.get(b"content-type", b"").startswith(b"text/event-stream")

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        self.whole = self.whole or self._body_bytes > LARGE_BYTES

    def on_message_complete(self) -> None:
        self.whole = self.status is not None


def _failed(server: GuardedServer, message: str) -> TargetFailed:
    return TargetFailed(message, server.output.lines()[-LOG_LINES:])

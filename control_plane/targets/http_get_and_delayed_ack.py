"""What Looplab itself asks a running target: GETs bounded in size and time, and the self-check for
responses that wait for a delayed ACK.

A server that writes head and body of a response apart, on a connection without TCP_NODELAY, has the
body held back by Nagle's algorithm (RFC 896) until the client acknowledges the head, which Linux
delays by 40 ms (RFC 1122, 4.2.3.2). asyncio sets TCP_NODELAY only where it opened the listener for
TCP itself, so workers that inherit one, as those of `uvicorn --workers` do, have the trap.

Requests of the self-check take turns: every other one is sent by a client that acknowledges at once
(TCP_QUICKACK of tcp(7)). Whatever else a response takes, it takes both ways.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httptools

from control_plane.domain.errors import TargetFailed

if TYPE_CHECKING:
    from aiohttp import ClientSession

MAX_BYTES = 4_000_000
GET_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class HttpResponse:
    """`body` as it came, whatever its encoding."""

    status: int
    body: bytes


async def get(url: str, path: str, host: str) -> HttpResponse:
    """Send a GET with that Host, without following a redirect and without a proxy.

    Raises TargetFailed when no whole response came in time, or one above `MAX_BYTES`.
    """
    try:
        async with asyncio.timeout(GET_TIMEOUT_S), open_session(host) as session:
            return await get_with(session, url, path)
    except TimeoutError:
        raise TargetFailed(f"No whole answer to GET {path} within {GET_TIMEOUT_S:g} s.") from None


def unverified_tls() -> ssl.SSLContext:
    """Return a context that takes any certificate: targets are on this machine."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def open_session(host: str) -> ClientSession:
    """Return a session that sends that Host and keeps its connections open between requests."""
    # Only here, because it would take a fifth of a second of every start.
    import aiohttp

    return aiohttp.ClientSession(
        trust_env=False,
        auto_decompress=False,
        headers={"Host": host, "Accept-Encoding": "identity", "User-Agent": "looplab"},
        connector=aiohttp.TCPConnector(ssl=False),
    )


async def get_with(session: ClientSession, url: str, path: str) -> HttpResponse:
    """Send a GET as `get` does, but without its timeout."""
    import aiohttp

    try:
        async with session.get(f"{url}{path}", allow_redirects=False) as response:
            return HttpResponse(
                response.status, await _read_body(response.content.iter_any(), path)
            )
    except TimeoutError:
        raise
    except (aiohttp.ClientError, OSError, ValueError) as error:
        reason = str(error)[:100] or type(error).__name__
        raise TargetFailed(f"No answer to GET {path}: {reason}.") from None


async def _read_body(content: AsyncIterator[bytes], path: str) -> bytes:
    body = bytearray()
    async for chunk in content:
        body += chunk
        if len(body) > MAX_BYTES:
            raise TargetFailed(f"The answer to GET {path} is above {MAX_BYTES:,} bytes.")
    return bytes(body)


SELF_CHECK_REQUESTS = 24
MIN_REQUESTS = 4
"""Of each kind, for a statement; from here on a clear delay needs no further request."""
CLEAR_S = 0.030
ACK_TIMEOUT_S = 2.0
"""For the whole check; a path that is slow itself gets fewer requests."""
_NO_RESPONSE = (httptools.HttpParserError, httptools.HttpParserUpgrade)
"""What the parser raises where something else than HTTP follows: a fault, or what 101 leads to."""
_QUICKACK: int = getattr(socket, "TCP_QUICKACK", 0)


async def delayed_ack_s(url: str, path: str, host: str = "") -> float | None:
    """Return how much longer a response takes where its head is acknowledged late, as usual.

    `host` is the Host that is sent, by default that of `url`.
    None when the server does not respond to so many on one connection in time, and on a system
    that cannot acknowledge at once.
    """
    usual: list[float] = []
    quick: list[float] = []
    if not _QUICKACK:
        return None
    with suppress(TimeoutError, OSError, EOFError, *_NO_RESPONSE):
        async with asyncio.timeout(ACK_TIMEOUT_S):
            await _take_turns(await _Connection.open(url, host), path, usual, quick)
    return slower_by(usual, quick)


async def _take_turns(
    connection: _Connection, path: str, usual: list[float], quick: list[float]
) -> None:
    try:
        # What only the first request of a process or a connection costs shall not count.
        await connection.get(path, quick=True)
        for number in range(SELF_CHECK_REQUESTS):
            times = quick if number % 2 else usual
            times.append(await connection.get(path, quick=times is quick))
            if (slower_by(usual, quick) or 0.0) >= CLEAR_S:
                return
    finally:
        connection.close()


def slower_by(usual: Sequence[float], quick: Sequence[float]) -> float | None:
    """Return the lower quartile of the usual times minus the upper one of the quick times.

    So a delay counts only where nearly all of both show it; None where there are too few.
    """
    if min(len(usual), len(quick)) < MIN_REQUESTS:
        return None
    return sorted(usual)[len(usual) // 4] - sorted(quick)[len(quick) * 3 // 4]


class _Connection:
    """One kept connection; its response is that of the newest request."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str
    ) -> None:
        self._reader, self._writer, self._host = reader, writer, host
        self._complete = False

    @classmethod
    async def open(cls, url: str, host: str) -> _Connection:
        parts = urlsplit(url)
        secure = parts.scheme == "https"
        context = unverified_tls() if secure else None
        port = parts.port or (443 if secure else 80)
        streams = await asyncio.open_connection(parts.hostname, port, ssl=context)
        return cls(*streams, host or parts.netloc)

    async def get(self, path: str, *, quick: bool) -> float:
        """Return how long a GET took. Raises EOFError when the server closes the connection."""
        self._complete = False
        parser = httptools.HttpResponseParser(self)
        began = time.perf_counter()
        self._writer.write(f"GET {path} HTTP/1.1\r\nHost: {self._host}\r\n\r\n".encode())
        while not self._complete:
            # The kernel leaves either mode by itself, so it is set before each wait.
            self._writer.get_extra_info("socket").setsockopt(
                socket.IPPROTO_TCP, _QUICKACK, int(quick)
            )
            data = await self._reader.read(65_536)
            if not data:
                raise EOFError
            parser.feed_data(data)
        return time.perf_counter() - began

    def on_message_complete(self) -> None:
        """Called by the parser."""
        self._complete = True

    def close(self) -> None:
        self._writer.close()

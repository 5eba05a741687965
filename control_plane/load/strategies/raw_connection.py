"""One connection of the raw strategy: sends a request, reads its answer, tells its user."""

import asyncio
import ssl
from collections.abc import Callable
from typing import Protocol, cast
from urllib.parse import urlsplit

from control_plane.load.connections import ConnectionCounter
from control_plane.load.outcome import classify
from control_plane.load.request_source import Request, RequestSource
from control_plane.load.strategies.raw_response import InvalidResponse, ResponseHead, ResponseParser
from control_plane.load.strategies.request_headers import RequestHeaders
from control_plane.load.strategies.strategy import StrategyContext


class RequestEncoder:
    """Makes the bytes before a body; once where all requests of a class are one."""

    def __init__(self, gear: StrategyContext) -> None:
        self._source: RequestSource = gear.source
        self._headers = RequestHeaders(gear.plan, gear.source)
        self._heads: dict[int, bytes] = {}

    def head(self, request: Request) -> bytes:
        """Everything before the body."""
        known = self._heads.get(request.kind)
        if known is not None:
            return known
        lines = [f"{name}: {text}\r\n" for name, text in self._headers.of(request).items()]
        made = f"{request.method} {request.path} HTTP/1.1\r\n{''.join(lines)}\r\n".encode()
        if self._source.fixed(request.kind):
            self._heads[request.kind] = made
        return made


_PIECE_BYTES = 262_144
"""A body is written in pieces of this size, as the connection takes them."""


class ResponseHandler(Protocol):
    """Who waits for the answer on a line; one of the three is called for each request.

    `repeats`: every request of the line is the same, without a body. `again` is told of a line
    whose last answer has come again, byte for byte.
    """

    @property
    def repeats(self) -> bool: ...

    @property
    def again(self) -> "Callable[[Connection], None]": ...

    def on_response(self, answer: ResponseParser) -> None:
        """It is whole."""

    def on_failure(self, kind: str, received: int = 0) -> None:
        """It will never come. The line is closed."""


class Connection(asyncio.Protocol):
    """`open` until either side ends it; `asked` while an answer is awaited."""

    def __init__(
        self, asker: ResponseHandler, answer: ResponseParser, connections: ConnectionCounter
    ) -> None:
        self._asker, self._answer, self._connections = asker, answer, connections
        self._transport: asyncio.Transport | None = None
        self._rest = memoryview(b"")
        self._last = b""
        self.open = self.asked = self._paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Those of uvloop are no asyncio.Transport by type.
        self._transport, self.open = cast("asyncio.Transport", transport), True
        self.write = self._transport.write
        self._connections.add(id(self))

    def ask(self, head: bytes, request: Request) -> None:
        """`head` is that of `request` as it goes over the wire."""
        self.asked = True
        if request.method == "HEAD":
            self._answer.without_body()
        self.write(head)
        if request.body:
            self._rest = memoryview(request.body)
            self._pour()

    def data_received(self, data: bytes) -> None:
        if data == self._last and self.asked:
            self._asker.again(self)
            return
        if not self.asked:
            # Nobody asked: what comes next on this line would be taken for an answer.
            self.close()
            return
        try:
            whole = self._answer.feed(data)
        except InvalidResponse as broken:
            self._fail(broken.kind, self._answer.received)
            return
        self._last = data if whole and self._asker.repeats and self._answer.alone else b""
        if whole:
            self._end()

    def eof_received(self) -> None:
        """The transport is closed after this."""
        self.open = False
        if self.asked:
            self._cut()

    def connection_lost(self, error: Exception | None) -> None:
        self.open = False
        self._connections.remove(id(self))
        if not self.asked:
            return
        if error is None:
            self._cut()
        else:
            self._fail(classify(error, ()))

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._pour()

    def close(self) -> None:
        """Nothing is told any more."""
        self.open = self.asked = False
        self._rest = memoryview(b"")
        if self._transport is not None:
            self._transport.abort()

    def _pour(self) -> None:
        while self._rest and not self._paused:
            piece, self._rest = self._rest[:_PIECE_BYTES], self._rest[_PIECE_BYTES:]
            self.write(piece)

    def _cut(self) -> None:
        kind = self._answer.closed()
        if kind is None:
            self._answer.kept = False
            self._end()
        else:
            self._fail(kind)

    def _end(self) -> None:
        """A line is done for when its server says so, or answered before it read the request."""
        self.asked = False
        if self._rest or not self._answer.kept:
            self.close()
        self._asker.on_response(self._answer)

    def _fail(self, kind: str, received: int = 0) -> None:
        self.close()
        self._asker.on_failure(kind, received if kind == "body_too_large" else 0)


class Connector:
    """What all users share."""

    def __init__(self, gear: StrategyContext, loop: asyncio.AbstractEventLoop) -> None:
        parts = urlsplit(gear.plan.base_url)
        secure = parts.scheme == "https"
        self.loop, self.wires = loop, RequestEncoder(gear)
        self._host, self._port = parts.hostname or "", parts.port or (443 if secure else 80)
        self._ssl = _unverified() if secure else None
        self._connections = gear.connections
        self._limit = gear.plan.client.max_body_bytes
        self._heads: dict[bytes, ResponseHead] = {}

    def line(self, asker: ResponseHandler) -> Connection:
        return Connection(asker, ResponseParser(self._heads, self._limit), self._connections)

    def start(self, line: Connection) -> asyncio.Task[object]:
        connecting = self.loop.create_connection(
            lambda: line, self._host, self._port, ssl=self._ssl
        )
        return self.loop.create_task(connecting)


def _unverified() -> ssl.SSLContext:
    """Targets are on this machine, where there is nobody to pretend to be one."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context

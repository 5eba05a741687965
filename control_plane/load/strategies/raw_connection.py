"""One connection of the raw strategy: sends a request, reads its response, calls its handler."""

import asyncio
from collections.abc import Callable
from typing import Protocol, cast
from urllib.parse import urlsplit

from control_plane.load.clock import clock_ns
from control_plane.load.outcome import classify
from control_plane.load.request_source import Request, RequestHeaders, RequestSource
from control_plane.load.responses import Reading, unread_bytes
from control_plane.load.sample_buffer import NOT_HEARD_NS
from control_plane.load.strategies import StrategyContext, tls_context
from control_plane.load.strategies.kept_connections import (
    ConnectionCounter,
    Ending,
    KeptConnections,
    SocketOptions,
    ending_of,
    is_ended,
)
from control_plane.load.strategies.raw_response import InvalidResponse, ResponseHead, ResponseParser


class RequestEncoder:
    """Makes the bytes before a body; once where all requests of a class are one."""

    def __init__(self, context: StrategyContext) -> None:
        self._source: RequestSource = context.source
        self._headers = RequestHeaders(context.plan, context.source)
        self._heads: dict[int, bytes] = {}
        self._lines: dict[tuple[int, int], str] = {}

    def head(self, request: Request) -> bytes:
        """Return everything before the body, as it goes over the connection."""
        known = self._heads.get(request.kind)
        if known is not None:
            return known
        lines = self._header_lines(request)
        encoded = f"{request.method} {request.path} HTTP/1.1\r\n{lines}\r\n".encode()
        if self._source.fixed(request.kind):
            self._heads[request.kind] = encoded
        return encoded

    def _header_lines(self, request: Request) -> str:
        """All header lines, joined once for each length of the body where they are the same."""
        key = request.kind, len(request.body)
        known = self._lines.get(key)
        if known is not None:
            return known
        headers = self._headers.of(request)
        lines = "".join(f"{name}: {text}\r\n" for name, text in headers.items())
        if self._source.fixed_headers(request.kind):
            self._lines[key] = lines
        return lines


_PIECE_BYTES = 262_144
"""A body is written in pieces of this size, as the connection takes them."""


class ResponseHandler(Protocol):
    """Takes the responses of a connection; one of its methods is called for each request.

    `repeats`: every request of the connection is the same, without a body. `on_same_response` is
    called where the last response has come again, byte for byte.
    """

    @property
    def repeats(self) -> bool: ...

    @property
    def on_same_response(self) -> "Callable[[Connection], None]": ...

    def on_first_byte(self, came_ns: int) -> None:
        """Note when a response begins that came in more than one piece.

        What looked like its beginning may turn out to be an interim one: then it is called again,
        with `NOT_HEARD_NS`.
        """

    def on_open_end(self, media_type: str) -> None:
        """Note that the response has begun and does not say where it ends."""

    def on_response(self, parser: ResponseParser) -> None:
        """Take the response, which is whole."""

    def on_failure(self, kind: str, received: int = 0, sample: bytes = b"") -> None:
        """Give up: the response will never come, and the connection is closed.

        `sample` is the beginning of what came of it.
        """

    def on_send_again(self) -> None:
        """Send the request over a new connection: it found this one closed."""


class Connection(asyncio.Protocol):
    """A connection to the target.

    `open` until either side ends it; `awaiting` a response, or not.
    """

    def __init__(
        self,
        handler: ResponseHandler,
        parser: ResponseParser,
        connections: ConnectionCounter,
        kept: KeptConnections,
    ) -> None:
        self._handler, self._parser, self._connections = handler, parser, connections
        self._kept, self._method = kept, ""
        self._requests = 0
        self._transport: asyncio.Transport | None = None
        self._rest = memoryview(b"")
        self._last = b""
        self.open = self.awaiting = self._paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Those of uvloop are no asyncio.Transport by type.
        self._transport, self.open = cast("asyncio.Transport", transport), True
        self.write = self._transport.write
        self._connections.add(id(self))

    def send(self, head: bytes, request: Request) -> None:
        """Send a request; `head` is that of `request` as encoded."""
        self.awaiting, self._method = True, request.method
        self._requests += 1
        self._parser.keeps_body = request.content is not None
        self._parser.reading = request.reading()
        if request.method == "HEAD":
            self._parser.without_body()
        self.write(head)
        if request.body:
            self._rest = memoryview(request.body)
            self._write_rest()

    def data_received(self, data: bytes) -> None:
        if data == self._last and self.awaiting:
            self._handler.on_same_response(self)
            return
        if not self.awaiting:
            # Nothing was sent: it would be taken for the response to the next request.
            self.close()
            return
        begun = self._parser.begun
        try:
            whole = self._parser.feed(data)
        except InvalidResponse as broken:
            self._fail(broken.kind, self._parser.received)
            return
        if begun or self._parser.begun:
            self._note_beginning(begun=begun)
        if not whole:
            self._go_on()
        again = whole and self._requests > 1
        self._last = data if again and self._handler.repeats and self._parser.alone else b""
        if again:
            self._kept.carried_two()
        if whole:
            self._finish()

    def _note_beginning(self, *, begun: bool) -> None:
        """Note where the response begins; `begun`: it looked so before the last piece."""
        if begun and self._parser.interim:
            self._handler.on_first_byte(NOT_HEARD_NS)
            begun = False
        if self._parser.begun and not begun:
            self._handler.on_first_byte(clock_ns())

    def _go_on(self) -> None:
        """Await the rest of the response: end its reading in time, once the head is whole."""
        reading = self._parser.reading
        if self._parser.open_ended:
            self._handler.on_open_end(self._parser.media_type)
        if reading is not None and self._parser.headed and reading.left_s(0) is None:
            reading.begin(now_ns := clock_ns())
            if (left_s := reading.left_s(now_ns)) is not None:
                asyncio.get_running_loop().call_later(left_s, self._end_reading, reading)

    def _end_reading(self, reading: Reading) -> None:
        if self.awaiting and self._parser.reading is reading:
            reading.end()
            self._parser.cut()
            self._finish()

    def eof_received(self) -> None:
        """The transport is closed after this."""
        self.open = False
        if self.awaiting:
            self._reach_end()
        else:
            self._kept.ended_unasked(self._requests + 1)

    def connection_lost(self, error: Exception | None) -> None:
        self.open = False
        self._connections.remove(id(self))
        if error is not None and self.awaiting and (data := unread_bytes(self._transport)):
            self.data_received(data)
        if not self.awaiting:
            return
        if error is None:
            self._reach_end()
        elif self._send_again(Ending.RESET):
            self._handler.on_send_again()
        else:
            self._fail(classify(error, ()))

    def so_far(self) -> tuple[int, bytes]:
        """Return the status of the response that is under way, 0 before its head, and its bytes."""
        parser = self._parser
        return (parser.status, parser.sample) if parser.headed else (0, b"")

    def is_usable(self) -> bool:
        """Return whether another request can go out."""
        if self.open and self._kept.unsure and is_ended(self._socket):
            self._kept.ended_unasked(self._requests + 1)
            self.close()
        return self.open

    @property
    def _socket(self) -> SocketOptions | None:
        return self._transport.get_extra_info("socket") if self._transport else None

    def _send_again(self, ending: Ending) -> bool:
        """Return whether the request in flight goes out again; then this connection is done for."""
        if self._parser.started or not self._kept.send_again(self._method, self._requests, ending):
            return False
        self.close()
        return True

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._write_rest()

    def close(self) -> None:
        """Close at once; the handler is not called any more."""
        self.open = self.awaiting = False
        self._rest = memoryview(b"")
        self._connections.remove(id(self))
        if self._transport is not None:
            self._transport.abort()

    def _write_rest(self) -> None:
        while self._rest and not self._paused:
            piece, self._rest = self._rest[:_PIECE_BYTES], self._rest[_PIECE_BYTES:]
            self.write(piece)

    def _reach_end(self) -> None:
        kind = self._parser.closed()
        if kind is None:
            self._parser.kept = False
            self._finish()
        elif self._send_again(ending_of(self._socket)):
            self._handler.on_send_again()
        else:
            self._fail(kind)

    def _finish(self) -> None:
        """Close where the server says so, or responded before it read the request."""
        self.awaiting = False
        if self._rest or not self._parser.kept:
            self.close()
        self._handler.on_response(self._parser)

    def _fail(self, kind: str, received: int = 0) -> None:
        self.close()
        counted = received if kind == "body_too_large" else 0
        sample = self._parser.sample if self._parser.started else b""
        self._handler.on_failure(kind, counted, sample)


class Connector:
    """Makes the connections of all users, from what they share."""

    def __init__(self, context: StrategyContext, loop: asyncio.AbstractEventLoop) -> None:
        parts = urlsplit(context.plan.base_url)
        secure = parts.scheme == "https"
        self.loop, self.encoder = loop, RequestEncoder(context)
        self._host, self._port = parts.hostname or "", parts.port or (443 if secure else 80)
        self._tls = tls_context() if secure else None
        self._connections, self.kept = context.connections, context.kept_connections()
        self._limit = context.plan.client.max_body_bytes
        self._heads: dict[bytes, ResponseHead] = {}

    def connection(self, handler: ResponseHandler) -> Connection:
        """Return a connection that is not open yet."""
        parser = ResponseParser(self._heads, self._limit)
        return Connection(handler, parser, self._connections, self.kept)

    def forget(self, connection: Connection) -> None:
        """Count a connection no more, which could not be made."""
        self._connections.remove(id(connection))

    def open(self, connection: Connection) -> asyncio.Task[object]:
        """Return the task that opens a connection."""
        self._connections.begin(id(connection))
        connecting = self.loop.create_connection(
            lambda: connection, self._host, self._port, ssl=self._tls
        )
        return self.loop.create_task(connecting)

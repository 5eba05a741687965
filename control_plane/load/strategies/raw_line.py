"""One connection of the raw strategy: sends a request, reads its answer, tells its user."""

import asyncio
from collections.abc import Callable
from typing import Protocol, cast

from control_plane.load.connections import Connections
from control_plane.load.faults import classify
from control_plane.load.source import Request
from control_plane.load.strategies.raw_answer import Answer, Broken

_PIECE_BYTES = 262_144
"""A body is written in pieces of this size, as the connection takes them."""


class Asker(Protocol):
    """Who waits for the answer on a line; one of the three is called for each request.

    `repeats`: every request of the line is the same, without a body. `again` is told of a line
    whose last answer has come again, byte for byte.
    """

    @property
    def repeats(self) -> bool: ...

    @property
    def again(self) -> "Callable[[Line], None]": ...

    def answered(self, answer: Answer) -> None:
        """It is whole."""

    def failed(self, kind: str, received: int = 0) -> None:
        """It will never come. The line is closed."""


class Line(asyncio.Protocol):
    """`open` until either side ends it; `asked` while an answer is awaited."""

    def __init__(self, asker: Asker, answer: Answer, connections: Connections) -> None:
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
        except Broken as broken:
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
        self._asker.answered(self._answer)

    def _fail(self, kind: str, received: int = 0) -> None:
        self.close()
        self._asker.failed(kind, received if kind == "body_too_large" else 0)

"""Responses of HTTP/1.1, read piece by piece; bodies are counted, not kept.

httptools reads every head that was not seen before. The head of a short whole response is
remembered then: where the same bytes come again, they mean the same and are not read again.
"""

from contextlib import suppress
from typing import NamedTuple

import httptools

from control_plane.load.responses import MAX_HEADER_BYTES, MAX_HEADERS, Reading

_END = b"\r\n\r\n"
_SWITCHING = 101
_SAMPLE_BYTES = 8_192
_MOST_HEADS, _LONGEST_HEAD, _LONGEST_RESPONSE = 256, 4_096, 4_096


class ResponseHead(NamedTuple):
    """`length` is that of the body; `kept` says whether the connection can take a next request."""

    status: int
    length: int
    kept: bool


class InvalidResponse(Exception):
    """Raised where a response is wrong; `kind` is its error class."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class ResponseParser:
    """Parses the responses of one connection, one after the other.

    `heads` is shared by all connections. `status`, `received` (bytes of the body) and `kept` are
    those of the response that `feed` called whole; `alone`: it came in one short piece and was
    kept, so the same bytes mean the same again. `sample` is the beginning of the response, `body`
    its whole body where `keeps_body` is set before it comes. `reading`, set then as well, ends it
    before its own end. `begun`: a part of a response came,
    past interim ones, and not the whole; `interim`: an interim one ended in the last piece.
    """

    def __init__(self, heads: dict[bytes, ResponseHead], limit: int) -> None:
        self._heads, self._limit = heads, limit
        self.status, self.received, self.kept, self.alone = 0, 0, False, False
        self.sample = b""
        self.keeps_body, self.body = False, bytearray()
        self.reading: Reading | None = None
        self.media_type = ""
        self._parser: httptools.HttpResponseParser | None = None
        self._bodiless = self.begun = self.interim = False

    def without_body(self) -> None:
        """Let the next response end with its head, whatever the head says: it is one to HEAD."""
        self._begin()
        self._bodiless = True

    def feed(self, data: bytes) -> bool:
        """Return whether the response is whole now. Raises InvalidResponse."""
        if self._parser is None and self.reading is None:
            end = data.find(_END) + len(_END)
            head = self._heads.get(data[:end])
            if head is not None and len(data) - end == head.length:
                self.status, self.received, self.kept = head
                self.sample = data
                if self.keeps_body:
                    self.body = bytearray(data[end:])
                self.alone = len(data) <= _LONGEST_RESPONSE
                return True
        if self._parser is None:
            self._begin()
        return self._read(data)

    @property
    def started(self) -> bool:
        """Whether a part of a response came."""
        return self._parser is not None and self._pieces > 0

    def closed(self) -> str | None:
        """Return the error class of a response that the end of the connection cuts off.

        None where it ends so.
        """
        if self._parser is None or not self._headed:
            return "disconnected"
        return "truncated" if self._length is not None or self._chunked else None

    def _begin(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self.received = 0
        self.body.clear()
        self._whole = self._headed = self._chunked = self._bodiless = self.begun = False
        self._length: int | None = None
        self.media_type = ""
        self._headers = self._unfinished = self._pieces = 0
        self.sample = b""

    def _read(self, data: bytes) -> bool:
        self._pieces += 1
        self.interim = False
        if len(self.sample) < _SAMPLE_BYTES:
            self.sample += data[:_SAMPLE_BYTES]
        if self._headed and self._length is not None:
            self._count(data, self._length)
        else:
            self._parse(data)
        if self.reading is not None and self.reading.ended:
            self.cut()
        elif self.received > self._limit:
            raise InvalidResponse("body_too_large")
        if self._whole:
            self._remember(data)
            self._parser, self.begun = None, False
        return self._whole

    def cut(self) -> None:
        """Take what came for the whole response: its reading ends here, and its connection too."""
        if self.reading is not None:
            self.received = self.reading.received
        self._whole, self.kept = True, False

    @property
    def open_ended(self) -> bool:
        """Whether a head came that does not say where its response ends."""
        return self.headed and self._length is None

    @property
    def headed(self) -> bool:
        """Whether the head of a response came that is not over."""
        return self._parser is not None and self._headed

    def _count(self, data: bytes, length: int) -> None:
        """A body of known length needs no parser."""
        if self.keeps_body:
            self.body += data[: length - self.received]
        if self.reading is not None:
            self.reading.add(data[: length - self.received])
        self.received += len(data)
        self._whole = self.received >= length
        if self.received > length:
            self.received, self.kept = length, False

    def _parse(self, data: bytes) -> None:
        self._unfinished += len(data)
        try:
            self._fed(data)
        except httptools.HttpParserError as error:
            if not self._whole and not (self.reading and self.reading.ended):
                raise InvalidResponse("protocol") from error
            # What follows the response belongs to no request.
            self.kept = False
        if not self._headed and self._unfinished > MAX_HEADER_BYTES:
            raise InvalidResponse("protocol")

    def _fed(self, data: bytes) -> None:
        parser = self._parser
        if parser is not None:
            with suppress(httptools.HttpParserUpgrade):
                parser.feed_data(data)

    def _remember(self, data: bytes) -> None:
        end = len(data) - self.received
        alone = self._pieces == 1 and self.kept and not self._bodiless
        self.alone = alone and len(data) <= _LONGEST_RESPONSE
        if alone and end <= _LONGEST_HEAD and data.find(_END) + len(_END) == end:
            if len(self._heads) >= _MOST_HEADS:
                self._heads.clear()
            self._heads[data[:end]] = ResponseHead(self.status, self.received, kept=True)

    def on_message_begin(self) -> None:
        """A second response is an error; one after an interim response is not."""
        if self._whole:
            raise InvalidResponse("protocol")
        self.begun = True

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers += 1
        self._unfinished = 0
        if self._headers > MAX_HEADERS or len(name) + len(value) > MAX_HEADER_BYTES:
            raise InvalidResponse("protocol")
        if self._headed:
            return
        field = name.lower()
        if field == b"content-length":
            self._length = int(value)
        elif field == b"transfer-encoding":
            self._chunked = True
        elif field == b"content-type":
            self.media_type = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        parser = self._parser
        if parser is None:
            return
        status = parser.get_status_code()
        if 100 <= status < 200 and status != _SWITCHING:
            # An interim response: the final one follows.
            return
        self.status, self.kept = status, parser.should_keep_alive()
        self._headed, self._whole = True, self._bodiless

    def on_body(self, body: bytes) -> None:
        if self._bodiless:
            raise InvalidResponse("protocol")
        self.received += len(body)
        if self.reading is not None:
            self.reading.add(body)
        if self.keeps_body:
            self.body += body

    def on_message_complete(self) -> None:
        """An interim response leaves everything to the final one."""
        if self._headed:
            self._whole = True
        else:
            self._headers, self._length, self._chunked = 0, None, False
            self.begun, self.interim = False, True

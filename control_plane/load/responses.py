"""What is taken from a response: its first byte, its body, whether that is as expected, cookies."""

import asyncio
import os
import re
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from control_plane.domain.endless_responses import Until, UntilBytes, UntilEvent, UntilSeconds
from control_plane.domain.request import Expectation, Scalar, SizeRange
from control_plane.domain.target_addresses import is_here
from control_plane.domain.units import count, number_of
from control_plane.load.clock import FAR_NS
from control_plane.load.request_templates import Template, expected_template

if TYPE_CHECKING:
    from email.message import Message
    from urllib.request import Request as UrlRequest

_MOST_PATHS = 1_000


class UserCookies:
    """Keeps cookies by the rules of http.cookiejar, for one target.

    Those that are marked Secure go back over plain HTTP on loopback alone, as in browsers.
    """

    def __init__(self, base_url: str, host: str) -> None:
        # Few clients keep cookies, and each load worker would spend a twentieth of its start here.
        from http.cookiejar import CookieJar, DefaultCookiePolicy

        parts = urlsplit(base_url)
        host = host or parts.netloc
        self._root = f"{parts.scheme}://{host}"
        secure = ("http", "https") if is_here(base_url) else ("https",)
        self._jar = CookieJar(DefaultCookiePolicy(secure_protocols=secure))
        name = re.escape(urlsplit(self._root).hostname or "")
        self._own_domain = re.compile(rf";\s*domain=\.?{name}\s*(?=;|$)", re.IGNORECASE)
        self._headers: dict[str, str] = {}
        self._taken: list[tuple[str, Iterable[tuple[bytes, bytes]]]] = []
        self._until_s = float("inf")
        self.texts: set[str] = set()
        """Every value that was set: none of them is shown."""

    def header(self, path: str) -> str:
        """Return the `Cookie` of a request of that path; empty where it has none."""
        self.settle()
        path = path.partition("?")[0]
        known = self._headers.get(path)
        if known is None:
            if len(self._headers) >= _MOST_PATHS:
                self._headers.clear()
            request = self._request(path)
            self._jar.add_cookie_header(request)
            known = self._headers[path] = request.get_header("Cookie") or ""
        return known

    def take(self, path: str, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Take the answer to a request of that path; what it sets is kept when next asked for.

        So no time of the answer holds that.
        """
        self._taken.append((path, headers))

    def settle(self) -> None:
        """Keep what was taken, and forget what has expired."""
        taken, self._taken = self._taken, []
        for path, headers in taken:
            if found := set_cookies(headers):
                self.keep(path, found)
        if self._until_s <= time.time():
            self._forget()

    def keep(self, path: str, found: Iterable[str]) -> None:
        """Keep cookies as `Set-Cookie` has them; one of another domain is left out."""
        from email.message import Message

        # One after the other: http.cookiejar deletes what an answer ends before it sets the rest.
        for text in found:
            message = Message()
            # It takes no name without a dot for a domain, not even the host's own.
            message["Set-Cookie"] = self._own_domain.sub("", text)
            self._jar.extract_cookies(cast("Any", _SettingAnswer(message)), self._request(path))
            self.texts.add(cookie_of(text)[1])
        self._forget()

    def _request(self, path: str) -> "UrlRequest":
        from urllib.request import Request as UrlRequest

        return UrlRequest(self._root + path)

    def _forget(self) -> None:
        self._headers.clear()
        self._jar.clear_expired_cookies()
        ends = (cookie.expires for cookie in self._jar)
        self._until_s = min((end for end in ends if end is not None), default=float("inf"))


class _SettingAnswer:
    """What http.cookiejar reads of an answer."""

    def __init__(self, headers: "Message") -> None:
        self._headers = headers

    def info(self) -> "Message":
        return self._headers


def set_cookies(headers: Iterable[tuple[bytes, bytes]]) -> list[str]:
    """Return every `Set-Cookie` of an answer."""
    return [value.decode("latin-1") for name, value in headers if name.lower() == b"set-cookie"]


def cookie_of(text: str) -> tuple[str, str]:
    """Return name and value of a `Set-Cookie`."""
    name, _, value = text.partition(";")[0].partition("=")
    return name.strip(), value.strip().strip('"')


_GZIP = b"\x1f\x8b"
_SHOWN_KEYS, _MOST_DIGITS = 8, 18


@dataclass(frozen=True, slots=True)
class ContentCheck:
    """What is expected of the body of one response, its placeholders filled."""

    size: SizeRange | None
    text: str | None
    json_key: str | None

    @property
    def reads(self) -> bool:
        """Whether it looks into the body, not only at its size."""
        return self.text is not None or self.json_key is not None

    def unmet(self, body: bytes, received: int) -> str:
        """Return what was expected and what was there; "" where the body is as expected.

        `received`: the size of the whole body, of which `body` may be the beginning if nothing
        `reads` it. What was expected is told whole: shortened, a secret in it would not be found.
        """
        packed = " (it is packed with gzip)" if body.startswith(_GZIP) else ""
        if self.size is not None and not self.size.holds(received):
            return f"expected {self.size.label}, {count(received)} came"
        if self.text is not None and self.text.encode() not in body:
            return f"the body{packed} does not hold the expected text {self.text!r}"
        if self.json_key is not None and (found := _missing(body, self.json_key)):
            return f"expected the JSON key {self.json_key}: {found}{packed}"
        return ""


_LINE_END = re.compile(rb"\r\n|\r|\n")
_MARK = b"\xef\xbb\xbf"
_FIELD_BYTES = 8
"""More of the beginning of a line than its field needs that tells of data."""


class Reading:
    """Reads one response until somewhere: it ends with `ended`, or the response ends before it.

    `received` bytes of the body count. Times are nanoseconds of the monotonic clock.
    """

    def __init__(self, until: Until) -> None:
        self._until = until
        self.received, self.ended, self.ends_ns = 0, False, FAR_NS
        self._events = EventCounter(until.event) if isinstance(until, UntilEvent) else None
        self._bytes = until.bytes if isinstance(until, UntilBytes) else None

    def begin(self, headed_ns: int) -> None:
        """Begin when the head has come."""
        if isinstance(self._until, UntilSeconds):
            self.ends_ns = headed_ns + round(self._until.seconds * 1e9)

    def left_s(self, now_ns: int) -> float | None:
        """Return the seconds that are left; None where nothing but the response ends it."""
        return None if self.ends_ns == FAR_NS else max(0.0, (self.ends_ns - now_ns) / 1e9)

    def add(self, piece: bytes) -> bool:
        """Return whether reading ends within this piece of the body."""
        if self.ended:
            return True
        end = self._events.end_in(piece) if self._events else None
        if end is None and self._bytes is not None and self.received + len(piece) >= self._bytes:
            end = self._bytes - self.received
        self.received += len(piece) if end is None else end
        self.ended = end is not None
        return self.ended

    def end(self) -> None:
        """End it here, because its time is over."""
        self.ended = True

    @property
    def missed(self) -> str:
        """What did not come before the response ended; "" where nothing did not."""
        if self.ended or self._events is None:
            return ""
        return f"the answer ended after {number_of(self._events.count, 'event')}"


class EventCounter:
    """Counts server-sent events in the pieces of a body (HTML, 9.2.6) up to a number.

    An event is what a blank line ends and has a line of data; comments are none.
    """

    def __init__(self, wanted: int) -> None:
        self._wanted, self.count = wanted, 0
        self._line, self._has_data, self._cut = b"", False, False

    def end_in(self, piece: bytes) -> int | None:
        """Return the place behind the last event that is wanted, in this piece; None before it."""
        start = 0
        for found in _LINE_END.finditer(piece):
            if self._cut and found.group() == b"\n" and found.start() == 0:
                # The other half of a line end that came in two pieces.
                start = 1
                continue
            line = (self._line + piece[start : found.start()]).removeprefix(_MARK)
            self._line, start = b"", found.end()
            if self._ends_event(line):
                return start
        self._cut = piece.endswith(b"\r")
        self._line = (self._line + piece[start:])[: len(_MARK) + _FIELD_BYTES]
        return None

    def _ends_event(self, line: bytes) -> bool:
        if line:
            self._has_data |= line.partition(b":")[0] == b"data"
            return False
        self.count += self._has_data
        ends = self._has_data and self.count == self._wanted
        self._has_data = False
        return ends


MAX_HEADER_BYTES = 65_536
MAX_HEADERS = 100
"""Responses with longer or more headers are class `protocol`: the limits of http.client."""

_READ_BYTES = 65_536


def unread_bytes(transport: asyncio.BaseTransport | None) -> bytes:
    """Return what came before a connection was lost and was not read yet.

    Where a write fails because the server closed, event loops give up a connection whose response
    waits in the kernel. It cannot be read where it is encrypted.
    """
    sock = transport.get_extra_info("socket") if transport is not None else None
    if transport is None or sock is None or transport.get_extra_info("sslcontext") is not None:
        return b""
    parts: list[bytes] = []
    with suppress(OSError, ValueError):
        descriptor = sock.fileno()
        while part := os.read(descriptor, _READ_BYTES):
            parts.append(part)
    return b"".join(parts)


_INTERIM = re.compile(rb"HTTP/1\.\d 1(?!01)\d\d")
_STATUS_BYTES, _CLASS_AT, _INTERIM_CLASS = 12, 9, ord("1")


class FirstByte:
    """Finds where an answer begins in the pieces that come over a connection.

    Interim responses (100, 102, 103) are not the answer. `found`: no more needs to be looked at.
    """

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Look for the answer to the next request."""
        self.found = self._told = False
        self._rest = b""

    def begins_in(self, piece: bytes) -> bool:
        """Return whether the answer begins in this piece.

        One that is too short to tell counts as its beginning, until the next one shows an interim
        response: then it begins again.
        """
        if not self._rest and len(piece) >= _STATUS_BYTES and piece[_CLASS_AT] != _INTERIM_CLASS:
            self.found = True
            return True
        rest, told = self._rest + piece, self._told
        while _INTERIM.match(rest):
            told, (interim, end, following) = False, rest.partition(b"\r\n\r\n")
            if not end:
                self._rest, self._told = interim, False
                return False
            rest = following
        self.found, self._told = len(rest) >= _STATUS_BYTES, bool(rest)
        self._rest = b"" if self.found else rest
        return bool(rest) and not told


MakeCheck = Callable[[Mapping[str, Scalar]], ContentCheck]


def content_checks(expect: Expectation | None, names: Collection[str]) -> MakeCheck | None:
    """Return what makes the check of a response from the values of its request.

    None where nothing is expected of the body. `names` are those of the values.
    """
    if expect is None or not expect.of_content:
        return None
    if expect.json_key is not None:
        # What `json_value` takes is imported before the load, and not while a response waits.
        import_module("pydantic_core")
    size = expect.size_bytes
    text, key = (
        None if template is None else expected_template(template, names)
        for template in (expect.text, expect.json_key)
    )
    if not any(template is not None and template.names for template in (text, key)):
        fixed = ContentCheck(size, _filled(text, {}), _filled(key, {}))
        return lambda _values: fixed
    return lambda values: ContentCheck(size, _filled(text, values), _filled(key, values))


def _filled(template: Template | None, values: Mapping[str, Scalar]) -> str | None:
    return None if template is None else template.render(values)


def _missing(body: bytes, path: str) -> str:
    """Return why a body has not this key; "" where it has it."""
    try:
        json_value(body, path)
    except LookupError as missing:
        return str(missing.args[0])
    return ""


def json_value(body: bytes, path: str) -> Any:
    """Return what a dotted path leads to in a JSON text. Raises LookupError, which says why not."""
    from pydantic_core import from_json

    try:
        node = from_json(body)
    except ValueError:
        raise LookupError("the body is no JSON" if body else "the body is empty") from None
    keys = path.split(".")
    for place, key in enumerate(keys):
        if isinstance(node, dict) and (whole := ".".join(keys[place:])) in node:
            return node[whole]
        if not _holds(node, key):
            where = f"{'.'.join(keys[:place])} is" if place else "it is"
            raise LookupError(f"{where} {_described(node)}")
        node = node[int(key) if isinstance(node, list) else key]
    return node


def _holds(node: Any, key: str) -> bool:
    if isinstance(node, list):
        short = len(key) <= _MOST_DIGITS
        return short and key.isdecimal() and key.isascii() and int(key) < len(node)
    return isinstance(node, dict) and key in node


def _described(node: Any) -> str:
    """Return `an object with id, name`, `a list of 3`, `a number`."""
    if isinstance(node, dict):
        shown = ", ".join([*node][:_SHOWN_KEYS])
        left = len(node) - _SHOWN_KEYS
        more = f" and {left} more" if left > 0 else ""
        return f"an object with {shown}{more}" if node else "an empty object"
    if isinstance(node, list):
        return f"a list of {count(len(node))}"
    if isinstance(node, bool) or node is None:
        return {True: "true", False: "false", None: "null"}[node]
    return "a text" if isinstance(node, str) else "a number"

"""Requests as the bytes that go over the wire; what does not change is made once."""

from urllib.parse import urlsplit

from control_plane.load.source import Request, RequestSource
from control_plane.load.strategies.strategy import HEADERS, Gear

_WITH_LENGTH = {"POST", "PUT", "PATCH"}
"""Methods that tell the length of a body also where there is none (RFC 9110, 8.6)."""


class Wires:
    def __init__(self, gear: Gear) -> None:
        self._source: RequestSource = gear.source
        self._common = {"Host": urlsplit(gear.plan.base_url).netloc, **HEADERS}
        if not gear.plan.client.reuse_connections:
            self._common["Connection"] = "close"
        self._heads: dict[int, bytes] = {}
        self._lines: dict[int, str] = {}

    def head(self, request: Request) -> bytes:
        """Everything before the body."""
        known = self._heads.get(request.kind)
        if known is not None:
            return known
        made = self._made(request)
        if self._source.fixed(request.kind):
            self._heads[request.kind] = made
        return made

    def _made(self, request: Request) -> bytes:
        lines = self._lines.get(request.kind)
        if lines is None:
            lines = self._headers(request)
            if self._source.fixed_headers(request.kind):
                self._lines[request.kind] = lines
        length = ""
        if request.body or request.method in _WITH_LENGTH:
            length = f"Content-Length: {len(request.body)}\r\n"
        return f"{request.method} {request.path} HTTP/1.1\r\n{lines}{length}\r\n".encode()

    def _headers(self, request: Request) -> str:
        """The request's own ones win over the common ones."""
        own = {name.lower() for name in request.headers}
        common = {name: text for name, text in self._common.items() if name.lower() not in own}
        return "".join(
            f"{name}: {text}\r\n" for name, text in {**common, **request.headers}.items()
        )

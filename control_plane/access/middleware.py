"""What stands around the whole application: headers, Host, origin, size of the body, methods.

No route can weaken it, and errors pass through it too.
"""

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from control_plane.access.http_errors import error_response, header_values
from control_plane.access.route_roles import methods_at
from control_plane.domain.limits import MAX_BUNDLE_BYTES
from control_plane.domain.request import SAFE_METHODS

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)

SECURITY_HEADERS: dict[bytes, bytes] = {
    b"content-security-policy": CONTENT_SECURITY_POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"permissions-policy": b"camera=(), geolocation=(), microphone=()",
}


class SecurityHeadersMiddleware:
    """Puts `SECURITY_HEADERS` into every response, in the place of those of their names."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                others = [
                    pair for pair in message["headers"] if pair[0].lower() not in SECURITY_HEADERS
                ]
                message = {**message, "headers": [*others, *SECURITY_HEADERS.items()]}
            await send(message)

        await self.app(scope, receive, send_guarded)


LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
_HOST = re.compile(r"(?P<name>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")


class HostMiddleware:
    """Answers 400 to a Host that is no name of the dashboard; `names` beside those of loopback.

    A page elsewhere can point its own name at 127.0.0.1 (DNS rebinding); the name in Host then is
    still its own. Ports are not compared: a tunnel or proxy may listen on any.
    """

    def __init__(self, app: ASGIApp, names: Iterable[str]) -> None:
        self.app = app
        bracketed = (f"[{name}]" if ":" in name else name for name in names)
        self._names = LOOPBACK_NAMES | {name.lower() for name in bracketed}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        message = self._objection(header_values(scope, b"host"))
        await (error_response(400, message) if message else self.app)(scope, receive, send)

    def _objection(self, hosts: list[str]) -> str | None:
        if len(hosts) != 1:
            return f"{len(hosts)} Host headers: send exactly one."
        found = _HOST.fullmatch(hosts[0])
        if found is None:
            return "The Host header is not a name or address with an optional port."
        if found["name"].lower() not in self._names:
            return (
                f"{hosts[0][:100]} is not a name of this dashboard: call it 127.0.0.1, "
                "or add the name to LOOPLAB_ALLOWED_HOSTS."
            )
        return None


_OWN_SITES = frozenset({"same-origin", "none"})


class OriginMiddleware:
    """Answers 403 to changes that a page of another site asks for.

    The algorithm of Go 1.25's CrossOriginProtection: browsers tell where a request comes from in
    Sec-Fetch-Site; those too old for it send Origin; what sends neither is not a browser.
    `same-site` is foreign too: every other port of this machine is the same site.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self.app
        if scope["type"] == "http" and scope["method"] not in SAFE_METHODS and _foreign(scope):
            app = error_response(
                403, "This came from a page of another site, which may not do that."
            )
        await app(scope, receive, send)


def _foreign(scope: Scope) -> bool:
    sites = header_values(scope, b"sec-fetch-site")
    if sites:
        return not _OWN_SITES.issuperset(sites)
    hosts = [host.lower() for host in header_values(scope, b"host")]
    return any(_host_of(origin) not in hosts for origin in header_values(scope, b"origin"))


def _host_of(origin: str) -> str | None:
    """Return host and port of `http://127.0.0.1:8200`; None for `null` and what is no origin."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return None
    return parts.netloc.lower() or None


MAX_BODY_BYTES = 2_000_000
MAX_SPEC_BYTES = 16_000_000
"""A spec may hold files of rows, and what is pasted into its form may be a HAR file."""

_BUNDLE_PATHS = frozenset({"/api/import", "/import"})
_AROUND_FILE = 10_000
_SPEC_PATHS = frozenset({"/api/experiments", "/api/runs", "/runs", "/runs/spec"})


def limit_of(scope: Scope) -> int:
    """Return how many bytes the body of a request may have: more where specs are handed in."""
    path = scope["path"]
    if scope["method"] == "POST" and path in _BUNDLE_PATHS:
        return MAX_BUNDLE_BYTES + _AROUND_FILE
    takes_spec = path in _SPEC_PATHS or path == "/runs/new" or path.startswith("/runs/new/")
    return MAX_SPEC_BYTES if scope["method"] == "POST" and takes_spec else MAX_BODY_BYTES


class BodyLimitMiddleware:
    """Answers 413 where the announced size is above the limit, or what comes is.

    A body without an announced size is cut off by Starlette while it is read.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self.app
        if scope["type"] == "http":
            limit = limit_of(scope)
            app = RequestBodyLimitMiddleware(app, limit)
            if _too_large(scope, limit):
                app = error_response(413, f"The body is above the limit of {limit:,} bytes.")
        await app(scope, receive, send)


def _too_large(scope: Scope, limit: int) -> bool:
    sizes = [size for size in header_values(scope, b"content-length") if size.isdecimal()]
    return any(len(size) > 18 or int(size) > limit for size in sizes)


class MethodsMiddleware:
    """Answers OPTIONS with what an address takes, 406 where it gives nothing that is accepted, and
    HEAD as the application answers GET, without the body (RFC 9110, 9.3.2, 9.3.7 and 12.5.1).
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        methods = methods_at(scope["path"])
        kind = _media_type(scope["path"])
        if scope["method"] == "OPTIONS" and methods:
            await Response(None, 204, {"Allow": ", ".join(methods)})(scope, receive, send)
        elif methods and kind and not _accepts(scope, kind):
            message = f"This address gives {kind}, which Accept leaves out: name it, or */*."
            await error_response(406, message)(scope, receive, send)
        elif scope["method"] == "HEAD":
            await self._without_body(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _without_body(self, scope: Scope, receive: Receive, send: Send) -> None:

        async def send_head(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        # A copy, because the server reads from its own that no body may follow.
        asked = {**scope, "method": "GET"}
        try:
            await self.app(asked, receive, send_head)
        finally:
            scope["endpoint"] = asked.get("endpoint")


_ENDINGS = {".json": "application/json", ".csv": "text/csv", ".md": "text/markdown"}


def _media_type(path: str) -> str:
    """Return what an address gives; "" where it depends on more than its name."""
    ending = path[path.rfind(".") :] if "." in path else ""
    if path.startswith(("/api/", "/healthz")):
        return "application/json"
    if path.startswith(("/static", "/metrics", "/bundle")) or (ending and ending not in _ENDINGS):
        return ""
    return _ENDINGS.get(ending, "text/html")


def _accepts(scope: Scope, kind: str) -> bool:
    """Return whether `kind` is among what Accept names; without one, everything is."""
    ranges = accept_weights(scope, b"accept")
    return not ranges or is_wanted(ranges, (kind, f"{kind.partition('/')[0]}/*", "*/*"))


def accept_weights(scope: Scope, header: bytes) -> dict[str, str]:
    """Return what an Accept header names, each with its weight as it is written."""
    given = ",".join(header_values(scope, header)).replace(" ", "").lower()
    return dict(part.partition(";")[::2] for part in given.split(",")) if given else {}


def is_wanted(ranges: dict[str, str], fitting: Iterable[str]) -> bool:
    """Return whether the first of the fitting names that is there has a weight above 0."""
    best = next((ranges[name] for name in fitting if name in ranges), "q=0")
    return not re.search(r"(^|;)q=0(\.0*)?$", best)

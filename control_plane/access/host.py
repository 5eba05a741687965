"""Only requests that call the dashboard by its own name are routed.

A page elsewhere can point its own name at 127.0.0.1 (DNS rebinding); the name in Host then is
still its own. Ports are not compared: a tunnel or proxy may listen on any.
"""

import re
from collections.abc import Iterable

from starlette.types import ASGIApp, Receive, Scope, Send

from control_plane.access.http_errors import error_response, header_values

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
_HOST = re.compile(r"(?P<name>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")


class HostMiddleware:
    """Answers 400 to a Host that is no name of the dashboard; `names` beside those of loopback."""

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

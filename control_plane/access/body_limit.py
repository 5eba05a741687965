"""Requests that announce too large a body are refused before anything runs.

A body without an announced size is cut off by Starlette while it is read.
"""

from starlette.types import ASGIApp, Receive, Scope, Send

from control_plane.access.http_errors import error_response, header_values

MAX_BODY_BYTES = 16_000_000


class BodyLimitMiddleware:
    """Answers 413 where the announced size is above the limit."""

    def __init__(self, app: ASGIApp, limit_bytes: int) -> None:
        self.app = app
        self._limit_bytes = limit_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self.app
        if scope["type"] == "http" and self._too_large(scope):
            limit = f"{self._limit_bytes:,}"
            app = error_response(413, f"The body is above the limit of {limit} bytes.")
        await app(scope, receive, send)

    def _too_large(self, scope: Scope) -> bool:
        sizes = [size for size in header_values(scope, b"content-length") if size.isdecimal()]
        return any(len(size) > 18 or int(size) > self._limit_bytes for size in sizes)

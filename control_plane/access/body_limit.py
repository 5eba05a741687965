"""Requests that announce too large a body are refused before anything runs.

A body without an announced size is cut off by Starlette while it is read.
"""

from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from control_plane.access.http_errors import error_response, header_values

MAX_BODY_BYTES = 2_000_000
MAX_SPEC_BYTES = 16_000_000
"""A spec may hold files of rows, and what is pasted into its form may be a HAR file."""

_SPEC_PATHS = frozenset({"/api/experiments", "/api/runs", "/runs", "/runs/spec"})


def limit_of(scope: Scope) -> int:
    """Return how many bytes the body of a request may have: more where specs are handed in."""
    path = scope["path"]
    takes_spec = path in _SPEC_PATHS or path == "/runs/new" or path.startswith("/runs/new/")
    return MAX_SPEC_BYTES if scope["method"] == "POST" and takes_spec else MAX_BODY_BYTES


class BodyLimitMiddleware:
    """Answers 413 where the announced size is above the limit, or what comes is."""

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

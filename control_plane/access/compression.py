"""Compression of responses by gzip: of each as it is made, of static files once."""

import gzip
from collections.abc import Callable
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.middleware.gzip import (
    DEFAULT_EXCLUDED_CONTENT_TYPES,
    GZipResponder,
    IdentityResponder,
)
from starlette.responses import FileResponse, Response
from starlette.staticfiles import NotModifiedResponse, StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from control_plane.access.middleware import accept_weights, is_wanted

LEAST_COMPRESSED_BYTES = 1_400
"""What is smaller fits into one packet anyway."""

NOT_COMPRESSED = (
    *DEFAULT_EXCLUDED_CONTENT_TYPES,
    "application/octet-stream",
    "application/vnd.sqlite3",
)
_LEVEL, _LEVEL_OF_FILES = 2, 9
"""A page is compressed each time, a file once: the last tenths of its size are worth more there."""

Busy = Callable[[Scope], bool]
"""Whether nothing may be compressed now, because processor time would disturb what is measured."""


class CompressionMiddleware:
    """Compresses responses for those who accept gzip, as long as nothing is `busy`.

    Files below /static are left to `StaticAssets`.
    """

    def __init__(self, app: ASGIApp, busy: Busy) -> None:
        self.app = app
        self._busy = busy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        responder = self.app
        if scope["type"] == "http" and not scope["path"].startswith("/static/"):
            kind = _Compressed if _accepts_gzip(scope) and not self._busy(scope) else _AsItIs
            responder = kind(self.app)
        await responder(scope, receive, send)


def _accepts_gzip(scope: Scope) -> bool:
    return is_wanted(accept_weights(scope, b"accept-encoding"), ("gzip", "*"))


class _AsItIs(IdentityResponder):
    def __init__(self, app: ASGIApp) -> None:
        super().__init__(app, LEAST_COMPRESSED_BYTES, exclude_content_types=NOT_COMPRESSED)


class _Compressed(GZipResponder):
    """Leaves alone what says that it may not be transformed (RFC 9110, 7.7)."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(app, LEAST_COMPRESSED_BYTES, _LEVEL, exclude_content_types=NOT_COMPRESSED)
        self._stays = False

    async def send_with_compression(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            said = Headers(raw=message["headers"]).get("cache-control", "")
            self._stays = "no-transform" in said.lower()
        await (self.send(message) if self._stays else super().send_with_compression(message))


class StaticAssets(StaticFiles):
    """The files of a folder, for those who accept gzip compressed: each once, and kept.

    One that is asked for the first time while it is `busy` is sent as it is. A part of a file is
    one of the file as it is.
    """

    def __init__(self, directory: Path, busy: Busy) -> None:
        super().__init__(directory=directory)
        self._busy = busy
        self._kept: dict[str, tuple[str, bytes]] = {}

    async def get_response(self, path: str, scope: Scope) -> Response:
        found = await super().get_response(path, scope)
        kind = found.headers.get("content-type", "")
        if found.status_code == 200 and not kind.startswith(_TEXTS):
            return found
        found.headers.add_vary_header("Accept-Encoding")
        headers = Headers(scope=scope)
        if not isinstance(found, FileResponse) or "range" in headers or not _accepts_gzip(scope):
            return found
        body = await self._compressed(Path(found.path), found.headers["etag"], scope)
        if body is None:
            return found
        own = {"content-encoding": "gzip", "content-length": f"{len(body)}"}
        tag = {"etag": f'{found.headers["etag"][:-1]}-gzip"'}
        made = Response(body, headers={**found.headers, **own, **tag})
        return (
            NotModifiedResponse(made.headers)
            if self.is_not_modified(made.headers, headers)
            else made
        )

    async def _compressed(self, path: Path, tag: str, scope: Scope) -> bytes | None:
        """Return the file compressed; None where that is not done now, or not worth it."""
        known, kept = self._kept.get(str(path), ("", b""))
        if known != tag:
            if self._busy(scope):
                return None
            kept = await run_in_threadpool(_compressed_file, path)
            self._kept[str(path)] = (tag, kept)
        return kept or None


_TEXTS = ("text/", "application/javascript", "application/json", "image/svg+xml")


def _compressed_file(path: Path) -> bytes:
    """Return the content by gzip; nothing of a small file."""
    content = path.read_bytes()
    small = len(content) < LEAST_COMPRESSED_BYTES
    return b"" if small else gzip.compress(content, _LEVEL_OF_FILES, mtime=0)

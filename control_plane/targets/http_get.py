"""GET requests to a running target, bounded in size and time."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from control_plane.domain.errors import TargetFailed

if TYPE_CHECKING:
    from aiohttp import ClientSession

MAX_BYTES = 4_000_000
GET_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class HttpResponse:
    """`body` as it came, whatever its encoding."""

    status: int
    body: bytes


async def get(url: str, path: str, host: str) -> HttpResponse:
    """Send a GET with that Host, without following a redirect and without a proxy.

    Raises TargetFailed when no whole response came in time, or one above `MAX_BYTES`.
    """
    try:
        async with asyncio.timeout(GET_TIMEOUT_S), open_session(host) as session:
            return await get_with(session, url, path)
    except TimeoutError:
        raise TargetFailed(f"No whole answer to GET {path} within {GET_TIMEOUT_S:g} s.") from None


def unverified_tls() -> ssl.SSLContext:
    """Return a context that takes any certificate: targets are on this machine."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def open_session(host: str) -> ClientSession:
    """Return a session that sends that Host and keeps its connections open between requests."""
    # Only here, because it would take a fifth of a second of every start.
    import aiohttp

    return aiohttp.ClientSession(
        trust_env=False,
        auto_decompress=False,
        headers={"Host": host, "Accept-Encoding": "identity", "User-Agent": "looplab"},
        connector=aiohttp.TCPConnector(ssl=False),
    )


async def get_with(session: ClientSession, url: str, path: str) -> HttpResponse:
    """Send a GET as `get` does, but without its timeout."""
    import aiohttp

    try:
        async with session.get(f"{url}{path}", allow_redirects=False) as response:
            return HttpResponse(
                response.status, await _read_body(response.content.iter_any(), path)
            )
    except TimeoutError:
        raise
    except (aiohttp.ClientError, OSError, ValueError) as error:
        reason = str(error)[:100] or type(error).__name__
        raise TargetFailed(f"No answer to GET {path}: {reason}.") from None


async def _read_body(content: AsyncIterator[bytes], path: str) -> bytes:
    body = bytearray()
    async for chunk in content:
        body += chunk
        if len(body) > MAX_BYTES:
            raise TargetFailed(f"The answer to GET {path} is above {MAX_BYTES:,} bytes.")
    return bytes(body)

"""Questions to a target that runs, bounded in size and time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from control_plane.domain.errors import TargetFailed

if TYPE_CHECKING:
    from aiohttp import ClientSession

MOST_BYTES = 4_000_000
WITHIN_S = 10.0


@dataclass(frozen=True)
class HttpResponse:
    status: int
    body: bytes


async def get(url: str, path: str) -> HttpResponse:
    """GET, without following a redirect and without a proxy.

    Raises TargetFailed when nothing whole came in time, or more than we take.
    """
    try:
        async with asyncio.timeout(WITHIN_S), open_session() as session:
            return await get_with(session, url, path)
    except TimeoutError:
        raise TargetFailed(f"No whole answer to GET {path} within {WITHIN_S:g} s.") from None


def open_session() -> ClientSession:
    """Keeps its connections open between questions."""
    # Only here, because it would take a fifth of a second of every start.
    import aiohttp

    return aiohttp.ClientSession(
        trust_env=False,
        auto_decompress=False,
        headers={"Accept-Encoding": "identity", "User-Agent": "looplab"},
        connector=aiohttp.TCPConnector(ssl=False),
    )


async def get_with(session: ClientSession, url: str, path: str) -> HttpResponse:
    """As `get`, but for the time, which the caller bounds."""
    import aiohttp

    try:
        async with session.get(f"{url}{path}", allow_redirects=False) as response:
            return HttpResponse(response.status, await _bounded(response.content.iter_any(), path))
    except TimeoutError:
        raise
    except (aiohttp.ClientError, OSError, ValueError) as error:
        told = str(error)[:100] or type(error).__name__
        raise TargetFailed(f"No answer to GET {path}: {told}.") from None


async def _bounded(content: AsyncIterator[bytes], path: str) -> bytes:
    body = bytearray()
    async for chunk in content:
        body += chunk
        if len(body) > MOST_BYTES:
            raise TargetFailed(f"The answer to GET {path} is above {MOST_BYTES:,} bytes.")
    return bytes(body)

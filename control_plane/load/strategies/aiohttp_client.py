"""`async`: aiohttp, one coroutine for each user, all in one event loop."""

import asyncio

import aiohttp
from yarl import URL

from control_plane.load.crew import Crew
from control_plane.load.faults import Types, classify
from control_plane.load.outcome import Ended, answered, failed
from control_plane.load.phase import Phase
from control_plane.load.source import Request
from control_plane.load.strategies.aiohttp_parts import connector, request_class
from control_plane.load.strategies.loops import new_loop
from control_plane.load.strategies.strategy import LONGEST_HEADER, MOST_HEADERS, Gear

FAULTS = (aiohttp.ClientError, OSError, ValueError)
"""What aiohttp raises for what a server may do."""

TYPES: Types = (
    (TimeoutError, "timeout"),
    (aiohttp.ClientResponseError, "protocol"),
    (aiohttp.ServerDisconnectedError, "disconnected"),
    (aiohttp.ClientPayloadError, "truncated"),
)

_NO_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=None)


class AiohttpClient:
    def __init__(self, gear: Gear) -> None:
        self._gear = gear
        client = gear.plan.client
        self._base = URL(gear.plan.base_url)
        self._limit = client.max_body_bytes
        self._loop = new_loop(client)
        self._session = self._loop.run_until_complete(self._open())
        self._crew = Crew(gear, self._send)

    def run(self, phase: Phase) -> None:
        self._loop.run_until_complete(self._crew.run(phase))

    async def _open(self) -> aiohttp.ClientSession:
        session = aiohttp.ClientSession(
            connector=connector(self._gear),
            cookie_jar=aiohttp.DummyCookieJar(),
            request_class=request_class(self._gear.plan.base_url),
            timeout=_NO_TIMEOUT,
            auto_decompress=False,
            trust_env=False,
            max_line_size=LONGEST_HEADER,
            max_field_size=LONGEST_HEADER,
            max_headers=MOST_HEADERS,
        )
        # aiohttp sends a GET again when a kept connection was dropped; a second request that
        # nobody asked for must not be measured as one.
        session._retry_connection = False  # noqa: SLF001 - aiohttp has no public switch for it
        return session

    async def _send(self, request: Request) -> Ended:
        response, sent = None, len(request.body)
        try:
            response = await self._session.request(
                request.method,
                # A query stays part of the path here, which looks the same on the wire.
                self._base.with_path(request.path, encoded=True),
                headers=request.headers,
                data=request.body or None,
                allow_redirects=False,
            )
            received = await self._read(response.content)
        except asyncio.CancelledError:
            if response is not None:
                response.close()
            raise
        except FAULTS as error:
            if response is not None:
                response.close()
            return failed(_class_of(error), sent)
        if received > self._limit:
            response.close()
            return failed("body_too_large", sent, received)
        return answered(response.status, request.expect, sent, received)

    async def _read(self, content: aiohttp.StreamReader) -> int:
        """Bytes of the body; reading ends above the limit."""
        received = 0
        while not content.at_eof() and received <= self._limit:
            received += len(await content.readany())
        return received


def _class_of(error: Exception) -> str:
    # A reset while the body comes is told in the message alone.
    if isinstance(error, aiohttp.ClientPayloadError) and "ConnectionResetError" in str(error):
        return "reset"
    return classify(error, TYPES)

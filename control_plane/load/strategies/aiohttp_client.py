"""Sends requests with aiohttp (`async`): one coroutine for each user, all in one event loop."""

import asyncio
from collections.abc import Iterable
from functools import partial
from typing import Any, cast

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.typedefs import LooseHeaders
from multidict import CIMultiDict
from yarl import URL

from control_plane.load.async_users import AsyncUsers
from control_plane.load.outcome import ErrorTypes, Outcome, classify, failure, response_outcome
from control_plane.load.phase import Phase
from control_plane.load.request_source import Request
from control_plane.load.strategies.request_headers import RequestHeaders
from control_plane.load.strategies.strategy import (
    MAX_HEADER_BYTES,
    MAX_HEADERS,
    ConnectionCounter,
    StrategyContext,
    new_loop,
)

_NO_AUTO_HEADERS: CIMultiDict[None] = CIMultiDict({"Content-Type": None})


class LeanRequest(aiohttp.ClientRequest):
    """A request that is given all of its headers.

    aiohttp makes common ones anew for each request, which took a twentieth of the client's time.
    """

    def update_headers(self, headers: LooseHeaders | None) -> None:
        # The session has made them a CIMultiDict of this request alone.
        self.headers = cast("CIMultiDict[str]", headers)

    def update_auto_headers(self, _skip_auto_headers: Iterable[str] | None) -> None:
        self._skip_auto_headers = _NO_AUTO_HEADERS

    def update_body_from_data(self, body: Any, _stacklevel: int = 3) -> None:
        """Without a body the length is told by those headers that are given, or by none."""
        if body is not None:
            super().update_body_from_data(body, _stacklevel)


def connector(context: StrategyContext) -> aiohttp.TCPConnector:
    """Return a pool as large as the concurrency, whose connections never expire by themselves.

    Certificates are not verified, because targets are on this machine.
    """
    counter, users = context.connections, context.plan.users
    if context.plan.client.reuse_connections:
        return _CountingConnector(counter, limit=users, keepalive_timeout=None, ssl=False)
    return _CountingConnector(counter, limit=users, force_close=True, ssl=False)


class _CountingConnector(aiohttp.TCPConnector):
    """Counts connections where they are made, which costs requests on kept ones nothing."""

    def __init__(self, connections: ConnectionCounter, **options: object) -> None:
        super().__init__(**options)  # type: ignore[arg-type] # options of TCPConnector
        self._connections = connections

    async def _create_connection(self, *arguments: object) -> ResponseHandler:
        protocol = await super()._create_connection(*arguments)  # type: ignore[arg-type] # as given
        self._connections.add(id(protocol))
        closed = protocol.closed
        if closed is None:
            self._connections.remove(id(protocol))
        else:
            closed.add_done_callback(partial(self._lost, id(protocol)))
        return protocol

    def _lost(self, key: int, closed: asyncio.Future[None]) -> None:
        self._connections.remove(key)
        closed.exception()


EXPECTED_ERRORS = (aiohttp.ClientError, OSError, ValueError)
"""What aiohttp raises for what a server may do."""

ERROR_TYPES: ErrorTypes = (
    (TimeoutError, "timeout"),
    (aiohttp.ClientResponseError, "protocol"),
    (aiohttp.ServerDisconnectedError, "disconnected"),
    (aiohttp.ClientPayloadError, "truncated"),
)

_NO_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=None)


class AiohttpClient:
    """All users share one session."""

    def __init__(self, context: StrategyContext) -> None:
        self._context = context
        client = context.plan.client
        self._base = URL(context.plan.base_url)
        self._headers = RequestHeaders(context.plan, context.source)
        self._limit = client.max_body_bytes
        self._loop = new_loop(client)
        self._session = self._loop.run_until_complete(self._open())
        self._users = AsyncUsers(context, self._send)

    def run(self, phase: Phase) -> None:
        self._loop.run_until_complete(self._users.run(phase))

    async def _open(self) -> aiohttp.ClientSession:
        session = aiohttp.ClientSession(
            connector=connector(self._context),
            cookie_jar=aiohttp.DummyCookieJar(),
            request_class=LeanRequest,
            timeout=_NO_TIMEOUT,
            auto_decompress=False,
            trust_env=False,
            max_line_size=MAX_HEADER_BYTES,
            max_field_size=MAX_HEADER_BYTES,
            max_headers=MAX_HEADERS,
        )
        # aiohttp sends a GET again when a kept connection was dropped; a second request that
        # nobody asked for must not be measured as one.
        session._retry_connection = False  # noqa: SLF001 - aiohttp has no public switch for it
        return session

    async def _send(self, request: Request) -> Outcome:
        response, sent = None, len(request.body)
        try:
            response = await self._session.request(
                request.method,
                # A query stays part of the path here, which looks the same on the wire.
                self._base.with_path(request.path, encoded=True),
                headers=self._headers.of(request),
                data=request.body or None,
                allow_redirects=False,
            )
            received = await self._read(response.content)
        except asyncio.CancelledError:
            if response is not None:
                response.close()
            raise
        except EXPECTED_ERRORS as error:
            if response is not None:
                response.close()
            return failure(_class_of(error), sent)
        if received > self._limit:
            response.close()
            return failure("body_too_large", sent, received)
        return response_outcome(response.status, request.expect, sent, received)

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
    return classify(error, ERROR_TYPES)

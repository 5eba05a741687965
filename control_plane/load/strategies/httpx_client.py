"""Sends requests with httpx (`httpx`): one coroutine for each user, all in one event loop."""

import asyncio
import logging
import ssl
from collections.abc import Iterable
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpcore
import httpx
from httpcore._backends.anyio import AnyIOStream

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


class TransportFactory:
    """Makes transports of one connection each, which never expires by itself.

    Certificates are not verified, because targets are on this machine. All share what is costly to
    make.
    """

    def __init__(self, context: StrategyContext) -> None:
        kept = 1 if context.plan.client.reuse_connections else 0
        self._limits = httpx.Limits(
            max_connections=1, max_keepalive_connections=kept, keepalive_expiry=None
        )
        self._backend = _CountingBackend(context.connections)
        self._context = httpx.create_ssl_context(verify=False, trust_env=False)

    def transport(self) -> httpx.AsyncHTTPTransport:
        """Return a transport without a connection yet."""
        made = httpx.AsyncHTTPTransport(verify=self._context, trust_env=False, limits=self._limits)
        made._pool._network_backend = self._backend  # noqa: SLF001 - no other way in
        return made


class _CountingBackend(httpcore.AnyIOBackend):
    def __init__(self, connections: ConnectionCounter) -> None:
        self._connections = connections

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - as httpcore calls it
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        made: Any = await super().connect_tcp(host, port, timeout, local_address, socket_options)
        return _CountedStream(made, self._connections)


class _CountedStream(AnyIOStream):
    """A connection that is known until it is closed; TLS goes on below the same one."""

    def __init__(self, plain: AnyIOStream, connections: ConnectionCounter) -> None:
        super().__init__(plain._stream)  # noqa: SLF001 - httpcore gives no other way to wrap it
        self._connections = connections
        connections.add(id(self))

    async def aclose(self) -> None:
        self._connections.remove(id(self))
        await super().aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - as httpcore calls it
    ) -> httpcore.AsyncNetworkStream:
        secure: Any = await super().start_tls(ssl_context, server_hostname, timeout)
        self._stream = secure._stream  # noqa: SLF001 - see above
        return self


EXPECTED_ERRORS = (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError)
"""What httpx raises for what a server may do."""

ERROR_TYPES: ErrorTypes = ((httpx.TimeoutException, "timeout"), (TimeoutError, "timeout"))

_BY_MESSAGE = {
    "Server disconnected without sending a response": "disconnected",
    "peer closed connection without sending complete message body": "truncated",
}
"""Faults that httpx tells apart in its messages alone."""


class HttpxClient:
    """Each user in flight has a client of its own, with one connection."""

    def __init__(self, context: StrategyContext) -> None:
        logging.getLogger("httpx").setLevel(logging.CRITICAL)
        self._url = httpx.URL(context.plan.base_url)
        self._headers = RequestHeaders(context.plan, context.source)
        self._limit = context.plan.client.max_body_bytes
        self._loop = new_loop(context.plan.client)
        self._transports = TransportFactory(context)
        self._clients = [self._client() for _ in range(context.plan.users)]
        self._users = AsyncUsers(context, self._send)

    def run(self, phase: Phase) -> None:
        self._loop.run_until_complete(self._users.run(phase))

    async def _send(self, request: Request) -> Outcome:
        """The client that was idle last sends it, so that a light load needs few connections."""
        client = self._clients.pop()
        try:
            return await self._sent(client, request)
        except asyncio.CancelledError:
            # httpcore does not shield its clearing up from this: nothing of it is used again.
            await client.aclose()
            client = self._client()
            raise
        finally:
            self._clients.append(client)

    async def _sent(self, client: httpx.AsyncClient, request: Request) -> Outcome:
        response, sent = None, len(request.body)
        try:
            # A client would add headers of its own to what it builds.
            made = httpx.Request(
                request.method,
                self._url,
                headers=self._headers.of(request),
                content=request.body or None,
                # httpx would write a path its own way.
                extensions={"target": request.path.encode()},
            )
            response = await client.send(made, stream=True)
            endless = _is_endless(response)
            received = 0 if endless else await self._read(response)
        except EXPECTED_ERRORS as error:
            return failure(_class_of(error), sent)
        finally:
            # Closed before its end, a response takes its connection with it.
            if response is not None:
                await response.aclose()
        if endless:
            return failure("protocol", sent)
        if received > self._limit:
            return failure("body_too_large", sent, received)
        return response_outcome(response.status_code, request.expect, sent, received)

    async def _read(self, response: httpx.Response) -> int:
        """Bytes of the body, never unpacked; reading ends above the limit."""
        received = 0
        async for chunk in response.aiter_raw():
            received += len(chunk)
            if received > self._limit:
                break
        return received

    def _client(self) -> httpx.AsyncClient:
        """One for each connection: a pool of httpcore looks at every connection it has, twice for
        each request, which took seconds with some hundred of them.
        """
        return httpx.AsyncClient(
            transport=self._transports.transport(),
            timeout=None,
            trust_env=False,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        )


def _is_endless(response: httpx.Response) -> bool:
    """h11 bounds the whole head, not the number and the length of its lines."""
    lines = response.headers.raw
    return len(lines) > MAX_HEADERS or any(len(text) > MAX_HEADER_BYTES for _, text in lines)


def _class_of(error: Exception) -> str:
    name = classify(error, ERROR_TYPES)
    if name == "protocol":
        found = [kind for start, kind in _BY_MESSAGE.items() if str(error).startswith(start)]
        return found[0] if found else name
    return name

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

from control_plane.load.clock import clock_ns
from control_plane.load.outcome import (
    ERROR_MASK,
    BodySample,
    Ended,
    ErrorTypes,
    classify,
    failure,
    response_outcome,
)
from control_plane.load.request_source import Request, RequestHeaders
from control_plane.load.responses import (
    MAX_HEADER_BYTES,
    MAX_HEADERS,
    FirstByte,
    Reading,
    unread_bytes,
)
from control_plane.load.sample_buffer import NOT_HEARD_NS, Hear
from control_plane.load.schedule import Phase
from control_plane.load.strategies import StrategyContext, new_loop, tls_context
from control_plane.load.strategies.kept_connections import (
    ConnectionCounter,
    Ending,
    KeptConnections,
    ending_of,
)
from control_plane.load.virtual_users import AsyncUsers, current_user, cut_off


class _Stream(AnyIOStream):
    """One connection: how many requests it took, and what came of the last one.

    `ending` is how it ended before any byte of a response came, None where it did not. `reading`
    bounds how long bytes are waited for. TLS goes on below the same one.
    """

    def __init__(self, plain: AnyIOStream, backend: "_Backend") -> None:
        super().__init__(plain._stream)  # noqa: SLF001 - httpcore gives no other way to wrap it
        self._backend = backend
        self.requests, self.heard, self._is_ended = 1, False, False
        self.ending: Ending | None = None
        self._first_byte, self._is_secure = FirstByte(), False
        self._came_ns = NOT_HEARD_NS
        self.reading: Reading | None = None
        self._watch_transport()

    def begin(self) -> None:
        """Note that a request is about to go out."""
        if self.requests > 1 and self.heard:
            self._backend.kept.carried_two()
        self.requests, self.heard, self.reading = self.requests + 1, False, None
        self._first_byte.restart()
        self._came_ns = NOT_HEARD_NS

    async def read(
        self,
        max_bytes: int,
        timeout: float | None = None,  # noqa: ASYNC109 - as httpcore calls it
    ) -> bytes:
        if self.reading is not None:
            timeout = self.reading.left_s(clock_ns())
        if self._came_ns and not self._has_more:
            self._backend.hear(self._backend.user, self._came_ns)
            self._came_ns = NOT_HEARD_NS
        try:
            data = await super().read(max_bytes, timeout)
        except httpcore.ReadError:
            self.ending = None if self.heard else Ending.RESET
            raise
        if data:
            self.heard = True
            if self._is_secure:
                self._look(data)
        elif not self.heard:
            self.ending = ending_of(super().get_extra_info("socket"))
        return data

    def get_extra_info(self, info: str) -> Any:
        """A connection that is not to be used again looks as if its server had closed it."""
        if info != "is_readable":
            return super().get_extra_info(info)
        kept, ended = self._backend.kept, super().get_extra_info(info)
        if ended and not self._is_ended:
            self._is_ended = True
            kept.ended_unasked(self.requests + 1 if self.heard else self.requests)
        return ended or not kept.keeps or self._backend.has_surplus

    async def aclose(self) -> None:
        self._backend.connections.remove(id(self))
        await super().aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - as httpcore calls it
    ) -> httpcore.AsyncNetworkStream:
        # What comes from here on is the handshake first.
        self._is_secure = True
        secure: Any = await super().start_tls(ssl_context, server_hostname, timeout)
        self._stream = secure._stream  # noqa: SLF001 - see above
        return self

    def _look(self, data: bytes) -> None:
        if not self._first_byte.found and self._first_byte.begins_in(data):
            # What looked like the beginning before was an interim response.
            self._backend.hear(self._backend.user, NOT_HEARD_NS)
            self._came_ns = clock_ns()

    @property
    def _has_more(self) -> bool:
        """Whether the piece that came last was longer than what was read of it."""
        below: Any = self._stream
        if self._is_secure and (
            below._ssl_object.pending() or below._read_bio.pending  # noqa: SLF001 - see above
        ):
            return True
        return bool(self._protocol.read_queue)

    def _watch_transport(self) -> None:
        """Note when bytes come, and let what waits to be read come before the error of a write.

        Who reads is woken up later, behind all others; what is encrypted is seen there.
        """
        below: Any = self._stream
        protocol, transport = below._protocol, below._transport  # noqa: SLF001 - no other way in
        self._protocol = protocol
        lost, received = protocol.connection_lost, protocol.data_received

        def connection_lost(error: Exception | None) -> None:
            if error is not None and (data := unread_bytes(transport)):
                protocol.data_received(data)
            lost(error)

        def data_received(data: bytes) -> None:
            if not self._is_secure:
                self._look(data)
            received(data)

        protocol.connection_lost, protocol.data_received = connection_lost, data_received
        # uvloop has looked up by now what it calls.
        transport.set_protocol(protocol)


class _Backend(httpcore.AnyIOBackend):
    """Makes the connections of one client, one after the other; `stream` is the last one.

    `user` is the one who sends over it, whose first bytes are told to `hear`.
    """

    def __init__(self, connections: ConnectionCounter, kept: KeptConnections, hear: Hear) -> None:
        self.connections, self.kept, self.hear, self.user = connections, kept, hear, 0
        self.stream: _Stream | None = None
        self.pool: Any = None

    @property
    def has_surplus(self) -> bool:
        """Whether more came than the last response, which would be taken for the next one."""
        (made,) = self.pool.connections
        return bool(made._connection._h11_state.trailing_data[0])  # noqa: SLF001 - no other way in

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - as httpcore calls it
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        self.stream, place = None, object()
        self.connections.begin(id(place))
        try:
            made: Any = await super().connect_tcp(
                host, port, timeout, local_address, socket_options
            )
        finally:
            self.connections.remove(id(place))
        self.stream = _Stream(made, self)
        self.connections.add(id(self.stream))
        return self.stream


class TransportFactory:
    """Makes transports of one connection each, which never expires by itself.

    All share what is costly to make.
    """

    def __init__(self, context: StrategyContext) -> None:
        self._limits = httpx.Limits(
            max_connections=1, max_keepalive_connections=1, keepalive_expiry=None
        )
        self._connections, self.kept = context.connections, context.kept_connections()
        self._tls, self._hear = tls_context(), context.samples.hear

    def transport(self) -> tuple[httpx.AsyncHTTPTransport, _Backend]:
        """Return a transport without a connection yet, and what makes its connections."""
        made = httpx.AsyncHTTPTransport(verify=self._tls, trust_env=False, limits=self._limits)
        backend = _Backend(self._connections, self.kept, self._hear)
        backend.pool = made._pool  # noqa: SLF001 - no other way in
        backend.pool._network_backend = backend  # noqa: SLF001 - see above
        return made, backend


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
        self._context, self._failures = context, context.failures
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

    async def _send(self, request: Request) -> Ended:
        """The client that was idle last sends it, so that a light load needs few connections."""
        client, backend = self._clients.pop()
        backend.user = current_user.get()
        try:
            ended = await self._outcome(client, backend, request)
            if isinstance(ended, tuple) and ended[0] & ERROR_MASK:
                self._failures.keep(ended, request)
            return ended
        except asyncio.CancelledError:
            # httpcore does not shield its clearing up from this: nothing of it is used again.
            await client.aclose()
            client, backend = self._client()
            raise
        finally:
            self._clients.append((client, backend))

    async def _outcome(
        self, client: httpx.AsyncClient, backend: _Backend, request: Request
    ) -> Ended:
        if backend.stream is not None:
            backend.stream.begin()
        while True:
            try:
                return await self._sent(client, backend, request)
            except EXPECTED_ERRORS as error:
                used = backend.stream
                ending = used.ending if used else None
                if used is None or ending is None:
                    return failure(_class_of(error), len(request.body))
                backend.stream = None
                # The second time the connection is a new one, so it ends there.
                if not self._transports.kept.send_again(request.method, used.requests, ending):
                    return failure(ending.error_class, len(request.body))

    async def _sent(self, client: httpx.AsyncClient, backend: _Backend, request: Request) -> Ended:
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
            sample = self._failures.sample(response.status_code, request)
            reading = request.reading()
            self._note_open_end(response, request)
            received = 0 if endless else await self._read(response, sample, backend, reading)
        except asyncio.CancelledError:
            if response is not None:
                headers = response.headers.raw
                self._failures.keep_cut_off(request, response.status_code, headers)
                cut_off.set(True)
            raise
        finally:
            # Closed before its end, a response takes its connection with it.
            if response is not None:
                await response.aclose()
        request.take_cookies(response.headers.raw)
        ended = response_outcome(response.status_code, request.expect, sent, received)
        if endless:
            ended = failure("protocol", sent)
        elif received > self._limit:
            ended = failure("body_too_large", sent, received)
        elif reading is not None:
            return self._context.read_until(reading, ended, request, response.headers.raw, sample)
        if sample is None and not ended[0] & ERROR_MASK:
            return ended
        raw_headers = response.headers.raw
        return self._failures.response(ended, request, lambda: raw_headers, sample)

    def _note_open_end(self, response: httpx.Response, request: Request) -> None:
        if "content-length" not in response.headers:
            self._failures.note_open_end(request, response.headers.get("content-type"))

    async def _read(
        self,
        response: httpx.Response,
        sample: BodySample | None,
        backend: _Backend,
        reading: Reading | None,
    ) -> int:
        """Bytes of the body, never unpacked; reading ends above the limit.

        `sample` takes the first ones.
        """
        if reading is not None:
            return await self._read_until(response, backend, sample, reading)
        received = 0
        async for chunk in response.aiter_raw():
            received += len(chunk)
            if sample is not None:
                sample.add(chunk)
            if received > self._limit:
                break
        return received

    async def _read_until(
        self,
        response: httpx.Response,
        backend: _Backend,
        sample: BodySample | None,
        reading: Reading,
    ) -> int:
        reading.begin(clock_ns())
        if backend.stream is not None:
            backend.stream.reading = reading
        try:
            async for chunk in response.aiter_raw():
                if sample is not None:
                    sample.add(chunk)
                if reading.add(chunk) or reading.received > self._limit:
                    break
        except httpx.ReadTimeout:
            reading.end()
        return reading.received

    def _client(self) -> tuple[httpx.AsyncClient, _Backend]:
        """One for each connection: a pool of httpcore looks at every connection it has, twice for
        each request, which took seconds with some hundred of them.
        """
        transport, backend = self._transports.transport()
        client = httpx.AsyncClient(
            transport=transport,
            timeout=None,
            trust_env=False,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        )
        return client, backend


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

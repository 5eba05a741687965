"""Sends requests with aiohttp (`async`): one coroutine for each user, all in one event loop."""

import asyncio
from collections.abc import Coroutine, Iterable
from contextvars import ContextVar
from functools import lru_cache, partial
from http.cookies import SimpleCookie
from typing import Any, cast

import aiohttp
from aiohttp import ClientResponse, StreamReader
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.connector import Connection
from aiohttp.typedefs import LooseHeaders
from multidict import CIMultiDict
from yarl import URL

from control_plane.load.clock import clock_ns
from control_plane.load.outcome import (
    BodySample,
    Ended,
    ErrorTypes,
    Outcome,
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
    Ending,
    KeptConnections,
    SocketOptions,
    ending_of,
    is_ended,
)
from control_plane.load.virtual_users import AsyncUsers, current_user, cut_off

_NO_AUTO_HEADERS: CIMultiDict[None] = CIMultiDict({"Content-Type": None})
_NO_COOKIES = SimpleCookie()
_SMALL_BODY_BYTES = 4_096
"""Up to here a body that came whole is only counted: it cannot have made aiohttp pause reading."""
_Sample = BodySample | None


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

    def send(self, conn: Connection) -> Coroutine[Any, Any, ClientResponse]:
        cast("Any", conn.protocol).begin()
        return super().send(conn)


class _Protocol(ResponseHandler):
    """One connection: how many requests it took, and what came of the last one.

    `ending` is how it ended before any byte of a response came, None where it did not.
    """

    def __init__(self, kept: KeptConnections, hear: Hear, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._kept, self._hear = kept, hear
        self._user, self._first_byte = 0, FirstByte()
        self.requests, self.heard, self.busy = 0, False, False
        self._alone = self._told = False
        self.ending: Ending | None = None

    def begin(self) -> None:
        """Note that a request of this task is about to go out."""
        _connection.set(self)
        self.requests += 1
        self.heard, self.busy, self._told = False, True, False
        self._user = current_user.get()
        self._first_byte.restart()
        # That of the last response would look like a whole one.
        self._payload = None

    @property
    def socket(self) -> SocketOptions | None:
        return self.transport.get_extra_info("socket") if self.transport else None

    def data_received(self, data: bytes) -> None:
        if not data:
            # aiohttp reads on in what it has, which is nothing after the end of a response.
            if self._payload is None or not self._payload.is_eof():
                super().data_received(data)
            return
        self.heard = True
        first = self._first_byte
        self._alone = begins = self.busy and not first.found and first.begins_in(data)
        super().data_received(data)
        if begins:
            whole = self._payload is not None and self._payload.is_eof()
            if not whole or self._told:
                self._hear(self._user, NOT_HEARD_NS if whole else clock_ns())
                self._told = True

    def end_reading(self) -> None:
        """Note that what came so far is taken for the whole answer."""
        if self._alone:
            self._hear(self._user, NOT_HEARD_NS)

    def eof_received(self) -> None:
        if not self.busy:
            self._kept.ended_unasked(self.requests + 1)
        elif not self.heard:
            self.ending = ending_of(self.socket)
        super().eof_received()

    def connection_lost(self, exc: BaseException | None) -> None:
        if exc is not None and not self.heard:
            if data := unread_bytes(self.transport):
                self.data_received(data)
            else:
                self.ending = Ending.RESET
        super().connection_lost(exc)


_connection: ContextVar[_Protocol | None] = ContextVar("connection", default=None)
"""What the request of this task went out on; None while it has no connection."""

_only_new: ContextVar[bool] = ContextVar("only_new", default=False)
"""Whether the request of this task must not go out on a kept connection."""


class _CountingConnector(aiohttp.TCPConnector):
    """A pool as large as the concurrency, whose connections never expire by themselves.

    Counts connections where they are made, which costs requests on kept ones nothing.
    """

    def __init__(self, context: StrategyContext, kept: KeptConnections) -> None:
        super().__init__(limit=context.plan.users, keepalive_timeout=None, ssl=tls_context())
        made = partial(_Protocol, kept, context.samples.hear, self._loop)
        self._factory = cast("partial[ResponseHandler]", made)
        self._connections, self._kept = context.connections, kept

    def _get(self, *arguments: Any) -> Coroutine[Any, Any, Connection | None]:
        if self._kept.keeps and not self._kept.unsure and not _only_new.get():
            return super()._get(*arguments)
        return self._get_if_usable(*arguments)

    async def _get_if_usable(self, *arguments: Any) -> Connection | None:
        """Return a kept connection where one may be used and nobody has ended it."""
        if _only_new.get() or not self._kept.keeps:
            return None
        connection = await super()._get(*arguments)
        if connection is not None:
            protocol = cast("_Protocol", connection.protocol)
            if self._kept.unsure and is_ended(protocol.socket):
                self._kept.ended_unasked(protocol.requests + 1)
                connection.close()
                return None
            if protocol.requests > 1:
                self._kept.carried_two()
        return connection

    def _release(
        self, key: ConnectionKey, protocol: ResponseHandler, *, should_close: bool = False
    ) -> None:
        super()._release(key, protocol, should_close=should_close or not self._kept.keeps)
        protocol.busy = False  # type: ignore[attr-defined] # it is a `_Protocol`
        if not protocol.is_connected():
            self._connections.remove(id(protocol))

    async def _create_connection(self, *arguments: object) -> ResponseHandler:
        _connection.set(None)
        place = object()
        self._connections.begin(id(place))
        try:
            made = await super()._create_connection(*arguments)  # type: ignore[arg-type] # as given
        finally:
            self._connections.remove(id(place))
        self._connections.add(id(made))
        closed = made.closed
        if closed is None:
            self._connections.remove(id(made))
        else:
            closed.add_done_callback(partial(self._lost, id(made)))
        return made

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


class AiohttpClient:
    """All users share one session."""

    def __init__(self, context: StrategyContext) -> None:
        self._context = context
        # A query stays part of the path, as on the wire. What is found out of a URL stays with it.
        self._url = lru_cache(1_000)(partial(URL(context.plan.base_url).with_path, encoded=True))
        self._headers = RequestHeaders(context.plan, context.source, CIMultiDict)
        self._limit = context.plan.client.max_body_bytes
        self._small, self._failures = min(self._limit, _SMALL_BODY_BYTES), context.failures
        self._kept = context.kept_connections()
        self._loop = new_loop(context.plan.client)
        self._session = self._loop.run_until_complete(self._open())
        self._users = AsyncUsers(context, self._send)

    def run(self, phase: Phase) -> None:
        self._loop.run_until_complete(self._users.run(phase))

    async def _open(self) -> aiohttp.ClientSession:
        session = aiohttp.ClientSession(
            connector=_CountingConnector(self._context, self._kept),
            cookie_jar=aiohttp.DummyCookieJar(),
            request_class=LeanRequest,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            auto_decompress=False,
            trust_env=False,
            max_line_size=MAX_HEADER_BYTES,
            max_field_size=MAX_HEADER_BYTES,
            max_headers=MAX_HEADERS,
        )
        # aiohttp sends a GET again whatever became of the first one.
        session._retry_connection = False  # noqa: SLF001 - aiohttp has no public switch for it
        # There are no headers of the session to merge them with, which took as long as this.
        cast("Any", session)._prepare_headers = CIMultiDict.copy  # noqa: SLF001 - as above
        # Nor are there cookies of it, an empty set of which would be made for each request.
        cast("Any", session.cookie_jar).filter_cookies = lambda _url: _NO_COOKIES
        return session

    async def _send(self, request: Request) -> Ended:
        response = None
        try:
            response = await self._session._request(  # noqa: SLF001 - not as a context, which costs
                request.method,
                self._url(request.path),
                headers=self._headers.of(request),
                data=request.body or None,
                allow_redirects=False,
            )
            sample, content = self._failures.sample(response.status, request), response.content
            reading = request.reading()
            counted = content.is_eof() and content.total_bytes <= self._small
            if counted and sample is None and reading is None:
                received = content.total_bytes
            else:
                received = await self._read(response, request, sample, reading)
        except EXPECTED_ERRORS as error:
            if response is not None:
                response.close()
            if not self._goes_again(request, error):
                return self._failure(error, request)
        except BaseException as error:
            self._give_up(response, request, error)
            raise
        else:
            request.take_cookies(response.raw_headers)
            ended = response_outcome(response.status, request.expect, len(request.body), received)
            if sample is None and reading is None and received <= self._limit:
                return ended
            return self._looked_into(response, request, ended, sample, reading)
        return await self._send_again(request)

    async def _send_again(self, request: Request) -> Ended:
        token = _only_new.set(True)
        try:
            return await self._send(request)
        finally:
            _only_new.reset(token)

    def _goes_again(self, request: Request, error: Exception) -> bool:
        used, ending = _connection.get(), _unheard_ending(error)
        if used is None or ending is None or _only_new.get():
            return False
        return self._kept.send_again(request.method, used.requests, ending)

    def _failure(self, error: Exception, request: Request) -> Outcome:
        """How the connection ended says more than what aiohttp makes of it."""
        ending = _unheard_ending(error)
        kind = ending.error_class if ending else _class_of(error)
        ended = failure(kind, len(request.body))
        self._failures.keep(ended, request, detail=str(error))
        return ended

    def _looked_into(
        self,
        response: ClientResponse,
        request: Request,
        ended: Outcome,
        sample: _Sample,
        reading: Reading | None,
    ) -> Ended:
        """Return how a request ended whose response is too large, or not only counted."""
        _, sent, received = ended
        if received > self._limit:
            response.close()
            ended = failure("body_too_large", sent, received)
        elif reading is not None:
            if reading.ended:
                response.close()
            return self._context.read_until(reading, ended, request, response.raw_headers, sample)
        raw_headers = response.raw_headers
        return self._failures.response(ended, request, lambda: raw_headers, sample)

    def _give_up(
        self, response: ClientResponse | None, request: Request, error: BaseException
    ) -> None:
        if response is None:
            return
        response.close()
        if isinstance(error, asyncio.CancelledError):
            self._failures.keep_cut_off(request, response.status, response.raw_headers)
            cut_off.set(True)

    async def _read(
        self, response: ClientResponse, request: Request, sample: _Sample, reading: Reading | None
    ) -> int:
        """Bytes of the body; reading ends above the limit. `sample` takes the first ones."""
        content, received = response.content, 0
        if not content.is_eof() and response.content_length is None:
            self._failures.note_open_end(request, response.content_type)
        if reading is not None:
            return await self._read_until(content, sample, reading)
        while not content.at_eof() and received <= self._limit:
            chunk = await content.readany()
            received += len(chunk)
            if sample is not None:
                sample.add(chunk)
        return received

    async def _read_until(self, content: StreamReader, sample: _Sample, reading: Reading) -> int:
        reading.begin(clock_ns())
        while not (content.at_eof() or reading.ended) and reading.received <= self._limit:
            try:
                async with asyncio.timeout(reading.left_s(clock_ns())):
                    chunk = await content.readany()
            except TimeoutError:
                reading.end()
                break
            if sample is not None:
                sample.add(chunk)
            if reading.add(chunk) and (used := _connection.get()) is not None:
                used.end_reading()
        return reading.received


_NOT_WRITTEN = "Cannot write to closing transport"
"""What aiohttp says where nothing of a request went out: head and body are written at once."""


def _unheard_ending(error: Exception) -> Ending | None:
    """Return how the connection of this task ended; None where a byte of a response had come.

    A body waits for the next round of the loop, and the end of the connection may come before it.
    """
    used = _connection.get()
    if used is None or used.heard:
        return None
    not_written = _NOT_WRITTEN in {str(error), str(error.__cause__)}
    return Ending.REFUSED if not_written else used.ending


def _class_of(error: Exception) -> str:
    # A reset while the body comes is told in the message alone.
    if isinstance(error, aiohttp.ClientPayloadError) and "ConnectionResetError" in str(error):
        return "reset"
    return classify(error, ERROR_TYPES)

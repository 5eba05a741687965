"""The application, counted: requests that begin, requests that are answered, the end of its life.

An answer is complete with its last body message: what the application does after it, such as a
background task, is not part of the request. Nothing here awaits, so that no frame of the probe lies
between server and application: not in time, nor in the tracebacks that they print.

Connections of uvicorn report each response themselves, because to look at what is sent costs more.
"""

from __future__ import annotations

from typing import Any, Awaitable, Callable

from .heartbeat import HEARTBEAT
from .never_raise import never_raise
from .ring import ANSWERED_CELL, BEGUN_CELL
from .thread_pool import POOL_SIZE

Application = Callable[..., Awaitable[None]]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

_MARK = "looplab_counted"


def count_requests(app: Application, *, told: bool = False) -> Application:
    """An ASGI 3 application that behaves as `app` does, to be called by its server.

    `told`: somebody else counts the answers.
    """
    if not callable(app) or getattr(app, _MARK, False):
        return app
    awake, heart, header = False, HEARTBEAT, HEARTBEAT.header

    def looplab_probe(scope: Any, receive: Receive, send: Send) -> Awaitable[None]:
        nonlocal awake, header
        http = scope["type"] == "http"
        if not awake:
            awake = _wake(http=http)
            header = heart.header
        if not http:
            watched = _until_shutdown(receive) if scope["type"] == "lifespan" else receive
            return app(scope, watched, send)
        heart.begun = header[BEGUN_CELL] = heart.begun + 1
        return app(scope, receive, send if told else _CountingSend(send))

    setattr(looplab_probe, _MARK, True)
    return looplab_probe


def _wake(*, http: bool) -> bool:
    """Whether nothing is left to be done at the next call."""
    if not HEARTBEAT.asked:
        HEARTBEAT.start()
    if POOL_SIZE.wanted:
        POOL_SIZE.settle()
    if http and not HEARTBEAT.armed:
        HEARTBEAT.arm()
    return HEARTBEAT.armed and not POOL_SIZE.wanted


class _CountingSend:
    """Passes on what is sent. An application that fails lets go of it unanswered."""

    __slots__ = ("_open", "_send")

    def __init__(self, send: Send) -> None:
        self._send, self._open = send, True

    def __call__(self, message: Any) -> Awaitable[None]:
        if (
            self._open
            and message.get("type") == "http.response.body"
            and not message.get("more_body")
        ):
            self._open = False
            HEARTBEAT.answered = HEARTBEAT.header[ANSWERED_CELL] = HEARTBEAT.answered + 1
        return self._send(message)

    def __del__(self) -> None:
        if self._open:
            HEARTBEAT.let_go()


def _until_shutdown(receive: Receive) -> Receive:
    """Of a lifespan: the heart stops before the application clears up."""

    async def watched() -> Any:
        message = await receive()
        if message["type"] == "lifespan.shutdown":
            HEARTBEAT.stop()
        return message

    return watched


_UVICORN_PROTOCOLS = {"uvicorn.protocols.http.httptools_impl", "uvicorn.protocols.http.h11_impl"}
_WATCHED_MARK = "looplab_watched"


@never_raise
def watch_connections(config: Any) -> bool:
    """Whether the connections of this uvicorn tell of each answer from now on, and of each request
    whose client goes before it. Those of another kind do not, nor those that answer 503 themselves.
    """
    connection = config.http_protocol_class
    if connection.__module__ not in _UVICORN_PROTOCOLS or config.limit_concurrency is not None:
        return False
    if not hasattr(connection, _WATCHED_MARK):
        _watch(connection)
    return True


def _watch(connection: Any) -> None:
    answered, lost = connection.on_response_complete, connection.connection_lost
    heart = HEARTBEAT

    def on_response_complete(self: Any) -> None:
        heart.answered = heart.header[ANSWERED_CELL] = heart.answered + 1
        answered(self)

    def connection_lost(self: Any, error: Exception | None) -> None:
        _give_up(self)
        lost(self, error)

    connection.on_response_complete = on_response_complete
    connection.connection_lost = connection_lost
    setattr(connection, _WATCHED_MARK, True)


@never_raise
def _give_up(connection: Any) -> None:
    """A request that waits behind another of its connection has not begun."""
    cycle = connection.cycle
    waiting = getattr(connection, "pipeline", ())
    if cycle is not None and not cycle.response_complete and not waiting:
        HEARTBEAT.let_go()

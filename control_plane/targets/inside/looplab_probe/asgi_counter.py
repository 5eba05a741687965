"""The counter around an ASGI application: requests begun and answered, and its shutdown.

A response is complete with its last body message: what the application does after it, such as a
background task, is not part of the request. Nothing here awaits, so that no frame of the probe lies
between server and application: not in time, nor in the tracebacks that they print.

Connections of uvicorn report each response themselves, because to look at what is sent costs more.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Mapping
from typing import Any, Awaitable, Callable

from . import never_raise
from .heartbeat import HEARTBEAT
from .ring import ANSWERED_CELL, BEGUN_CELL
from .thread_pool import POOL_SIZE

AsgiApplication = Callable[..., Awaitable[None]]
Receive = Callable[[], Awaitable[Any]]
AsgiSend = Callable[[Any], Awaitable[None]]

_MARK = "looplab_counted"


def count_requests(app: AsgiApplication, *, sends: bool = True) -> AsgiApplication:
    """Return an ASGI 3 application that behaves as `app` does, to be called by its server.

    `sends`: count responses as they are sent; false where the connections count them.
    """
    if not callable(app) or getattr(app, _MARK, False):
        return app
    ready, heartbeat, header = False, HEARTBEAT, HEARTBEAT.header

    def looplab_probe(scope: Any, receive: Receive, send: AsgiSend) -> Awaitable[None]:
        nonlocal ready, header
        http = scope["type"] == "http"
        if not ready:
            ready = _prepare(http=http)
            header = heartbeat.header
        if not http:
            watched = _until_shutdown(receive) if scope["type"] == "lifespan" else receive
            return app(scope, watched, send)
        heartbeat.begun = header[BEGUN_CELL] = heartbeat.begun + 1
        return app(scope, receive, _CountingSend(send) if sends else send)

    setattr(looplab_probe, _MARK, True)
    return looplab_probe


def _prepare(*, http: bool) -> bool:
    """Start what is not yet started; return whether the next call needs none of it."""
    if not HEARTBEAT.tried:
        HEARTBEAT.start()
    if POOL_SIZE.wanted:
        POOL_SIZE.apply()
    if http and not HEARTBEAT.armed:
        HEARTBEAT.arm()
    return HEARTBEAT.armed and not POOL_SIZE.wanted


class _CountingSend:
    """Passes on what is sent, and counts the response once it is complete.

    An application that fails drops it before that; its request counts as answered, too.
    """

    __slots__ = ("_open", "_send")
    # Calls return what a coroutine function returns, and `iscoroutinefunction` is asked by some.
    _is_coroutine = getattr(asyncio.coroutines, "_is_coroutine", None)
    _is_coroutine_marker = getattr(inspect, "_is_coroutine_mark", None)

    def __init__(self, send: AsgiSend) -> None:
        self._send, self._open = send, True

    def __call__(self, message: Any) -> Awaitable[None]:
        # What is no message is for the server to refuse.
        if (
            self._open
            and isinstance(message, (dict, Mapping))
            and message.get("type") == "http.response.body"
            and not message.get("more_body")
        ):
            self._open = False
            HEARTBEAT.answered = HEARTBEAT.header[ANSWERED_CELL] = HEARTBEAT.answered + 1
        return self._send(message)

    def __del__(self) -> None:
        if self._open:
            HEARTBEAT.count_abandoned()


def _until_shutdown(receive: Receive) -> Receive:
    """Return the `receive` of a lifespan that stops the heartbeat before the shutdown."""

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
    """Let the connections of this uvicorn count responses, and requests whose client went before.

    Return whether they do: those of another protocol do not, nor those that respond 503 themselves.
    """
    connection = config.http_protocol_class
    if connection.__module__ not in _UVICORN_PROTOCOLS or config.limit_concurrency is not None:
        return False
    if not hasattr(connection, _WATCHED_MARK):
        _watch(connection)
    return True


def _watch(connection: Any) -> None:
    completed, lost = connection.on_response_complete, connection.connection_lost
    heartbeat = HEARTBEAT

    def on_response_complete(self: Any) -> None:
        heartbeat.answered = heartbeat.header[ANSWERED_CELL] = heartbeat.answered + 1
        completed(self)

    def connection_lost(self: Any, error: Exception | None) -> None:
        _count_abandoned(self)
        lost(self, error)

    connection.on_response_complete = on_response_complete
    connection.connection_lost = connection_lost
    setattr(connection, _WATCHED_MARK, True)


@never_raise
def _count_abandoned(connection: Any) -> None:
    """Count the request in progress; one that waits behind it on the connection has not begun."""
    cycle = connection.cycle
    waiting = getattr(connection, "pipeline", ())
    if cycle is not None and not cycle.response_complete and not waiting:
        HEARTBEAT.count_abandoned()

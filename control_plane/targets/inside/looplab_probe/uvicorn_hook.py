"""Answers as uvicorn's own connections tell of them: to look at what is sent would cost more."""

from __future__ import annotations

from typing import Any

from .heartbeat import HEARTBEAT
from .never_raise import never_raise
from .ring import ANSWERED_CELL

_KNOWN = {"uvicorn.protocols.http.httptools_impl", "uvicorn.protocols.http.h11_impl"}
_MARK = "looplab_watched"


@never_raise
def watch_connections(config: Any) -> bool:
    """Whether the connections of this uvicorn tell of each answer from now on, and of each request
    whose client goes before it. Those of another kind do not, nor those that answer 503 themselves.
    """
    connection = config.http_protocol_class
    if connection.__module__ not in _KNOWN or config.limit_concurrency is not None:
        return False
    if not hasattr(connection, _MARK):
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
    setattr(connection, _MARK, True)


@never_raise
def _give_up(connection: Any) -> None:
    """A request that waits behind another of its connection has not begun."""
    cycle = connection.cycle
    waiting = getattr(connection, "pipeline", ())
    if cycle is not None and not cycle.response_complete and not waiting:
        HEARTBEAT.let_go()

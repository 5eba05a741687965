"""Requests as uvicorn counts them for itself: to count them once more would cost each of them."""

from __future__ import annotations

from typing import Any, Callable, Protocol

from .quiet import quietly

_MARK = "looplab_watched"


class OwnCount(Protocol):
    """The state that all connections of one uvicorn share.

    `total_requests` that were answered whole; `tasks` in which the application is called.
    """

    total_requests: int
    tasks: set[Any]


@quietly
def own_count(send: Any, lost: Callable[[], None]) -> OwnCount | None:
    """That of the server whose `send` this is; `lost` is called for each request whose client goes.

    None for other servers, and where uvicorn itself answers some requests with 503.
    """
    protocol = send.__self__.on_response.__self__
    state = protocol.server_state
    if protocol.limit_concurrency is not None or not isinstance(state.total_requests, int):
        return None
    len(state.tasks)
    _watch(type(protocol), lost)
    return state  # type: ignore[no-any-return]  # of whatever version the target has


def _watch(protocol: Any, lost: Callable[[], None]) -> None:
    """A request that waits behind another of its connection has not begun."""
    original: Any = protocol.connection_lost
    if getattr(original, _MARK, False):
        return

    def connection_lost(self: Any, error: Exception | None) -> None:
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete and not getattr(self, "pipeline", ()):
            lost()
        original(self, error)

    setattr(connection_lost, _MARK, True)
    protocol.connection_lost = connection_lost

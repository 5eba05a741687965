"""Counts connections, and says what becomes of a request that finds a kept one closed.

A server may close a kept connection at any moment, and a request that is on its way then is lost
without anybody's fault. RFC 9110, 9.2.2, lets a client send it again where its method is
idempotent, or where the client can tell that the first one was never applied. TCP tells: an end
that was closed answers with a reset and acknowledges nothing. What a server took and did not answer
is an error.
"""

import socket
import struct
from collections import Counter
from enum import Enum
from threading import get_ident
from typing import Protocol

IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
"""RFC 9110, 9.2.2."""

PAUSE_S = 0.1
"""Servers keep an idle connection for longer than this."""

_ENOUGH = 3
"""So many connections that ended after their first response show a server that keeps none, as long
as none has carried a second one. Fewer may be a worker that just died."""

_INFO_BYTES, _UNACKED_AT = 104, 24
_CLOSED, _CLOSE_WAIT = 7, 8
"""Of tcp_info of Linux, which begins with the state."""


class Ending(Enum):
    """How a connection ended before any byte of the response came.

    `TAKEN`: the server closed it, and had taken the request. `REFUSED`: it was closed before the
    request came. `RESET`: it was reset, with the request unread or, seldom, on purpose.
    """

    TAKEN = "taken"
    REFUSED = "refused"
    RESET = "reset"

    @property
    def error_class(self) -> str:
        """The class of a request that does not go out again."""
        return "reset" if self is Ending.RESET else "disconnected"


class SocketOptions(Protocol):
    """A socket, or what an event loop shows of one."""

    def getsockopt(self, level: int, option: int, length: int, /) -> bytes: ...


def ending_of(sock: SocketOptions | None) -> Ending:
    """Return how the other side ended a connection whose end was just read."""
    state, unacknowledged = _tcp_state(sock)
    closed = state == _CLOSED or (state == _CLOSE_WAIT and unacknowledged > 0)
    return Ending.REFUSED if closed else Ending.TAKEN


def is_ended(sock: SocketOptions | None) -> bool:
    """Return whether the other side ended a connection, also where nobody has read that yet."""
    return _tcp_state(sock)[0] in {_CLOSED, _CLOSE_WAIT}


def _tcp_state(sock: SocketOptions | None) -> tuple[int, int]:
    """Return the state and the segments that are not acknowledged; zeros where nobody knows."""
    if sock is None:
        return 0, 0
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_BYTES)
    except OSError:
        return 0, 0
    (unacknowledged,) = struct.unpack_from("I", info, _UNACKED_AT)
    return info[0], unacknowledged


class ConnectionCounter:
    """Counts connections, each of which is known by a number that no other open one has."""

    def __init__(self) -> None:
        self._open: set[int] = set()
        self._sizes = {0}
        self._established, self._sent_again = _ThreadCounter(), _ThreadCounter()
        self._read_enough = _ThreadCounter()

    def open_window(self) -> None:
        """Count from now on; what is open stays open."""
        self._established.reset()
        self._sent_again.reset()
        self._read_enough.reset()
        self._sizes = {len(self._open)}

    def begin(self, key: int) -> None:
        """Note that a connection is being made; `remove` it if that fails."""
        self._open.add(key)
        self._sizes.add(len(self._open))

    def add(self, key: int) -> None:
        """Count a connection that was established."""
        self._established.count()
        self.begin(key)

    def remove(self, key: int) -> None:
        """Forget a connection that was closed, by either side."""
        self._open.discard(key)

    def count_sent_again(self) -> None:
        """Count a request that goes out a second time."""
        self._sent_again.count()

    def count_read_enough(self) -> None:
        """Count a connection that the client closes because it read enough of its response."""
        self._read_enough.count()

    def opened(self) -> int:
        """Return how many were established since the window began."""
        return self._established.since()

    def most(self) -> int:
        """Return the most that were open or being made at once since then."""
        return max(self._sizes)

    def sent_again(self) -> int:
        """Return how many requests went out a second time since then."""
        return self._sent_again.since()

    def read_enough(self) -> int:
        """Return how many the client closed since then because it had read enough."""
        return self._read_enough.since()


class _ThreadCounter:
    """Each thread counts for itself."""

    def __init__(self) -> None:
        self._by_thread = Counter[int]()
        self._before = 0

    def count(self) -> None:
        self._by_thread[get_ident()] += 1

    def reset(self) -> None:
        self._before = self._ever()

    def since(self) -> int:
        return self._ever() - self._before

    def _ever(self) -> int:
        return sum(self._by_thread.copy().values())


class KeptConnections:
    """What all connections of a client know of the server together.

    `keeps`: a connection is used again after a response; False for good where the load asks for new
    ones, and where the server turns out to keep none. `unsure`: no connection has carried a second
    response yet, so one is looked at before its second request.
    """

    def __init__(self, counter: ConnectionCounter, *, keeps: bool, pauses: bool) -> None:
        """`pauses`: connections may be idle for so long that a server ends them therefore."""
        self._counter, self.keeps = counter, keeps
        self.unsure = keeps and not pauses
        self._ended = 0

    def carried_two(self) -> None:
        """Note that a connection has carried a second response: the server does keep them."""
        self.unsure = False

    def ended_unasked(self, number: int) -> None:
        """Note that a connection was ended before the request of that number, from 1, went out."""
        if number == 2 and self.unsure:
            self._ended += 1
            self.keeps = self._ended < _ENOUGH

    def send_again(self, method: str, number: int, ending: Ending) -> bool:
        """Return whether a request that got no byte of a response goes out on a new connection.

        It was the request of that number on its connection, from 1. The second time is counted.
        """
        if number < 2 or ending is Ending.TAKEN:
            return False
        self.ended_unasked(number)
        again = ending is Ending.REFUSED or method in IDEMPOTENT
        if again:
            self._counter.count_sent_again()
        return again

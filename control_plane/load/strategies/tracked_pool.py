"""Pools of urllib3 whose connections are counted, each known by the user that is on it.

requests bounds each wait for bytes, not a whole response. So that slow drips end too, a watchdog
shuts down the socket of a request that is in flight for too long; its thread wakes up at once.
"""

import http.client
import io
import select
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from control_plane.load.clock import clock_ns, overdue, sleep_until
from control_plane.load.sample_buffer import NOT_HEARD_NS, Hear, SampleBuffer
from control_plane.load.strategies.kept_connections import (
    ConnectionCounter,
    Ending,
    KeptConnections,
    ending_of,
)

_Request = tuple[str, Mapping[str, str], bool]


_LEAST_WAIT_S = 1e-6
"""A timeout of zero would ask not to wait at all, which is another mode of a socket."""


class ConnectionTracker:
    """Knows which user is on which connection; one tracker for all sessions.

    A thread is the user with whom it called `enter`. No lock is held while requests are sent, for
    the reason in `sample_buffer`.
    """

    def __init__(self, connections: ConnectionCounter, kept: KeptConnections, hear: Hear) -> None:
        self.connections, self.kept, self.hear = connections, kept, hear
        self._thread = threading.local()
        self._by_user: dict[int, TrackedConnection] = {}

    def enter(self, user: int) -> None:
        """Bind the calling thread to a user."""
        self._thread.user = user

    def set_request(self, path: str, headers: Mapping[str, str], *, only_new: bool = False) -> None:
        """Set what this thread sends next, byte for byte: requests and urllib3 would rewrite it.

        `only_new`: it must not go out on a kept connection.
        """
        self._thread.request, self._thread.unanswered = (path, headers, only_new), None
        self._thread.response = None

    def set_response(self, response: Any) -> None:
        """Note that the head of a response to this thread came."""
        self._thread.response = response

    def response(self) -> Any:
        """Return the response to the last request of this thread; None where no head came."""
        return self._thread.response

    def request(self) -> "_Request":
        """Return what this thread sends next, and whether on a new connection only."""
        request: _Request = self._thread.request
        return request

    def set_unanswered(self, number: int, ending: Ending) -> None:
        """Note that the connection of this thread ended before any byte of the response."""
        self._thread.unanswered = number, ending

    def unanswered(self) -> tuple[int, Ending] | None:
        """Return the number of the request on its connection, and how that ended.

        None where it did not end so.
        """
        unanswered: tuple[int, Ending] | None = self._thread.unanswered
        return unanswered

    def take(self, connection: "TrackedConnection") -> None:
        """Note that the user of this thread is about to send a request over `connection`."""
        connection.user = self._thread.user
        self._by_user[connection.user] = connection

    def set_read_timeout(self, seconds: float | None) -> None:
        """Let reads of the connection of this thread wait for so long at most; None: for ever."""
        connection = self._by_user.get(self._thread.user)
        if connection is not None:
            connection.set_read_timeout(seconds)

    def cut(self, user: int) -> None:
        """Cut the connection of `user`, unless another user has its connection by now."""
        connection = self._by_user.get(user)
        if connection is not None:
            connection.cut(user)

    def watch(self, samples: SampleBuffer, timeout_ns: int) -> None:
        """Cut overdue requests, in a thread of its own, for the life of the process."""

        def work() -> None:
            while True:
                late, look_ns = overdue(samples.starts(), timeout_ns, clock_ns())
                for user in late:
                    self.cut(user)
                sleep_until(look_ns)

        threading.Thread(target=work, daemon=True).start()


class _Pieces(io.RawIOBase):
    """What comes over a socket; tells when a response began as soon as more of it is waited for.

    What is there when the thread reads on is part of the same piece: it may have had no turn.
    """

    def __init__(
        self, raw: io.RawIOBase, sock: socket.socket, heard: Callable[[int], None]
    ) -> None:
        self._raw, self._sock, self._heard = raw, sock, heard
        self._came_ns = NOT_HEARD_NS

    def begin(self) -> None:
        """Note that a response may come; what came before was an interim one."""
        self._came_ns = NOT_HEARD_NS
        self._heard(NOT_HEARD_NS)

    def came(self) -> None:
        """Note that the response begins now."""
        self._came_ns = clock_ns()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        if self._came_ns and not _has_unread(self._sock):
            self._heard(self._came_ns)
            self._came_ns = NOT_HEARD_NS
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


def _has_unread(sock: socket.socket) -> bool:
    """Return whether a read would return at once: with bytes, with the end, or with an error."""
    if isinstance(sock, ssl.SSLSocket) and sock.pending():
        return True
    waiting = select.poll()
    waiting.register(sock, select.POLLIN)
    return bool(waiting.poll(0))


class _HeardResponse(http.client.HTTPResponse):
    """A response that tells when it began, past any 100 Continue, where it came in pieces."""

    def __init__(
        self, sock: socket.socket, *arguments: Any, heard: Callable[[int], None], **options: Any
    ) -> None:
        super().__init__(sock, *arguments, **options)
        self._pieces = _Pieces(self.fp.detach(), sock, heard)
        self.fp = io.BufferedReader(self._pieces)

    def _read_status(self) -> tuple[str, int, str]:
        self._pieces.begin()
        if self.fp.peek(1):
            self._pieces.came()
        return super()._read_status()  # type: ignore[misc,no-any-return] # typeshed leaves it out


class TrackedConnection:
    """A connection that a tracker knows; mixed into one of urllib3."""

    sock: socket.socket | None

    def __init__(self, *arguments: Any, tracker: ConnectionTracker, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.user = -1
        self._requests = 0
        self._ending: Ending | None = None
        self._tracker = tracker
        self._tracked_socket: socket.socket | None = None
        self._is_cut = self._awaiting = False
        self.response_class: Any = partial(_HeardResponse, heard=self._hear)

    def _hear(self, came_ns: int) -> None:
        self._tracker.hear(self.user, came_ns)

    @property
    def is_kept(self) -> bool:
        """Whether it is to be used again after a response."""
        return self._tracker.kept.keeps

    @property
    def is_connected(self) -> bool:
        """Whether another request can go out: urllib3 asks before one does."""
        connected: bool = super().is_connected  # type: ignore[misc] # see below
        if not connected and self.sock is not None:
            self._tracker.kept.ended_unasked(self._requests + 1)
        return connected

    def connect(self) -> None:
        self._tracker.connections.begin(id(self))
        try:
            super().connect()  # type: ignore[misc] # of the connection that this is mixed into
        except BaseException:
            self._tracker.connections.remove(id(self))
            raise
        self._tracked_socket, self._is_cut = self.sock, False
        self._requests = 0
        self._tracker.connections.add(id(self))

    def close(self) -> None:
        if self.sock is not None:
            if self._awaiting and self._ending is None:
                self._ending = ending_of(self.sock)
            self._tracker.connections.remove(id(self))
        super().close()  # type: ignore[misc] # of the connection that this is mixed into

    def request(self, *arguments: Any, **options: Any) -> None:
        path, headers, only_new = self._tracker.request()
        # The order matters: `cut` marks the connection before it looks who has it, this user
        # has it before it looks for the mark. So either the mark is seen, or the new user is.
        self._tracker.take(self)
        if self._is_cut or (only_new and self._requests):
            self.close()
        elif self._requests > 1 and self.sock is not None:
            self._tracker.kept.carried_two()
        method, _ = arguments
        options["headers"] = headers
        self._ending = None
        try:
            super().request(method, path, **options)  # type: ignore[misc] # see above
        except ConnectionResetError:
            # urllib3 looks for a response all the same.
            self._ending = Ending.RESET
            raise
        finally:
            self._requests += 1

    def getresponse(self) -> Any:
        self._awaiting = True
        try:
            return super().getresponse()  # type: ignore[misc] # see above
        except ConnectionError as error:
            if not isinstance(error, http.client.RemoteDisconnected):
                self._ending = Ending.RESET
            if self._ending is not None and not self._is_cut:
                self._tracker.set_unanswered(self._requests, self._ending)
            raise
        finally:
            self._awaiting = False

    def set_read_timeout(self, seconds: float | None) -> None:
        """Bound each read, also where only the response holds the socket."""
        if self._tracked_socket is not None:
            least_s = None if seconds is None else max(seconds, _LEAST_WAIT_S)
            self._tracked_socket.settimeout(least_s)

    def cut(self, user: int) -> None:
        """Shut the socket down if `user` is still on it: also where only the response holds it."""
        tracked_socket, self._is_cut = self._tracked_socket, True
        if self.user != user or tracked_socket is None:
            self._is_cut = False
            return
        with suppress(OSError):
            tracked_socket.shutdown(socket.SHUT_RDWR)


class _Http(TrackedConnection, HTTPConnection):
    pass


class _Https(TrackedConnection, HTTPSConnection):
    pass


class _Pool:
    """A pool that closes what is not to be used again; mixed into one of urllib3."""

    def _put_conn(self, connection: Any) -> None:
        if connection is not None and not connection.is_kept:
            connection.close()
        super()._put_conn(connection)  # type: ignore[misc] # of the pool that this is mixed into


class _HttpPool(_Pool, HTTPConnectionPool):
    ConnectionCls = _Http


class _HttpsPool(_Pool, HTTPSConnectionPool):
    ConnectionCls = _Https


Pools = dict[str, Callable[..., HTTPConnectionPool]]


def pools(tracker: ConnectionTracker) -> Pools:
    """Return what makes a pool, by scheme.

    Options of a pool that it does not know go to its connections.
    """
    return {
        "http": partial(_HttpPool, tracker=tracker),
        "https": partial(_HttpsPool, tracker=tracker),
    }

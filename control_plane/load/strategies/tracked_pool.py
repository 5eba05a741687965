"""Pools of urllib3 whose connections are counted, each known by the user that is on it.

requests bounds each wait for bytes, not a whole response. So that slow drips end too, a watchdog
shuts down the socket of a request that is in flight for too long; its thread wakes up at once.
"""

import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from control_plane.load.clock import clock_ns, overdue, sleep_until
from control_plane.load.sample_buffer import SampleBuffer
from control_plane.load.strategies.strategy import ConnectionCounter


class ConnectionTracker:
    """Knows which user is on which connection; one tracker for all sessions.

    A thread is the user with whom it called `enter`. No lock is held while requests are sent, for
    the reason in `sample_buffer`.
    """

    def __init__(self, connections: ConnectionCounter) -> None:
        self.connections = connections
        self._thread = threading.local()
        self._by_user: dict[int, TrackedConnection] = {}

    def enter(self, user: int) -> None:
        """Let the calling thread be a user."""
        self._thread.user = user

    def set_request(self, path: str, headers: Mapping[str, str]) -> None:
        """Set what this thread sends next, byte for byte: requests and urllib3 would rewrite it."""
        self._thread.request = path, headers

    def request(self) -> tuple[str, Mapping[str, str]]:
        """Return what this thread sends next."""
        request: tuple[str, Mapping[str, str]] = self._thread.request
        return request

    def take(self, connection: "TrackedConnection") -> None:
        """Note that the user of this thread is about to send a request over `connection`."""
        connection.user = self._thread.user
        self._by_user[connection.user] = connection

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


class TrackedConnection:
    """A connection that a tracker knows; mixed into one of urllib3."""

    sock: socket.socket | None

    def __init__(self, *arguments: Any, tracker: ConnectionTracker, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.user = -1
        self._tracker = tracker
        self._tracked_socket: socket.socket | None = None
        self._is_cut = False

    def connect(self) -> None:
        super().connect()  # type: ignore[misc] # of the connection that this is mixed into
        self._tracked_socket, self._is_cut = self.sock, False
        self._tracker.connections.add(id(self))

    def close(self) -> None:
        if self.sock is not None:
            self._tracker.connections.remove(id(self))
        super().close()  # type: ignore[misc] # of the connection that this is mixed into

    def request(self, *arguments: Any, **options: Any) -> None:
        # The order matters: `cut` marks the connection before it looks who has it, this user
        # has it before it looks for the mark. So either the mark is seen, or the new user is.
        self._tracker.take(self)
        if self._is_cut:
            self.close()
        method, _ = arguments
        path, headers = self._tracker.request()
        options["headers"] = headers
        super().request(method, path, **options)  # type: ignore[misc] # see above

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


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _Http


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _Https


class _Unpooled:
    """A pool that keeps no connection; mixed into one of urllib3."""

    def _put_conn(self, connection: Any) -> None:
        if connection is not None:
            connection.close()
        super()._put_conn(None)  # type: ignore[misc] # of the pool that this is mixed into


class _HttpUnpooled(_Unpooled, HTTPConnectionPool):
    ConnectionCls = _Http


class _HttpsUnpooled(_Unpooled, HTTPSConnectionPool):
    ConnectionCls = _Https


Pools = dict[str, Callable[..., HTTPConnectionPool]]


def pools(tracker: ConnectionTracker, *, reuse: bool) -> Pools:
    """Return what makes a pool, by scheme.

    Options of a pool that it does not know go to its connections.
    """
    kinds = (_HttpPool, _HttpsPool) if reuse else (_HttpUnpooled, _HttpsUnpooled)

    def maker(kind: type[HTTPConnectionPool]) -> Callable[..., HTTPConnectionPool]:
        return lambda *arguments, **options: kind(*arguments, tracker=tracker, **options)

    return {"http": maker(kinds[0]), "https": maker(kinds[1])}

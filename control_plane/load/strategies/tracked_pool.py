"""The connections of requests: counted, and each known by the user that is on it.

requests bounds each wait for bytes, not a whole answer. So that slow drips end too, a watchdog
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
from control_plane.load.connections import ConnectionCounter
from control_plane.load.recorder import Recorder


class ConnectionTracker:
    """One for all sessions. A thread is the user that it said it is with `enter`.

    No lock is held while requests are sent, for the reason that the recorder gives.
    """

    def __init__(self, connections: ConnectionCounter) -> None:
        self.connections = connections
        self._here = threading.local()
        self._by_user: dict[int, TrackedConnection] = {}

    def enter(self, user: int) -> None:
        self._here.user = user

    def say(self, path: str, headers: Mapping[str, str]) -> None:
        """What this thread sends next, byte for byte: requests and urllib3 would rewrite it."""
        self._here.wire = path, headers

    def wire(self) -> tuple[str, Mapping[str, str]]:
        wire: tuple[str, Mapping[str, str]] = self._here.wire
        return wire

    def take(self, line: "TrackedConnection") -> None:
        """The user of this thread is about to send a request over `line`."""
        line.user = self._here.user
        self._by_user[line.user] = line

    def cut(self, user: int) -> None:
        """End what `user` waits for, unless another user has its connection by now."""
        line = self._by_user.get(user)
        if line is not None:
            line.cut(user)

    def watch(self, recorder: Recorder, timeout_ns: int) -> None:
        """Cut overdue requests, in a thread of its own, for the life of the process."""
        watching = threading.Thread(target=self._watch, args=(recorder, timeout_ns), daemon=True)
        watching.start()

    def _watch(self, recorder: Recorder, timeout_ns: int) -> None:
        while True:
            late, look_ns = overdue(recorder.starts(), timeout_ns, clock_ns())
            for user in late:
                self.cut(user)
            sleep_until(look_ns)


class TrackedConnection:
    """Mixed into a connection of urllib3."""

    sock: socket.socket | None

    def __init__(self, *arguments: Any, lines: ConnectionTracker, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.user = -1
        self._lines = lines
        self._wire: socket.socket | None = None
        self._cut = False

    def connect(self) -> None:
        super().connect()  # type: ignore[misc] # of the connection that this is mixed into
        self._wire, self._cut = self.sock, False
        self._lines.connections.add(id(self))

    def close(self) -> None:
        if self.sock is not None:
            self._lines.connections.remove(id(self))
        super().close()  # type: ignore[misc] # of the connection that this is mixed into

    def request(self, *arguments: Any, **options: Any) -> None:
        # The order matters: `cut` marks the line before it looks who has it, this user has it
        # before it looks for the mark. So either the mark is seen, or the new user is.
        self._lines.take(self)
        if self._cut:
            self.close()
        method, _ = arguments
        path, headers = self._lines.wire()
        options["headers"] = headers
        super().request(method, path, **options)  # type: ignore[misc] # see above

    def cut(self, user: int) -> None:
        """Shut the socket down if `user` is still on it: also where only the answer holds it."""
        wire, self._cut = self._wire, True
        if self.user != user or wire is None:
            self._cut = False
            return
        with suppress(OSError):
            wire.shutdown(socket.SHUT_RDWR)


class _Http(TrackedConnection, HTTPConnection):
    pass


class _Https(TrackedConnection, HTTPSConnection):
    pass


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _Http


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _Https


class _Unpooled:
    """Mixed into a pool that keeps no connection."""

    def _put_conn(self, line: Any) -> None:
        if line is not None:
            line.close()
        super()._put_conn(None)  # type: ignore[misc] # of the pool that this is mixed into


class _HttpUnpooled(_Unpooled, HTTPConnectionPool):
    ConnectionCls = _Http


class _HttpsUnpooled(_Unpooled, HTTPSConnectionPool):
    ConnectionCls = _Https


Pools = dict[str, Callable[..., HTTPConnectionPool]]


def pools(lines: ConnectionTracker, *, reuse: bool) -> Pools:
    """What makes a pool, by scheme. Options of a pool that it does not know go to connections."""
    kinds = (_HttpPool, _HttpsPool) if reuse else (_HttpUnpooled, _HttpsUnpooled)

    def maker(kind: type[HTTPConnectionPool]) -> Callable[..., HTTPConnectionPool]:
        return lambda *arguments, **options: kind(*arguments, lines=lines, **options)

    return {"http": maker(kinds[0]), "https": maker(kinds[1])}

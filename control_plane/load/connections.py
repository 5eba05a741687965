"""Counts the connections of a client; safe to use from many threads."""

import threading


class Connections:
    """`opened` since the window began, `most` open at once since then."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now = self.opened = self.most = 0

    def open_window(self) -> None:
        with self._lock:
            self.opened, self.most = 0, self._now

    def add(self) -> None:
        """A connection was established."""
        with self._lock:
            self._now += 1
            self.opened += 1
            self.most = max(self.most, self._now)

    def remove(self) -> None:
        """A connection was closed, by either side."""
        with self._lock:
            self._now -= 1

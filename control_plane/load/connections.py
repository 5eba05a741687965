"""Counts the connections of a client; safe to use from many threads, none of which waits."""

from itertools import count


class Connections:
    """Each connection is known by a number that no other open one has."""

    def __init__(self) -> None:
        self._open: set[int] = set()
        self._sizes = {0}
        self._opened = count()
        self._before = 0

    def open_window(self) -> None:
        self._before = next(self._opened) + 1
        self._sizes = {len(self._open)}

    def add(self, key: int) -> None:
        """A connection was established."""
        next(self._opened)
        self._open.add(key)
        self._sizes.add(len(self._open))

    def remove(self, key: int) -> None:
        """A connection was closed, by either side."""
        self._open.discard(key)

    def opened(self) -> int:
        """How many were established since the window began."""
        opened = next(self._opened) - self._before
        self._before += 1
        return opened

    def most(self) -> int:
        """The most that were open at once since then."""
        return max(self._sizes)

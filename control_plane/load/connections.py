"""Counts the connections of a client; safe to use from many threads, none of which waits."""

from collections import Counter
from threading import get_ident


class ConnectionCounter:
    """Counts connections, each of which is known by a number that no other open one has."""

    def __init__(self) -> None:
        self._open: set[int] = set()
        self._sizes = {0}
        self._by_thread = Counter[int]()
        self._before = 0

    def open_window(self) -> None:
        """Count from now on; what is open stays open."""
        self._before = self._ever()
        self._sizes = {len(self._open)}

    def add(self, key: int) -> None:
        """Count a connection that was established."""
        self._by_thread[get_ident()] += 1
        self._open.add(key)
        self._sizes.add(len(self._open))

    def remove(self, key: int) -> None:
        """Forget a connection that was closed, by either side."""
        self._open.discard(key)

    def opened(self) -> int:
        """Return how many were established since the window began."""
        return self._ever() - self._before

    def most(self) -> int:
        """Return the most that were open at once since then."""
        return max(self._sizes)

    def _ever(self) -> int:
        return sum(self._by_thread.copy().values())

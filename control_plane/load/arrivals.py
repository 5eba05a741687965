"""The arrivals of an open load, handed out one by one."""

import threading
from collections import deque
from collections.abc import Iterator

from control_plane.load.schedule import Moments

_LOW = 256


class Arrivals:
    """Safe to use from many threads. A thread waits for another only where the supply ran out."""

    def __init__(self, chunks: Iterator[Moments]) -> None:
        self._chunks = chunks
        self._lock = threading.Lock()
        self._ready: deque[int] = deque(next(chunks).tolist())

    @property
    def opens_ns(self) -> int:
        """The intended start of the next arrival, which stays."""
        return self._ready[0]

    def take(self) -> int:
        """The intended start of the next arrival."""
        if len(self._ready) < _LOW and self._lock.acquire(blocking=False):
            try:
                self._refill()
            finally:
                self._lock.release()
        try:
            return self._ready.popleft()
        except IndexError:
            with self._lock:
                self._refill()
            return self.take()

    def _refill(self) -> None:
        self._ready.extend(next(self._chunks).tolist())

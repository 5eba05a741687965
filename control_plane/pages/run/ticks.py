"""One rendering of a live fragment for everybody who looks at it."""

import time
from collections.abc import Callable, Hashable
from threading import Lock

TICK_S = 1.0


class Ticks:
    """Keeps what was made in the present tick; later requests of the same tick share it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._tick = -1
        self._made: dict[Hashable, bytes] = {}

    def shared(self, key: Hashable, make: Callable[[], bytes]) -> bytes:
        """`make` runs at most once for each key and tick, also under parallel requests."""
        with self._lock:
            tick = int(self._clock() / TICK_S)
            if tick != self._tick:
                self._tick, self._made = tick, {}
            if key not in self._made:
                self._made[key] = make()
            return self._made[key]

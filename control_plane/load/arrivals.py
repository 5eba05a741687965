"""When the requests of an open load are meant to start. Pure: no clock, nothing sent.

Arrivals are marked by how many were expected before them: 0, 1, 2 … for constant ones, and the
points of a unit Poisson process otherwise. The rates turn marks into moments (Çinlar's inversion of
the expectation function), so both kinds follow steps of the rate in the same way.
"""

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from math import ceil

import numpy as np
from numpy.typing import NDArray

from control_plane.domain.load_models import LoadModel, RateStep
from control_plane.load.plan import WHOLE, Shard

Marks = NDArray[np.float64]
Moments = NDArray[np.int64]

_CHUNK = 1_024
_ROUNDING = 1e-9
"""A mark that misses a whole number by less is meant to be one."""


class RateSchedule:
    """The rate over time, in steps that follow each other from `opens_ns` on.

    The first rate holds before them, the last one after.
    """

    def __init__(self, steps: Sequence[RateStep], opens_ns: int) -> None:
        lengths_ns = [step.duration_s * 1e9 for step in steps[:-1]]
        per_ns = [step.rate_per_s / 1e9 for step in steps]
        self._opens_ns = opens_ns
        self._first, self._last = per_ns[0], per_ns[-1]
        self._moments = np.concatenate([[0.0], np.cumsum(lengths_ns)])
        grown = np.cumsum(np.array(lengths_ns) * np.array(per_ns[:-1]))
        self._marks = np.concatenate([[0.0], grown])

    def expected(self, at_ns: int) -> float:
        """Return how many arrivals are expected from the opening to `at_ns`; negative before it."""
        since_ns = float(at_ns - self._opens_ns)
        if since_ns < 0:
            return since_ns * self._first
        over_ns = since_ns - float(self._moments[-1])
        if over_ns > 0:
            return float(self._marks[-1]) + over_ns * self._last
        return float(np.interp(since_ns, self._moments, self._marks))

    def when(self, marks: Marks) -> Moments:
        """Return the moment of each mark, shape kept: the inverse of `expected`."""
        inside = np.interp(marks, self._marks, self._moments)
        before = np.minimum(marks, 0) / self._first
        after = np.maximum(marks - self._marks[-1], 0) / self._last
        moments: Moments = np.rint(inside + before + after).astype(np.int64)
        return moments + self._opens_ns


def arrival_times(
    load: LoadModel, *, begin_ns: int, opens_ns: int, seed: int, share: Shard = WHOLE
) -> Iterator[Moments]:
    """Yield the intended starts of an open load from `begin_ns` on, ascending, without end, many
    at a time.

    The steps of the rate begin at `opens_ns`. Constant arrivals are even across it, with one at
    `opens_ns` itself. The same seed gives the same Poisson arrivals.
    """
    rates = RateSchedule(load.steps, opens_ns)
    begin = rates.expected(begin_ns)
    marks = _poisson(begin, seed, share) if load.arrivals == "poisson" else _even(begin, share)
    for chunk in marks:
        yield rates.when(chunk)


def count_between(moments: Iterator[Moments], since_ns: int, until_ns: int) -> int:
    """Return how many of `moments` lie from `since_ns` on and before `until_ns`.

    They are as those of `arrival_times`.
    """
    found = 0
    for chunk in moments:
        inside = np.searchsorted(chunk, [since_ns, until_ns])
        found += int(inside[1] - inside[0])
        if chunk[-1] >= until_ns:
            break
    return found


def _even(begin: float, share: Shard) -> Iterator[Marks]:
    first = ceil(begin - _ROUNDING) + share.first
    steps = np.arange(_CHUNK, dtype=np.float64) * share.of
    while True:
        yield first + steps
        first += _CHUNK * share.of


def _poisson(begin: float, seed: int, share: Shard) -> Iterator[Marks]:
    random = np.random.default_rng(seed)
    while True:
        marks = begin + np.cumsum(random.exponential(size=_CHUNK * share.of))
        begin = float(marks[-1])
        yield marks[share.first :: share.of]


_REFILL_BELOW = 256


class ArrivalQueue:
    """The arrivals that nobody has taken yet, in order.

    Safe to use from many threads. A thread waits for another only where the supply ran out.
    """

    def __init__(self, chunks: Iterator[Moments]) -> None:
        self._chunks = chunks
        self._lock = threading.Lock()
        self._ready: deque[int] = deque(next(chunks).tolist())

    @property
    def opens_ns(self) -> int:
        """The intended start of the next arrival, which stays."""
        return self._ready[0]

    def take(self) -> int:
        """Return the intended start of the next arrival and remove it."""
        if len(self._ready) < _REFILL_BELOW and self._lock.acquire(blocking=False):
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

"""When the requests of a load are meant to start.

Where users decide, by a `Pacing`; where requests arrive, from an `ArrivalQueue`. Both are pure: no
clock, nothing sent, times in nanoseconds of one clock. A phase takes the moment of its begin from
the clock, and says when the next request starts until all users together sent their number.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from math import ceil
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from control_plane.domain.load_models import LoadModel, RateStep
from control_plane.load.clock import FAR_NS, clock_ns
from control_plane.load.worker_protocol import WHOLE, Shard


@dataclass(frozen=True)
class Pacing:
    """The intended starts of users, each of whom decides by itself.

    `opens_ns` is the first intended start of all.

    `first(user)` is the intended start of a user's first request, users from 0.
    `after(due_ns, end_ns)` is that of the next request of a user whose last one was meant to start
    at `due_ns` and ended at `end_ns`.
    """

    opens_ns: int
    first: Callable[[int], int]
    after: Callable[[int, int], int]


def closed(begin_ns: int, users: int, ramp_up_ns: int = 0, think_ns: int = 0) -> Pacing:
    """Return the pacing where users send when the last response came and was thought about.

    Users join evenly over the ramp-up, the first at its begin.
    """
    return Pacing(
        begin_ns,
        first=lambda user: begin_ns + user * ramp_up_ns // users,
        after=lambda _due_ns, end_ns: end_ns + think_ns,
    )


def burst(begin_ns: int) -> Pacing:
    """Return the pacing where every request is due at once."""
    return Pacing(begin_ns, first=lambda _user: begin_ns, after=lambda _due_ns, _end_ns: begin_ns)


def periodic(begin_ns: int, users: int, interval_ns: int) -> Pacing:
    """Return the pacing of one interval after the last intended start, or at once where the
    response came later.

    As Gatling's `pace`: a late request moves all that follow it, none is made up for. Users begin
    evenly over the first interval, so that together they send at an even rate.
    """
    return Pacing(
        begin_ns,
        first=lambda user: begin_ns + user * interval_ns // users,
        after=lambda due_ns, end_ns: max(due_ns + interval_ns, end_ns),
    )


def pacing_of(load: LoadModel, begin_ns: int, ramp_up_ns: int) -> Pacing:
    """Return the pacing of a load model in which users decide, from `begin_ns` on."""
    if load.all_at_once:
        return burst(begin_ns)
    if load.user_interval_s is not None:
        return periodic(begin_ns, load.users, round(load.user_interval_s * 1e9))
    return closed(begin_ns, load.users, ramp_up_ns, round(load.think_time_s * 1e9))


Marks = NDArray[np.float64]
Moments = NDArray[np.int64]

_CHUNK = 1_024
_ROUNDING = 1e-9
"""A mark that misses a whole number by less is meant to be one."""


class RateSchedule:
    """The rate over time, in steps that follow each other from `opens_ns` on.

    Arrivals are marked by how many were expected before them: 0, 1, 2 … for constant ones, and the
    points of a unit Poisson process otherwise. The rates turn marks into moments (Çinlar's
    inversion of the expectation function), so both kinds follow steps of the rate in the same way.

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


class ArrivalCounter:
    """Counts the arrivals of a window that begins at `since_ns`, as it goes on.

    `moments` are as those of `arrival_times`.
    """

    def __init__(self, moments: Iterator[Moments], since_ns: int) -> None:
        self._moments, self._since_ns = moments, since_ns
        self._chunk, self._found = next(moments), 0

    def until(self, at_ns: int) -> int:
        """Return how many there are before `at_ns`, which is never less than the time before."""
        while self._chunk[-1] < at_ns:
            self._found += self._inside(at_ns)
            self._chunk = next(self._moments)
        return self._found + self._inside(at_ns)

    def _inside(self, at_ns: int) -> int:
        low, high = np.searchsorted(self._chunk, [self._since_ns, at_ns])
        return max(0, int(high - low))


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


Starts = TypeVar("Starts", Pacing, ArrivalQueue)


@dataclass
class _Phase(Generic[Starts]):
    """A part of a load; over when all users together sent `limit` requests.

    `make` gives the intended starts from the phase's begin: `begin_ns`, or where that is None the
    moment in which all users stand ready. `on_start` is called with the first of them.
    """

    users: int
    make: Callable[[int], Starts]
    begin_ns: int | None = None
    until_ns: int = FAR_NS
    limit: int = FAR_NS
    on_start: Callable[[int], None] | None = None
    _numbers: "count[int]" = field(default_factory=count)

    _starts: Starts = field(init=False)

    def start(self) -> None:
        """Begin; call it once, when all users stand ready, before the first of them sends."""
        self._starts = self.make(clock_ns() if self.begin_ns is None else self.begin_ns)
        if self.on_start:
            self.on_start(self._starts.opens_ns)

    def _left(self) -> bool:
        return next(self._numbers) < self.limit

    def _within(self, due_ns: int) -> int | None:
        return due_ns if due_ns < self.until_ns else None


@dataclass
class PacedPhase(_Phase[Pacing]):
    """A phase in which each user sees for itself when it sends, until `until_ns`.

    `after(due_ns, end_ns)` is as `first`, for the next request of a user whose last one was meant
    to start at `due_ns` and ended at `end_ns`.
    """

    after: Callable[[int, int], int | None] = field(init=False)

    def start(self) -> None:
        super().start()
        self.after = self._after_of(self._starts.after, self._numbers, self.limit, self.until_ns)

    def first(self, user: int) -> int | None:
        """Return the intended start of a user's first request; None when the phase is over."""
        return self._within(self._starts.first(user)) if self._left() else None

    @staticmethod
    def _after_of(
        after: Callable[[int, int], int], numbers: "count[int]", limit: int, until_ns: int
    ) -> Callable[[int, int], int | None]:
        def next_start(due_ns: int, end_ns: int) -> int | None:
            if next(numbers) >= limit:
                return None
            due_ns = after(due_ns, end_ns)
            return due_ns if due_ns < until_ns else None

        return next_start


class OpenPhase(_Phase[ArrivalQueue]):
    """A phase whose arrivals belong to whichever user is free.

    At `until_ns` or later nothing is sent any more, whenever it was due.
    """

    def arrive(self) -> int | None:
        """Return the intended start of the next arrival; None when there is none in this phase."""
        return self._within(self._starts.take()) if self._left() else None

    def over(self, now_ns: int) -> bool:
        """Return whether nothing is sent any more."""
        return now_ns >= self.until_ns


Phase = PacedPhase | OpenPhase

"""Takes down what happens to each request, at a cost that the measurement does not feel.

While load runs a sample is four entries at the end of a list. They are sorted into buckets in bulk;
what is kept are counts, so memory does not grow with the number of requests. Users never wait for a
lock: with hundreds of threads one that is interrupted while it holds a lock stops all others for
long. Extending a list, slicing it and cutting off its head are single steps of the interpreter.
"""

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from control_plane.domain.histogram import EMPTY
from control_plane.domain.stream_record import Second, WindowTotals
from control_plane.load.outcome import Outcome, count_by_class
from control_plane.load.sample_buffer import FIELDS, Durations, HistogramBuilder, Mask, Samples
from control_plane.load.window_stats import SecondStats

SECOND_NS = 1_000_000_000
FAR_NS = 2**62
_FULL = FIELDS * 4_096
_IDLE_NS = 0


Begin = Callable[[int, int, int], None]
"""`begin(user, intended_ns, start_ns)`: `user` starts a request; it has no other in flight."""


class End(Protocol):
    """The request of `user` ended; `begun_ns` is the intended and the actual start of the next one,
    0 where none begins in the same moment.

    True where samples were counted, which takes a while: time has gone by since.
    """

    def __call__(self, user: int, end_ns: int, ended: Outcome, begun_ns: int = ..., /) -> bool: ...


class Recorder:
    """Safe to use from many threads. All times are nanoseconds of the monotonic clock.

    `users`: how many there are at most; they are numbered from 0.
    `scheduled`: intended starts are known before, so that response and service time differ. Else
    times run from the actual start, and the intended one only tells how long who thinks is away.
    `timed`: the client sends by the clock, so that its lateness is kept.
    `by_start`: a sample belongs to the window by its intended start and not by its end.
    `think_ns`: for so long a user sends nothing after an answer.
    `begin` and `end` are told of each request.
    Until `open` says when the window begins, samples are followed but not counted.
    """

    def __init__(
        self,
        *,
        users: int,
        scheduled: bool,
        timed: bool = False,
        by_start: bool = False,
        think_ns: int = 0,
    ) -> None:
        self._scheduled, self._think_ns = scheduled, think_ns
        self._planned = scheduled or think_ns > 0
        self._by_start, self._lag = by_start, HistogramBuilder() if timed else None
        self._lock = threading.Lock()
        self._entries: list[Any] = []
        self._starts, self._intended = [_IDLE_NS] * users, [_IDLE_NS] * users
        self.begin, self.end = self._begin_of(), self._end_of(_FULL)
        self._slices: dict[int, SecondStats] = {}
        self._outcomes: Counter[int] = Counter()
        self._late_ns: list[int] = []
        self._opened_ns, self._closes_ns = FAR_NS, FAR_NS
        self._next, self._sealed = 0, False
        self._last_ns = self._in_system_ns = self._sent = self._received = 0
        self._away_ns = self._answered = self._late = 0

    def _begin_of(self) -> Begin:
        starts, intended = self._starts, self._intended

        def begin(user: int, intended_ns: int, start_ns: int) -> None:
            intended[user], starts[user] = intended_ns, start_ns

        return begin

    def _end_of(self, full: int) -> End:
        starts, intended, entries = self._starts, self._intended, self._entries
        put, relieve = entries.extend, self._relieve

        def end(user: int, end_ns: int, ended: Outcome, begun_ns: int = _IDLE_NS) -> bool:
            put((intended[user], starts[user], end_ns, ended))
            starts[user] = intended[user] = begun_ns
            return len(entries) >= full and relieve()

        return end

    def _relieve(self) -> bool:
        """False where somebody else is at it."""
        if not self._lock.acquire(blocking=False):
            return False
        try:
            self._flush()
        finally:
            self._lock.release()
        return True

    def starts(self) -> dict[int, int]:
        """The actual start of each request in flight, by user."""
        starts = self._starts.copy()
        return {user: start_ns for user, start_ns in enumerate(starts) if start_ns != _IDLE_NS}

    def waiting(self) -> int:
        """How many requests that were meant to start in the window are in flight."""
        intended, _ = self._in_flight()
        return int(self._meant(intended).sum())

    def _in_flight(self) -> tuple[Durations, Durations]:
        """Intended and actual starts: shape (n,) each."""
        starts, intended = self._starts.copy(), self._intended.copy()
        while starts != self._starts:
            # Somebody came in between: the two would not belong together.
            starts, intended = self._starts.copy(), self._intended.copy()
        begun = np.array((intended if self._planned else starts, starts), np.int64)
        intended_ns, starts_ns = begun[:, begun[1] != _IDLE_NS]
        return intended_ns, starts_ns

    def open(self, opened_ns: int, closes_ns: int = FAR_NS, early: int = 0) -> None:
        """Count what ends after `opened_ns` and not after `closes_ns`.

        By start: what is meant to start from `opened_ns` on and before `closes_ns`. What ends in
        the `early` seconds before the window can be taken too, and counts in nothing else.
        """
        with self._lock:
            if self._opened_ns == FAR_NS:
                self._flush()
            self._opened_ns, self._closes_ns = opened_ns, closes_ns
            self._next = -early or self._next

    def take(self, index: int) -> Second:
        """Second `index` of the window, which is over; later stragglers count in the next one.

        Seconds before the window are negative; stragglers of the last one are left out.
        """
        with self._lock:
            self._flush()
            self._next = index + 1
            slice_ = self._slices.pop(index, None)
        return slice_.second(index) if slice_ else Second(index, 0, EMPTY, EMPTY)

    def close(self, closes_ns: int | None = None, now_ns: int | None = None) -> WindowTotals:
        """The window ends at `closes_ns`, by default with the last sample. Nothing counts after.

        By start, answers were awaited until `now_ns`. Take the seconds that are left after this.
        """
        with self._lock:
            intended, starts = self._in_flight()
            # A thread may have been interrupted between handing in a sample and saying so.
            handed_in = self._flush()
            ended = set(zip(handed_in.intended.tolist(), handed_in.starts.tolist(), strict=True))
            begun = zip(intended.tolist(), starts.tolist(), strict=True)
            flying = np.array([one not in ended for one in begun], np.bool_)
            closed_ns = closes_ns or max(self._last_ns, self._opened_ns)
            self._sealed = True
        intended, starts = self._flying(intended[flying], starts[flying], closed_ns)
        ages_ns = self._late_ns + self._ages_ns(intended, starts, now_ns or closed_ns)
        inside_ns = self._inside_ns(starts, closed_ns)
        errors, statuses = count_by_class(self._outcomes.items())
        return WindowTotals(
            opened_ns=self._opened_ns,
            duration_ns=closed_ns - self._opened_ns,
            errors=errors,
            statuses=statuses,
            in_flight_ns=tuple(ages_ns),
            sent=self._outcomes.total() + len(ages_ns),
            bytes_sent=self._sent,
            bytes_received=self._received,
            in_system_ns=self._in_system_ns + inside_ns,
            send_lag=self._lag.histogram() if self._lag else None,
            away_ns=self._away_ns,
            awaited_ns=max(0, now_ns - closed_ns) if now_ns else 0,
            answered=self._answered if self._by_start else None,
            late=self._late,
        )

    def _flying(
        self, intended: Durations, starts: Durations, closed_ns: int
    ) -> tuple[Durations, Durations]:
        """Those of the window."""
        self._wait(intended, starts)
        chosen = self._meant(intended) if self._by_start else starts < closed_ns
        intended, starts = intended[chosen], starts[chosen]
        self._add_lag(intended, starts)
        return intended, starts

    def _ages_ns(self, intended: Durations, starts: Durations, now_ns: int) -> list[int]:
        """As long as a time that ended now: both are counted from the same start."""
        ages: list[int] = (now_ns - (intended if self._scheduled else starts)).tolist()
        return ages

    def _add_lag(self, intended: Durations, starts: Durations) -> None:
        if self._lag is not None:
            self._lag.add(starts - intended)

    def _meant(self, intended: Durations) -> Mask:
        """Which were meant to start in the window."""
        return (intended >= self._opened_ns) & (intended < self._closes_ns)

    def _flush(self) -> Samples:
        """Count the samples that were handed in; the lock is held."""
        samples = Samples.first(len(self._entries) // FIELDS, self._entries, planned=self._planned)
        del self._entries[: FIELDS * len(samples)]
        if len(samples) and not self._sealed:
            self._sort(samples)
        return samples

    def _sort(self, samples: Samples) -> None:
        ends = samples.ends
        if self._think_ns:
            self._away_ns += self._inside_ns(ends, ends + self._think_ns)
            self._wait(samples.intended, samples.starts)
        if self._next < 0:
            self._count(samples.where(ends <= self._opened_ns))
        if self._by_start:
            samples = self._meant_of(samples)
        else:
            late = ends > self._closes_ns
            if late.any():
                self._add_late(samples.where(late & (samples.starts < self._closes_ns)))
            samples = samples.where((ends > self._opened_ns) & ~late)
        if len(samples):
            self._add(samples)

    def _meant_of(self, samples: Samples) -> Samples:
        """Those that were meant to start in the window; which answers came inside it is noted."""
        answered = samples.completed().ends
        inside = (answered > self._opened_ns) & (answered <= self._closes_ns)
        self._answered += int(inside.sum())
        samples = samples.where(self._meant(samples.intended))
        self._late += int((samples.completed().ends > self._closes_ns).sum())
        return samples

    def _wait(self, intended: Durations, starts: Durations) -> None:
        """Users who had thought enough and had not sent yet."""
        if self._think_ns:
            self._away_ns += self._inside_ns(intended, starts)

    def _add_late(self, samples: Samples) -> None:
        """Ended after the window, before it was told so: in flight at its end."""
        self._add_lag(samples.intended, samples.starts)
        self._late_ns += self._ages_ns(samples.intended, samples.starts, self._closes_ns)
        self._in_system_ns += self._inside_ns(samples.starts, self._closes_ns)

    def _add(self, samples: Samples) -> None:
        self._add_lag(samples.intended, samples.starts)
        self._last_ns = max(self._last_ns, int(samples.ends.max()))
        self._in_system_ns += self._inside_ns(samples.starts, samples.ends)
        for (outcome, sent, received), count in samples.kinds.items():
            self._outcomes[outcome] += count
            self._sent += count * sent
            self._received += count * received
        self._count(samples)

    def _count(self, samples: Samples) -> None:
        """By the second in which they ended."""
        for index, those in samples.groups(self._second(samples.ends)):
            self._slice(index).add(those)

    def _second(self, ends: Durations) -> Durations:
        """The second of the window in which each counts, shape kept."""
        # Open requests are awaited after the window and count in its last second.
        inside = np.minimum(ends, self._closes_ns)
        seconds: Durations = np.maximum((inside - self._opened_ns - 1) // SECOND_NS, self._next)
        return seconds

    def _inside_ns(self, starts: Durations, ends: Durations | int) -> int:
        inside = np.minimum(ends, self._closes_ns) - np.maximum(starts, self._opened_ns)
        return int(np.maximum(inside, 0).sum())

    def _slice(self, index: int) -> SecondStats:
        if index not in self._slices:
            self._slices[index] = SecondStats(scheduled=self._scheduled)
        return self._slices[index]

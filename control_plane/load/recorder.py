"""Takes down what happens to each request, at a cost that the measurement does not feel.

While load runs a sample is a packed row at the end of a list. They are sorted into buckets in bulk;
what is kept are counts, so memory does not grow with the number of requests. Users never wait for a
lock: with hundreds of threads one that is interrupted while it holds a lock stops all others for
long. Appending to a list, copying it and cutting off its head are single steps of the interpreter.
"""

import threading
from collections import Counter
from collections.abc import Callable
from typing import Protocol

import numpy as np
import numpy.typing as npt

from control_plane.domain.histogram import EMPTY
from control_plane.domain.record import Second
from control_plane.load.outcome import ERROR_MASK, counts
from control_plane.load.samples import (
    COLUMNS,
    END,
    INTENDED,
    OUTCOME,
    RECEIVED,
    ROW,
    SENT,
    START,
    groups,
    where,
)
from control_plane.load.slice import Slice
from control_plane.load.tally import Samples, Tally
from control_plane.load.totals import Totals

SECOND_NS = 1_000_000_000
FAR_NS = 2**62
_FULL = 2_048
_IDLE = (0, 0)


Begun = tuple[int, int]
"""The intended and the actual start of a request."""

Begin = Callable[[int, int, int], None]
"""`begin(user, intended_ns, start_ns)`: `user` starts a request; it has no other in flight."""


Ended = tuple[int, int, int]
"""Its outcome, and the bytes of the bodies that were sent and received."""


class End(Protocol):
    """The request of `user` ended; `begun` is the next one where that starts in the same moment.

    True where samples were counted, which takes a while: time has gone by since.
    """

    def __call__(self, user: int, end_ns: int, ended: Ended, begun: Begun = ..., /) -> bool: ...


class Recorder:
    """Safe to use from many threads. All times are nanoseconds of the monotonic clock.

    `users`: how many there are at most; they are numbered from 0.
    `scheduled`: intended starts are known before, so that response and service time differ.
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
        self._by_start, self._lag = by_start, Tally() if timed else None
        self._lock = threading.Lock()
        self._rows: list[bytes] = []
        self._latest = [_IDLE] * users
        self.begin, self.end = self._begin_of(), self._end_of(_FULL, _IDLE)
        self._slices: dict[int, Slice] = {}
        self._outcomes: Counter[int] = Counter()
        self._late_ns: list[int] = []
        self._opened_ns, self._closes_ns = FAR_NS, FAR_NS
        self._next, self._sealed = 0, False
        self._last_ns = self._in_system_ns = self._sent = self._received = 0
        self._away_ns = self._answered = self._late = 0

    def _begin_of(self) -> Begin:
        latest = self._latest

        def begin(user: int, intended_ns: int, start_ns: int) -> None:
            latest[user] = (intended_ns, start_ns)

        return begin

    def _end_of(self, full: int, idle: Begun) -> End:
        latest, rows, pack, relieve = self._latest, self._rows, ROW.pack, self._relieve
        put = rows.append

        def end(user: int, end_ns: int, ended: Ended, begun: Begun = idle) -> bool:
            intended_ns, start_ns = latest[user]
            outcome, sent, received = ended
            put(pack(intended_ns, start_ns, end_ns, outcome, sent, received))
            latest[user] = begun
            return len(rows) >= full and relieve()

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
        latest = self._latest.copy()
        return {user: begun[START] for user, begun in enumerate(latest) if begun is not _IDLE}

    def waiting(self) -> int:
        """How many requests that were meant to start in the window are in flight."""
        begun = [one for one in self._latest.copy() if one is not _IDLE]
        return int(self._meant(np.array(begun, np.int64).reshape(-1, 2)).sum())

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

    def close(self, closes_ns: int | None = None, now_ns: int | None = None) -> Totals:
        """The window ends at `closes_ns`, by default with the last sample. Nothing counts after.

        By start, answers were awaited until `now_ns`. Take the seconds that are left after this.
        """
        with self._lock:
            begun = [one for one in self._latest.copy() if one is not _IDLE]
            # A thread may have been interrupted between handing in a sample and saying so.
            ended = {(row[INTENDED], row[START]) for row in self._flush().tolist()}
            begun = [one for one in begun if one not in ended]
            closed_ns = closes_ns or max(self._last_ns, self._opened_ns)
            self._sealed = True
        flying = self._flying(begun, closed_ns)
        ages_ns = self._late_ns + ((now_ns or closed_ns) - flying[:, INTENDED]).tolist()
        inside_ns = self._inside_ns(flying[:, START], closed_ns)
        self._wait(flying)
        errors, statuses = counts(self._outcomes.items())
        return Totals(
            closed_ns=closed_ns,
            errors=errors,
            statuses=statuses,
            in_flight_ns=tuple(ages_ns),
            ended=self._outcomes.total(),
            bytes_sent=self._sent,
            bytes_received=self._received,
            in_system_ns=self._in_system_ns + inside_ns,
            send_lag=self._lag.histogram() if self._lag else None,
            away_ns=self._away_ns,
            awaited_ns=max(0, now_ns - closed_ns) if now_ns else 0,
            answered=self._answered if self._by_start else None,
            late=self._late,
        )

    def _flying(self, begun: list[tuple[int, int]], closed_ns: int) -> Samples:
        """Those of the window that are in flight: shape (n, 2)."""
        rows = np.array(begun, np.int64).reshape(-1, 2)
        rows = rows[self._meant(rows) if self._by_start else rows[:, START] < closed_ns]
        self._add_lag(rows)
        return rows

    def _add_lag(self, rows: Samples) -> None:
        if self._lag is not None:
            self._lag.add(rows[:, START] - rows[:, INTENDED])

    def _meant(self, rows: Samples) -> npt.NDArray[np.bool_]:
        """Which were meant to start in the window."""
        intended = rows[:, INTENDED]
        return (intended >= self._opened_ns) & (intended < self._closes_ns)

    def _flush(self) -> Samples:
        """Count the samples that were handed in, shape (n, 6); the lock is held."""
        count = len(self._rows)
        # Columns that are each one piece of memory are the quickest to work on.
        rows = np.frombuffer(b"".join(self._rows[:count]), np.int64).reshape(-1, COLUMNS).copy("F")
        del self._rows[:count]
        if count and not self._sealed:
            self._sort(rows)
        return rows

    def _sort(self, rows: Samples) -> None:
        ends = rows[:, END]
        if self._think_ns:
            self._away_ns += self._inside_ns(ends, ends + self._think_ns)
            self._wait(rows)
        if self._next < 0:
            self._count(rows[ends <= self._opened_ns])
        if self._by_start:
            answered = ends[rows[:, OUTCOME] & ERROR_MASK == 0]
            inside = (answered > self._opened_ns) & (answered <= self._closes_ns)
            self._answered += int(inside.sum())
            rows = where(rows, self._meant(rows))
            good = rows[:, OUTCOME] & ERROR_MASK == 0
            self._late += int((good & (rows[:, END] > self._closes_ns)).sum())
        else:
            late = ends > self._closes_ns
            if late.any():
                self._add_late(rows[late & (rows[:, START] < self._closes_ns)])
            rows = where(rows, (ends > self._opened_ns) & ~late)
        if len(rows):
            self._add(rows)

    def _wait(self, rows: Samples) -> None:
        """Users who had thought enough and had not sent yet."""
        if self._think_ns:
            self._away_ns += self._inside_ns(rows[:, INTENDED], rows[:, START])

    def _add_late(self, rows: Samples) -> None:
        """Ended after the window, before it was told so: in flight at its end."""
        self._add_lag(rows)
        self._late_ns += (self._closes_ns - rows[:, INTENDED]).tolist()
        self._in_system_ns += self._inside_ns(rows[:, START], self._closes_ns)

    def _add(self, rows: Samples) -> None:
        self._add_lag(rows)
        ends = rows[:, END]
        self._last_ns = max(self._last_ns, int(ends.max()))
        self._in_system_ns += self._inside_ns(rows[:, START], ends)
        self._sent += int(rows[:, SENT].sum())
        self._received += int(rows[:, RECEIVED].sum())
        for outcome, those in groups(rows[:, OUTCOME], rows):
            self._outcomes[outcome] += len(those)
        self._count(rows)

    def _count(self, rows: Samples) -> None:
        """By the second in which they ended."""
        ends = rows[:, END]
        if not len(ends):
            return
        first, last = (int(self._second(end)) for end in (ends.min(), ends.max()))
        if first == last:
            self._slice(first).add(rows)
            return
        for index, those in groups(self._second(ends), rows):
            self._slice(index).add(those)

    def _second(self, ends: Samples) -> Samples:
        """The second of the window in which each counts, shape kept."""
        # Open requests are awaited after the window and count in its last second.
        inside = np.minimum(ends, self._closes_ns)
        seconds: Samples = np.maximum((inside - self._opened_ns - 1) // SECOND_NS, self._next)
        return seconds

    def _inside_ns(self, starts: Samples, ends: Samples | int) -> int:
        inside = np.minimum(ends, self._closes_ns) - np.maximum(starts, self._opened_ns)
        return int(np.maximum(inside, 0).sum())

    def _slice(self, index: int) -> Slice:
        if index not in self._slices:
            self._slices[index] = Slice(scheduled=self._scheduled)
        return self._slices[index]

"""Takes down what happens to each request, at a cost that the measurement does not feel.

While load runs a sample is a row of six numbers. Rows are sorted into buckets in bulk; what is kept
are counts, so memory does not grow with the number of requests. Users never wait for a lock: with
hundreds of threads one that is interrupted while it holds a lock stops all others for long.
"""

import threading
from array import array
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from control_plane.domain.histogram import EMPTY, Histogram
from control_plane.domain.record import Second
from control_plane.load.outcome import ERROR_MASK, counts
from control_plane.load.tally import Samples, Tally

SECOND_NS = 1_000_000_000
FAR_NS = 2**62
_FULL = 1_024
_BEGUN, _ENDED = 2, 6
_INTENDED, _START, _END, _OUTCOME, _SENT, _RECEIVED = range(6)


@dataclass(frozen=True)
class Totals:
    """The whole window. `in_flight_ns`, `in_system_ns` and `send_lag` as in StreamRecord."""

    closed_ns: int
    errors: dict[str, int]
    statuses: dict[str, int]
    in_flight_ns: tuple[int, ...]
    ended: int
    bytes_sent: int
    bytes_received: int
    in_system_ns: int
    send_lag: Histogram | None


class _Slice:
    """One second. Without a schedule both times are the same and are counted once."""

    def __init__(self, *, scheduled: bool) -> None:
        self.errors = 0
        self.service = Tally()
        self.response = Tally() if scheduled else self.service

    def add(self, rows: Samples) -> None:
        completed = rows[rows[:, _OUTCOME] & ERROR_MASK == 0]
        self.errors += len(rows) - len(completed)
        self.service.add(completed[:, _END] - completed[:, _START])
        if self.response is not self.service:
            self.response.add(completed[:, _END] - completed[:, _INTENDED])

    def second(self, index: int) -> Second:
        service = self.service.histogram()
        same = self.response is self.service
        return Second(index, self.errors, service, service if same else self.response.histogram())


class Recorder:
    """Safe to use from many threads. All times are nanoseconds of the monotonic clock.

    `scheduled`: a schedule sets the intended starts, so that response and service time differ.
    `by_start`: a sample belongs to the window by its intended start and not by its end.
    Until `open` says when the window begins, samples are followed but not counted.
    """

    def __init__(self, *, scheduled: bool, by_start: bool = False) -> None:
        self._scheduled = scheduled
        self._lag = Tally() if by_start else None
        self._lock = threading.Lock()
        self._rows: deque[list[int]] = deque()
        self._latest: dict[int, list[int]] = {}
        self._slices: dict[int, _Slice] = {}
        self._outcomes: Counter[int] = Counter()
        self._late_ns: list[int] = []
        self._opened_ns, self._closes_ns = FAR_NS, FAR_NS
        self._next, self._sealed = 0, False
        self._last_ns = self._in_system_ns = self._sent = self._received = 0

    def begin(self, user: int, intended_ns: int, start_ns: int) -> None:
        """`user` starts a request; it has no other in flight."""
        self._latest[user] = [intended_ns, start_ns]

    def end(self, user: int, end_ns: int, outcome: int, sent: int, received: int) -> None:
        """The request of `user` ended; `sent` and `received` are bytes of bodies."""
        # A row is in flight with two numbers, ended with six, and empty when it was counted.
        row = self._latest[user]
        row += (end_ns, outcome, sent, received)
        rows = self._rows
        rows.append(row)
        if len(rows) >= _FULL and self._lock.acquire(blocking=False):
            try:
                self._flush()
            finally:
                self._lock.release()

    def starts(self) -> dict[int, int]:
        """The actual start of each request in flight, by user."""
        latest = {user: tuple(row) for user, row in self._latest.copy().items()}
        return {user: row[_START] for user, row in latest.items() if len(row) == _BEGUN}

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
            self._flush()
            latest = [tuple(row) for row in self._latest.copy().values()]
            # Their threads were interrupted just before they could hand them in.
            self._sort([row for row in latest if len(row) == _ENDED])
            closed_ns = closes_ns or max(self._last_ns, self._opened_ns)
            self._sealed = True
        flying = self._flying([row for row in latest if len(row) == _BEGUN], closed_ns)
        ages_ns = self._late_ns + ((now_ns or closed_ns) - flying[:, _INTENDED]).tolist()
        inside_ns = self._inside_ns(flying[:, _START], closed_ns)
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
        )

    def _flying(self, begun: Sequence[tuple[int, ...]], closed_ns: int) -> Samples:
        """Those of the window that are in flight: shape (n, 2)."""
        rows = np.array(begun, np.int64).reshape(-1, _BEGUN)
        if self._lag is None:
            return rows[rows[:, _START] < closed_ns]
        rows = rows[self._meant(rows)]
        self._lag.add(rows[:, _START] - rows[:, _INTENDED])
        return rows

    def _meant(self, rows: Samples) -> npt.NDArray[np.bool_]:
        """Which were meant to start in the window."""
        intended = rows[:, _INTENDED]
        return (intended >= self._opened_ns) & (intended < self._closes_ns)

    def _flush(self) -> None:
        """Count the rows that were handed in; the lock is held."""
        rows, flat = self._rows, list[int]()
        for _ in range(len(rows)):
            row = rows.popleft()
            flat += row
            row.clear()
        if flat and not self._sealed:
            # An array takes numbers in quicker than numpy does.
            self._sort(np.frombuffer(array("q", flat), np.int64))

    def _sort(self, numbers: npt.ArrayLike) -> None:
        rows = np.asarray(numbers, np.int64).reshape(-1, _ENDED)
        if self._next < 0:
            self._count(rows[rows[:, _END] <= self._opened_ns])
        if self._lag is not None:
            rows = rows[self._meant(rows)]
            self._lag.add(rows[:, _START] - rows[:, _INTENDED])
            self._add(rows)
            return
        if not len(rows):
            return
        ends = rows[:, _END]
        if ends.max() > self._closes_ns:
            self._add_late(rows[(ends > self._closes_ns) & (rows[:, _START] < self._closes_ns)])
        self._add(rows[(ends > self._opened_ns) & (ends <= self._closes_ns)])

    def _add_late(self, rows: Samples) -> None:
        """Ended after the window, before it was told so: in flight at its end."""
        self._late_ns += (self._closes_ns - rows[:, _INTENDED]).tolist()
        self._in_system_ns += self._inside_ns(rows[:, _START], self._closes_ns)

    def _add(self, rows: Samples) -> None:
        if not len(rows):
            return
        ends = rows[:, _END]
        self._last_ns = max(self._last_ns, int(ends.max()))
        self._in_system_ns += self._inside_ns(rows[:, _START], ends)
        self._sent += int(rows[:, _SENT].sum())
        self._received += int(rows[:, _RECEIVED].sum())
        found = np.unique(rows[:, _OUTCOME], return_counts=True)
        for outcome, count in zip(*found, strict=True):
            self._outcomes[int(outcome)] += int(count)
        self._count(rows)

    def _count(self, rows: Samples) -> None:
        """By the second in which they ended."""
        # Open requests are awaited after the window and count in its last second.
        inside = np.minimum(rows[:, _END], self._closes_ns)
        indices = np.maximum((inside - self._opened_ns - 1) // SECOND_NS, self._next)
        for index in np.unique(indices):
            self._slice(int(index)).add(rows[indices == index])

    def _inside_ns(self, starts: Samples, ends: Samples | int) -> int:
        inside = np.minimum(ends, self._closes_ns) - np.maximum(starts, self._opened_ns)
        return int(np.maximum(inside, 0).sum())

    def _slice(self, index: int) -> _Slice:
        if index not in self._slices:
            self._slices[index] = _Slice(scheduled=self._scheduled)
        return self._slices[index]

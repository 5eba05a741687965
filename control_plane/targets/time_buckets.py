"""One worker's heartbeats put on the time axis of a window. Pure: every time is a parameter."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from control_plane.domain.result import WorkerSeries
from control_plane.targets.inside.looplab_probe.ring import PERIOD_NS, Beat


@dataclass
class _Bucket:
    """One interval. `last` is the newest beat until its end, whether it lies in it or before."""

    last: Beat
    in_flight: int
    lag_ns: int = 0
    beats: int = 0
    busy: int = 0
    waiting: int = 0
    completed: int = 0
    gc_ns: int = 0

    def add(self, beat: Beat, before: Beat | None) -> None:
        self.last = beat
        self.beats += 1
        self.busy += beat.tokens_busy
        self.waiting += beat.tokens_waiting
        self.gc_ns += beat.gc_ns - (before.gc_ns if before else 0)

    def count(self, in_flight: int, completed: int) -> None:
        self.in_flight = in_flight
        self.completed += completed

    @property
    def lag_s(self) -> float:
        return _seconds(self.lag_ns)

    @property
    def gc_s(self) -> float:
        return _seconds(self.gc_ns)

    @property
    def tokens(self) -> tuple[int | None, int | None]:
        """Busy and waiting: means of the interval's beats, or as they were when it began."""
        if self.last.tokens_total < 0:
            return None, None
        if not self.beats:
            return self.last.tokens_busy, self.last.tokens_waiting
        return round(self.busy / self.beats), round(self.waiting / self.beats)


@dataclass
class TimeBuckets:
    """Of a window that opened at `opened_ns` of the monotonic clock, `interval_ns` each.

    An event loop that stands still shows in every interval that it misses: the lag of an interval
    is the largest time that a beat was overdue in it. Until the next beat comes, tokens and
    collections are as they were; requests are counted by the looks at them.
    """

    opened_ns: int
    interval_ns: int
    last: Beat | None = None
    _first: int = 0
    _slots: list[_Bucket] = field(default_factory=list)
    _counted: int = 0

    @property
    def seen(self) -> bool:
        """Whether the worker lived in the window."""
        return bool(self._slots)

    def take(self, beat: Beat) -> None:
        before, self.last = self.last, beat
        if beat.at_ns >= self.opened_ns:
            due_ns = max(beat.at_ns - beat.lag_ns, before.at_ns if before else self.opened_ns)
            self._overdue(due_ns, beat.at_ns, before or beat)
            slot = self._slot(self._index(beat.at_ns), beat)
            slot.add(beat, before)
            slot.count(beat.in_flight, max(0, beat.completed - self._counted))
        self._counted = max(self._counted, beat.completed)

    def owed(self, until_ns: int, begun: int, answered: int) -> None:
        """No further beat has come until now. So many requests have, since the worker's start."""
        if self.last is None or until_ns < self.opened_ns:
            return
        due_ns = min(self.last.at_ns + PERIOD_NS, until_ns)
        self._overdue(due_ns, until_ns, self.last)
        if until_ns - due_ns > PERIOD_NS:
            middle = self._index(max(until_ns - self.interval_ns // 2, self.last.at_ns))
            slot = self._slot(max(middle, self._first), self.last)
            slot.count(begun - answered, max(0, answered - self._counted))
            self._counted = max(self._counted, answered)

    def _overdue(self, due_ns: int, until_ns: int, last: Beat) -> None:
        first, final = self._index(max(due_ns, self.opened_ns)), self._index(until_ns)
        for index in range(first, final + 1):
            end_ns = self.opened_ns + (index + 1) * self.interval_ns
            slot = self._slot(index, last)
            slot.lag_ns = max(slot.lag_ns, min(until_ns, end_ns) - due_ns)

    def series(self, pid: int, slots: int) -> WorkerSeries:
        """`slots` intervals; None in those before the worker's first beat and after its end."""
        shown = list(self._shown(slots))
        total = self.last.tokens_total if self.last else -1
        return WorkerSeries(
            pid=pid,
            loop_lag_s=tuple(one.lag_s if one else None for one in shown),
            tokens_busy=tuple(one.tokens[0] if one else None for one in shown),
            tokens_waiting=tuple(one.tokens[1] if one else None for one in shown),
            in_flight=tuple(one.in_flight if one else None for one in shown),
            completed=tuple(one.completed if one else None for one in shown),
            gc_s=tuple(one.gc_s if one else None for one in shown),
            tokens_total=None if total < 0 else total,
        )

    def _shown(self, slots: int) -> Iterator[_Bucket | None]:
        for index in range(slots):
            at = index - self._first
            yield self._slots[at] if 0 <= at < len(self._slots) else None

    def _index(self, at_ns: int) -> int:
        return (at_ns - self.opened_ns) // self.interval_ns

    def _slot(self, index: int, last: Beat) -> _Bucket:
        """Those between the newest and this one are made with it; none before the first."""
        if not self._slots:
            self._first = index
        index = max(index, self._first)
        while len(self._slots) <= index - self._first:
            newest = self._slots[-1] if self._slots else None
            made = (
                _Bucket(newest.last, newest.in_flight) if newest else _Bucket(last, last.in_flight)
            )
            self._slots.append(made)
        return self._slots[index - self._first]


def _seconds(ns: int) -> float:
    """To the microsecond."""
    return round(ns / 1e9, 6)

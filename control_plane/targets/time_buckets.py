"""One worker's heartbeats in the intervals of a window. Pure: every time is a parameter."""

from dataclasses import dataclass, field

from control_plane.domain.result import WorkerSeries
from control_plane.targets.inside.looplab_probe.ring import PERIOD_NS, Beat


@dataclass
class _Bucket:
    """One interval. `last` is the newest beat until its end, in it or before."""

    last: Beat
    in_flight: int
    lag_ns: int = 0
    beats: int = 0
    busy: int = 0
    waiting: int = 0
    completed: int = 0
    gc_ns: int = 0

    def add(self, beat: Beat, before: Beat | None) -> None:
        """Add a beat in the interval, which came after `before`."""
        self.last = beat
        self.beats += 1
        self.busy += beat.tokens_busy
        self.waiting += beat.tokens_waiting
        self.gc_ns += beat.gc_ns - (before.gc_ns if before else 0)

    def count(self, in_flight: int, completed: int) -> None:
        """Count requests: in flight now, completed since they were last counted."""
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
        """Tokens busy and waiting: means of the interval's beats, or as they were when it began."""
        if self.last.tokens_total < 0:
            return None, None
        if not self.beats:
            return self.last.tokens_busy, self.last.tokens_waiting
        return round(self.busy / self.beats), round(self.waiting / self.beats)


@dataclass
class TimeBuckets:
    """The intervals of a window that opened at `opened_ns` of the monotonic clock.

    An event loop that stands still shows in every interval that it misses: the lag of an interval
    is the largest time that a beat was overdue in it. Until the next beat comes, tokens and
    collections are as they were; requests are counted as they are read.
    """

    opened_ns: int
    interval_ns: int
    last: Beat | None = None
    _first: int = 0
    _buckets: list[_Bucket] = field(default_factory=list)
    _counted: int = 0

    @property
    def seen(self) -> bool:
        """Whether the worker lived in the window."""
        return bool(self._buckets)

    def add(self, beat: Beat) -> None:
        """Add the next beat."""
        before, self.last = self.last, beat
        if beat.at_ns >= self.opened_ns:
            due_ns = max(beat.at_ns - beat.lag_ns, before.at_ns if before else self.opened_ns)
            self._overdue(due_ns, beat.at_ns, before or beat)
            bucket = self._bucket(self._index(beat.at_ns), beat)
            bucket.add(beat, before)
            bucket.count(beat.in_flight, max(0, beat.completed - self._counted))
        self._counted = max(self._counted, beat.completed)

    def add_overdue(self, until_ns: int, begun: int, answered: int) -> None:
        """Add that no further beat came until now, with the requests since the worker's start."""
        if self.last is None or until_ns < self.opened_ns:
            return
        due_ns = min(self.last.at_ns + PERIOD_NS, until_ns)
        self._overdue(due_ns, until_ns, self.last)
        if until_ns - due_ns > PERIOD_NS:
            middle = self._index(max(until_ns - self.interval_ns // 2, self.last.at_ns))
            bucket = self._bucket(max(middle, self._first), self.last)
            bucket.count(begun - answered, max(0, answered - self._counted))
            self._counted = max(self._counted, answered)

    def _overdue(self, due_ns: int, until_ns: int, last: Beat) -> None:
        first, final = self._index(max(due_ns, self.opened_ns)), self._index(until_ns)
        for index in range(first, final + 1):
            end_ns = self.opened_ns + (index + 1) * self.interval_ns
            bucket = self._bucket(index, last)
            bucket.lag_ns = max(bucket.lag_ns, min(until_ns, end_ns) - due_ns)

    def series(self, pid: int, intervals: int) -> WorkerSeries:
        """Return so many intervals; None in those before the first beat and after the end."""
        buckets = [self._bucket_at(index) for index in range(intervals)]
        total = self.last.tokens_total if self.last else -1
        return WorkerSeries(
            pid=pid,
            loop_lag_s=tuple(bucket.lag_s if bucket else None for bucket in buckets),
            tokens_busy=tuple(bucket.tokens[0] if bucket else None for bucket in buckets),
            tokens_waiting=tuple(bucket.tokens[1] if bucket else None for bucket in buckets),
            in_flight=tuple(bucket.in_flight if bucket else None for bucket in buckets),
            completed=tuple(bucket.completed if bucket else None for bucket in buckets),
            gc_s=tuple(bucket.gc_s if bucket else None for bucket in buckets),
            tokens_total=None if total < 0 else total,
        )

    def _bucket_at(self, index: int) -> _Bucket | None:
        place = index - self._first
        return self._buckets[place] if 0 <= place < len(self._buckets) else None

    def _index(self, at_ns: int) -> int:
        return (at_ns - self.opened_ns) // self.interval_ns

    def _bucket(self, index: int, last: Beat) -> _Bucket:
        """Return the bucket of an interval; those between the newest and it are created as well."""
        if not self._buckets:
            self._first = index
        index = max(index, self._first)
        while len(self._buckets) <= index - self._first:
            newest = self._buckets[-1] if self._buckets else None
            bucket = (
                _Bucket(newest.last, newest.in_flight) if newest else _Bucket(last, last.in_flight)
            )
            self._buckets.append(bucket)
        return self._buckets[index - self._first]


def _seconds(ns: int) -> float:
    """To the microsecond."""
    return round(ns / 1e9, 6)

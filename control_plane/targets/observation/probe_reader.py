"""The reader of what the probe in a target's workers writes: heartbeats and stacks."""

import os
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from heapq import nlargest
from pathlib import Path

from control_plane.domain.observations import Stall, WorkerSeries
from control_plane.targets.inside.looplab_probe.ring import (
    ANSWERED_CELL,
    BEAT_CELLS,
    BEATS_SUFFIX,
    BEGUN_CELL,
    COUNT_CELL,
    CUT_CELL,
    FILE_BYTES,
    OVER_CELL,
    PERIOD_NS,
    RING,
    STACKS_SUFFIX,
    VERSION,
    VERSION_CELL,
    Beat,
    cell_of,
)
from control_plane.targets.observation import procfs
from control_plane.targets.observation.stalls import MAX_STALLS, StackReader, StallRecorder
from control_plane.targets.target_files import OPEN_FLAGS


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


CELL_BYTES = 8
CLOCK_SLACK_NS = 1_000_000_000


class HeartbeatReader:
    """`over` once the worker has marked that no more beats will come.

    `requests` that have begun and that were answered, and `cut_bytes` of the stacks, as of the last
    call of `read`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._count = self._newest_ns = self.cut_bytes = 0
        self.over = False
        self.requests = (0, 0)

    def read(self, now_ns: int) -> list[Beat]:
        """Return the beats since the last call, oldest first; all but the newest 40 s are lost.

        Beats that go back in time, or lie ahead of `now_ns`, are left out. [] where the file
        cannot be read, or was not written by a probe.
        """
        try:
            cells, later = self._copy()
        except (OSError, ValueError):
            return []
        count, self.over = cells[COUNT_CELL], cells[OVER_CELL] != 0
        self.requests = cells[BEGUN_CELL], cells[ANSWERED_CELL]
        self.cut_bytes = cells[CUT_CELL]
        first = max(self._count, count - RING, later - RING + 1)
        self._count = max(self._count, count)
        beats = (Beat(*cells[at : at + BEAT_CELLS]) for at in map(cell_of, range(first, count)))
        return list(self._plausible(beats, now_ns))

    def _copy(self) -> tuple[Sequence[int], int]:
        """Return all cells, and the count after they were copied. Raises OSError or ValueError."""
        descriptor = os.open(self._path, OPEN_FLAGS)
        try:
            cells = array("q", os.pread(descriptor, FILE_BYTES, 0))
            later = array("q", os.pread(descriptor, CELL_BYTES, CELL_BYTES * COUNT_CELL))
        finally:
            os.close(descriptor)
        if len(cells) * CELL_BYTES != FILE_BYTES or cells[VERSION_CELL] != VERSION:
            raise ValueError(f"{self._path.name} is not written in version {VERSION}")
        return cells, later[0]

    def _plausible(self, beats: Iterator[Beat], now_ns: int) -> Iterator[Beat]:
        """Yield the beats that the probe may have written."""
        for beat in beats:
            if self._newest_ns <= beat.at_ns <= now_ns + CLOCK_SLACK_NS and beat.lag_ns >= 0:
                self._newest_ns = beat.at_ns
                yield beat


MAX_WORKERS = 256


@dataclass(frozen=True)
class ProbeOutput:
    """Where the workers of one target write. `directory` is that of its application."""

    folder: Path
    directory: Path


@dataclass
class _WorkerReader:
    """The reader of one process that serves the application; it was last alive at `seen_ns`."""

    pid: int
    heartbeats: HeartbeatReader
    buckets: TimeBuckets
    stalls: StallRecorder
    seen_ns: int = 0

    def read(self, now_ns: int) -> None:
        """Take new beats. For a worker that ended none is due since it was last alive."""
        if procfs.started_at(self.pid) is not None:
            self.seen_ns = now_ns
            self.stalls.samples.add_delay(now_ns, procfs.waited_for_cpu_ns(self.pid))
        beats = self.heartbeats.read(now_ns)
        self.stalls.stacks.cut_bytes = self.heartbeats.cut_bytes
        for beat in beats:
            self.buckets.add(beat)
            self.stalls.add(beat)
        if self.buckets.last and not self.heartbeats.over:
            self.buckets.add_overdue(self.seen_ns, *self.heartbeats.requests)
            self.stalls.add_overdue(self.seen_ns, self.buckets.last)

    def series(self, intervals: int) -> WorkerSeries:
        """Return what was seen in so many intervals from the start of the window."""
        stalls = self.stalls
        return replace(
            self.buckets.series(self.pid, intervals),
            stalls=stalls.count,
            stalled_s=stalls.total_s,
            samples=stalls.samples.samples(),
        )


class ProbeReader:
    """Reads from the start of a window on; call `read` at least each 40 s, or beats are lost."""

    def __init__(self, output: ProbeOutput, opened_ns: int, interval_ns: int) -> None:
        self._output, self._opened_ns, self._interval_ns = output, opened_ns, interval_ns
        self._workers: dict[int, _WorkerReader] = {}
        self.read(opened_ns)

    def read(self, now_ns: int) -> None:
        """Read what was written until now, by workers that were started since as well."""
        for pid in self._new_pids():
            self._workers[pid] = self._worker(pid)
        for worker in self._workers.values():
            worker.read(now_ns)

    def workers(self, intervals: int) -> tuple[WorkerSeries, ...]:
        """Return the workers that lived in the window, in so many intervals from its start."""
        return tuple(
            worker.series(intervals) for worker in self._workers.values() if worker.buckets.seen
        )

    def stalls(self) -> tuple[Stall, ...]:
        """Return the longest stalls of all workers, in the order of time."""
        stalls = (stall for worker in self._workers.values() for stall in worker.stalls.longest())
        longest = nlargest(MAX_STALLS, stalls, key=lambda stall: stall.duration_s)
        return tuple(sorted(longest, key=lambda stall: stall.at_s))

    def _new_pids(self) -> list[int]:
        names = [path.stem for path in self._output.folder.glob(f"*{BEATS_SUFFIX}")]
        pids = {int(name) for name in names if name.isascii() and name.isdigit()}
        return sorted(pids - self._workers.keys())[: MAX_WORKERS - len(self._workers)]

    def _worker(self, pid: int) -> _WorkerReader:
        folder = self._output.folder
        stacks = StackReader(folder / f"{pid}{STACKS_SUFFIX}", self._output.directory)
        return _WorkerReader(
            pid,
            HeartbeatReader(folder / f"{pid}{BEATS_SUFFIX}"),
            TimeBuckets(self._opened_ns, self._interval_ns),
            StallRecorder(pid, self._opened_ns, stacks),
        )

"""The reader of what the probe in a target's workers writes: heartbeats and stacks."""

import os
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from heapq import nlargest
from pathlib import Path

from control_plane.domain.result import Stall, WorkerSeries
from control_plane.targets import procfs
from control_plane.targets.inside.looplab_probe.ring import (
    ANSWERED_CELL,
    BEAT_CELLS,
    BEATS_SUFFIX,
    BEGUN_CELL,
    COUNT_CELL,
    FILE_BYTES,
    OVER_CELL,
    RING,
    STACKS_SUFFIX,
    VERSION,
    VERSION_CELL,
    Beat,
    cell_of,
)
from control_plane.targets.scratch_dirs import OPEN_FLAGS
from control_plane.targets.stalls import MAX_STALLS, StackReader, StallRecorder
from control_plane.targets.time_buckets import TimeBuckets

CELL_BYTES = 8
CLOCK_SLACK_NS = 1_000_000_000


class HeartbeatReader:
    """`over` once the worker has marked that no more beats will come.

    `requests` that have begun and that were answered, as of the last call of `read`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._count = self._newest_ns = 0
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
        for beat in self.heartbeats.read(now_ns):
            self.buckets.add(beat)
            self.stalls.add(beat)
        if self.buckets.last and not self.heartbeats.over:
            self.buckets.add_overdue(self.seen_ns, *self.heartbeats.requests)
            self.stalls.add_overdue(self.seen_ns, self.buckets.last)

    def series(self, intervals: int) -> WorkerSeries:
        """Return what was seen in so many intervals from the start of the window."""
        stalls = self.stalls
        return replace(
            self.buckets.series(self.pid, intervals), stalls=stalls.count, stalled_s=stalls.total_s
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

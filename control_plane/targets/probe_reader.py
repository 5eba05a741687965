"""The target as the probe in its workers sees it, read from outside beside the other samples."""

from dataclasses import dataclass, replace
from heapq import nlargest
from pathlib import Path

from control_plane.domain.result import Stall, WorkerSeries
from control_plane.targets import procfs
from control_plane.targets.heartbeat_reader import HeartbeatReader
from control_plane.targets.inside.looplab_probe.ring import BEATS_SUFFIX, STACKS_SUFFIX
from control_plane.targets.stalls import MAX_STALLS, StackReader, StallRecorder
from control_plane.targets.time_buckets import TimeBuckets

MOST_WORKERS = 256


@dataclass(frozen=True)
class ProbeOutput:
    """Where the workers of one target write. `directory` is that of its application."""

    folder: Path
    directory: Path


@dataclass
class _WorkerReader:
    """One process that serves the application; `seen_ns`: when it was last known to live."""

    pid: int
    beats: HeartbeatReader
    slots: TimeBuckets
    stalls: StallRecorder
    seen_ns: int = 0

    def look(self, now_ns: int) -> None:
        """A worker that ended owes no beat since it was last seen."""
        if procfs.started_at(self.pid) is not None:
            self.seen_ns = now_ns
        for beat in self.beats.new(now_ns):
            self.slots.take(beat)
            self.stalls.take(beat)
        if self.slots.last and not self.beats.over:
            self.slots.owed(self.seen_ns, *self.beats.requests)
            self.stalls.owed(self.seen_ns, self.slots.last)

    def series(self, slots: int) -> WorkerSeries:
        stalls = self.stalls
        return replace(
            self.slots.series(self.pid, slots), stalls=stalls.number, stalled_s=stalls.total_s
        )


class ProbeReader:
    """Reads from the opening of a window on; `look` at least each 40 s, or beats are lost."""

    def __init__(self, inside: ProbeOutput, opened_ns: int, interval_ns: int) -> None:
        self._inside, self._opened_ns, self._interval_ns = inside, opened_ns, interval_ns
        self._workers: dict[int, _WorkerReader] = {}
        self.look(opened_ns)

    def look(self, now_ns: int) -> None:
        """Take what was written until now, by workers that came since as well."""
        for pid in self._new_pids():
            self._workers[pid] = self._worker(pid)
        for worker in self._workers.values():
            worker.look(now_ns)

    def workers(self, slots: int) -> tuple[WorkerSeries, ...]:
        """Those that lived in the window; `slots` intervals from its start."""
        return tuple(one.series(slots) for one in self._workers.values() if one.slots.seen)

    def stalls(self) -> tuple[Stall, ...]:
        """The longest, in the order of time."""
        found = (stall for one in self._workers.values() for stall in one.stalls.longest())
        longest = nlargest(MAX_STALLS, found, key=lambda stall: stall.duration_s)
        return tuple(sorted(longest, key=lambda stall: stall.at_s))

    def _new_pids(self) -> list[int]:
        names = [path.stem for path in self._inside.folder.glob(f"*{BEATS_SUFFIX}")]
        found = {int(name) for name in names if name.isascii() and name.isdigit()}
        return sorted(found - self._workers.keys())[: MOST_WORKERS - len(self._workers)]

    def _worker(self, pid: int) -> _WorkerReader:
        folder = self._inside.folder
        stacks = StackReader(folder / f"{pid}{STACKS_SUFFIX}", self._inside.directory)
        return _WorkerReader(
            pid,
            HeartbeatReader(folder / f"{pid}{BEATS_SUFFIX}"),
            TimeBuckets(self._opened_ns, self._interval_ns),
            StallRecorder(pid, self._opened_ns, stacks),
        )

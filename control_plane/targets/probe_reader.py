"""The target as the probe in its workers sees it, read from outside beside the other samples."""

from dataclasses import dataclass
from pathlib import Path

from control_plane.domain.result import WorkerSeries
from control_plane.targets import tree
from control_plane.targets.beats import BeatFile
from control_plane.targets.inside.looplab_probe.layout import BEATS_SUFFIX
from control_plane.targets.slots import Slots


@dataclass(frozen=True)
class Inside:
    """Where the workers of one target write. `directory` is that of its application."""

    folder: Path
    directory: Path


@dataclass
class _Worker:
    """One process that serves the application; `seen_ns`: when it was last known to live."""

    pid: int
    beats: BeatFile
    slots: Slots
    seen_ns: int = 0

    def look(self, now_ns: int) -> None:
        """A worker that ended owes no beat since it was last seen."""
        lives = not self.beats.over and tree.started_at(self.pid) is not None
        if lives:
            self.seen_ns = now_ns
        for beat in self.beats.new():
            self.slots.take(beat)
        if not self.beats.over:
            self.slots.owed(self.seen_ns)


class ProbeReader:
    """Reads from the opening of a window on; `look` at least each 40 s, or beats are lost."""

    def __init__(self, inside: Inside, opened_ns: int, interval_ns: int) -> None:
        self._inside, self._opened_ns, self._interval_ns = inside, opened_ns, interval_ns
        self._workers: dict[int, _Worker] = {}
        self.look(opened_ns)

    def look(self, now_ns: int) -> None:
        """Take what was written until now, by workers that came since as well."""
        for path in self._new_files():
            self._welcome(path)
        for worker in self._workers.values():
            worker.look(now_ns)

    def workers(self, slots: int) -> tuple[WorkerSeries, ...]:
        """Those that lived in the window; `slots` intervals from its start."""
        return tuple(
            one.slots.series(one.pid, slots) for one in self._workers.values() if one.slots.seen
        )

    def _new_files(self) -> list[Path]:
        found = sorted(self._inside.folder.glob(f"*{BEATS_SUFFIX}"))
        return [path for path in found if int(path.stem) not in self._workers]

    def _welcome(self, path: Path) -> None:
        """One that is not complete yet is tried again at the next look."""
        try:
            beats = BeatFile(path)
        except (OSError, ValueError):
            return
        slots = Slots(self._opened_ns, self._interval_ns)
        self._workers[int(path.stem)] = _Worker(int(path.stem), beats, slots)

"""The reader of one worker's heartbeats, from the file that it writes as memory.

Read, not mapped: a target that cuts its file short must not end its reader by SIGBUS.
"""

import os
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path

from control_plane.targets.inside.looplab_probe.ring import (
    ANSWERED_CELL,
    BEAT_CELLS,
    BEGUN_CELL,
    COUNT_CELL,
    FILE_BYTES,
    OVER_CELL,
    RING,
    VERSION,
    VERSION_CELL,
    Beat,
    cell_of,
)

CELL_BYTES = 8
CLOCK_SLACK_NS = 1_000_000_000
OPEN_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
"""Whatever a target puts into its folder, to open it waits for nothing and follows no link."""


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

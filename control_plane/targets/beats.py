"""The heartbeats of one worker, read from the memory that it writes."""

import mmap
from pathlib import Path

from control_plane.targets.inside.looplab_probe.layout import (
    BEAT_CELLS,
    COUNT_CELL,
    FILE_BYTES,
    OVER_CELL,
    RING,
    VERSION,
    VERSION_CELL,
    Beat,
    cell_of,
)


class BeatFile:
    """Raises OSError or ValueError while the worker has not finished to make it."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._cells = memoryview(mmap.mmap(file.fileno(), FILE_BYTES, prot=mmap.PROT_READ))
        self._cells = self._cells.cast("q")
        if self._cells[VERSION_CELL] != VERSION:
            raise ValueError(f"{path.name} is not written in version {VERSION}")
        self._taken = 0

    @property
    def over(self) -> bool:
        """Whether the worker has said that no more beats will come."""
        return self._cells[OVER_CELL] != 0

    def new(self) -> list[Beat]:
        """What was written since the last call, oldest first; all but the newest 40 s are lost."""
        count = self._cells[COUNT_CELL]
        first = max(self._taken, count - RING + 1)
        copied = [self._beat(number) for number in range(first, count)]
        overwritten = self._cells[COUNT_CELL] - RING + 1 - first
        self._taken = count
        return copied[max(0, overwritten) :]

    def _beat(self, number: int) -> Beat:
        at = cell_of(number)
        return Beat(*self._cells[at : at + BEAT_CELLS])

"""Where the heartbeats of this process are written: a file that another process reads as memory."""

from __future__ import annotations

import mmap
import os
from array import array

from .layout import (
    BEAT_CELLS,
    COUNT_CELL,
    FILE_BYTES,
    HEADER_CELLS,
    OVER_CELL,
    VERSION,
    VERSION_CELL,
    Beat,
    cell_of,
)


class Ledger:
    """Raises OSError where the file cannot be made. `header` is written as it is assigned."""

    def __init__(self, path: str) -> None:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            # Space that a full disk refuses later would end the process by SIGBUS.
            os.posix_fallocate(descriptor, 0, FILE_BYTES)
            self._cells = memoryview(mmap.mmap(descriptor, FILE_BYTES)).cast("q")
        finally:
            os.close(descriptor)
        self.header = self._cells[:HEADER_CELLS]
        self._count = 0
        self._cells[VERSION_CELL] = VERSION

    def write(self, beat: Beat) -> None:
        at = cell_of(self._count)
        self._cells[at : at + BEAT_CELLS] = array("q", beat)
        self._count += 1
        self._cells[COUNT_CELL] = self._count

    def close(self, at_ns: int) -> None:
        """No beat is owed from now on."""
        self._cells[OVER_CELL] = at_ns

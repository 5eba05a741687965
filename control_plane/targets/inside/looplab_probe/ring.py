"""The shared memory of one worker: a header, then a ring of heartbeats.

Everything is a signed integer of 8 bytes, written and read in one piece. The writer fills a beat
before it counts it, so a reader that copies counted beats and then looks at the count again knows
which of them may have been overwritten meanwhile. Requests are counted in the header as they come,
because a loop that stands still may answer many before its next beat.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
from typing import NamedTuple

FOLDER_VARIABLE = "LOOPLAB_INSIDE"
"""The environment variable that names the folder to write to; without it the probe is off."""
THREADS_VARIABLE = "LOOPLAB_THREADS"
"""The environment variable with the size of AnyIO's thread pool; without it that is left alone."""
BEATS_SUFFIX = ".beats"
STACKS_SUFFIX = ".stacks"
"""Both follow the pid of the worker."""

PERIOD_NS = 20_000_000
VERSION = 3
RING = 2048
"""Beats that are kept: 40 s, longer than a reader may be held up."""

VERSION_CELL, COUNT_CELL, OVER_CELL, BEGUN_CELL, ANSWERED_CELL, CUT_CELL = range(6)
HEADER_CELLS = 8


class Beat(NamedTuple):
    """The state of a worker when its event loop came round to the heartbeat.

    `at_ns` is on the monotonic clock, `lag_ns` how much later than wanted. `in_flight`: requests
    not answered; `completed`: answered since the start; `gc_ns`: spent in garbage collection since
    the start. Tokens are those of AnyIO's thread pool, -1 where it is not used. `stack_bytes`: how
    much was written to the file of stacks before, of which the header tells how much was cut off
    since. `cpu_ns`: processor time of the loop's thread.
    """

    at_ns: int
    lag_ns: int
    in_flight: int
    completed: int
    gc_ns: int
    tokens_total: int
    tokens_busy: int
    tokens_waiting: int
    stack_bytes: int
    cpu_ns: int = 0


BEAT_CELLS = len(Beat._fields)
FILE_BYTES = 8 * (HEADER_CELLS + RING * BEAT_CELLS)


def cell_of(number: int) -> int:
    """Return the cell in which the beat with this number, counted from 0, begins."""
    return HEADER_CELLS + BEAT_CELLS * (number % RING)


def new_file(path: str, access: int) -> int:
    """Return the descriptor of a new file in the place of one of an earlier process or start.

    That may still be mapped: whoever writes into one that was cut off ends by SIGBUS.
    """
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    return os.open(path, access | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)


class RingWriter:
    """The writer of a ring. `header` is written as it is assigned.

    No descriptor is kept: `mmap` has one, closes it late, and by then its number may be that of a
    file of the application. Raises OSError where the file cannot be made.
    """

    def __init__(self, path: str) -> None:
        # Not looked up in a child of a process with threads, where the loader may be locked.
        self._mmap = ctypes.CDLL(None, use_errno=True).mmap
        self._mmap.restype = ctypes.c_void_p
        descriptor = new_file(path, os.O_RDWR)
        try:
            # Space that a full disk refuses later would end the process by SIGBUS.
            os.posix_fallocate(descriptor, 0, FILE_BYTES)
            self._address = self._map(None, mmap.MAP_SHARED, descriptor)
        finally:
            os.close(descriptor)
        cells = FILE_BYTES // ctypes.sizeof(ctypes.c_int64)
        self._cells = (ctypes.c_int64 * cells).from_address(self._address)
        self.header = (ctypes.c_int64 * HEADER_CELLS).from_address(self._address)
        self._count = 0
        self._cells[VERSION_CELL] = VERSION

    def leave(self) -> None:
        """Write into memory of this process alone from now on, in a child of the one that began."""
        self._map(self._address, _PRIVATE_AND_HERE, -1)

    def write(self, beat: Beat) -> None:
        """Write the beat, then count it."""
        at = cell_of(self._count)
        self._cells[at : at + BEAT_CELLS] = list(beat)
        self._count += 1
        self._cells[COUNT_CELL] = self._count

    def close(self, at_ns: int) -> None:
        """Mark that no beat is due from now on."""
        self._cells[OVER_CELL] = at_ns

    def _map(self, address: int | None, flags: int, descriptor: int) -> int:
        """Return where `FILE_BYTES` lie in memory. Raises OSError."""
        found = self._mmap(
            ctypes.c_void_p(address),
            ctypes.c_size_t(FILE_BYTES),
            ctypes.c_int(mmap.PROT_READ | mmap.PROT_WRITE),
            ctypes.c_int(flags),
            ctypes.c_int(descriptor),
            ctypes.c_long(0),
        )
        if found == _FAILED:
            raise OSError(ctypes.get_errno(), "no memory for the heartbeat")
        return int(found)


_FAILED = ctypes.c_void_p(-1).value
_MAP_FIXED = 0x10
_PRIVATE_AND_HERE = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_FIXED

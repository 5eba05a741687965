"""A disk of which some writes fail: all that SQLite writes in this process goes through it.

SQLite looks up each system call in a table, where another can be put in its place
(https://www.sqlite.org/c3ref/vfs.html, xSetSystemCall); that needs no rights, mount or compiler.
"""

import _sqlite3
import ctypes
import errno
import sys
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from ctypes import c_char_p, c_int, c_int64, c_size_t, c_ssize_t, c_void_p
from pathlib import Path
from typing import Any

ALL = range(1, sys.maxsize)

_WRITE = ctypes.CFUNCTYPE(c_ssize_t, c_int, c_void_p, c_size_t, use_errno=True)
_WRITE_AT = ctypes.CFUNCTYPE(c_ssize_t, c_int, c_void_p, c_size_t, c_int64, use_errno=True)
_CALLS: dict[bytes, Any] = {b"write": _WRITE, b"pwrite": _WRITE_AT, b"pwrite64": _WRITE_AT}


class _Vfs(ctypes.Structure):
    """The `sqlite3_vfs` of version 3."""

    _fields_ = (
        ("version", c_int),
        ("file_bytes", c_int),
        ("longest_path", c_int),
        ("next", c_void_p),
        ("name", c_char_p),
        ("data", c_void_p),
        ("methods", c_void_p * 13),
        ("set_call", ctypes.CFUNCTYPE(c_int, c_void_p, c_char_p, c_void_p)),
        ("get_call", ctypes.CFUNCTYPE(c_void_p, c_void_p, c_char_p)),
    )


class FaultyDisk:
    """Counts writes, and refuses some of them with `error`."""

    def __init__(self, flag: Path | None = None) -> None:
        self.writes = self.refused = 0
        self.error = errno.ENOSPC
        self._flag = flag
        self._failing: Container[int] = ALL[:0]

    def fail(self, writes: Container[int] = ALL, error: int = errno.ENOSPC) -> None:
        """Let these writes fail; the next one is the first."""
        self.writes = self.refused = 0
        self.error, self._failing = error, writes

    def mend(self) -> None:
        """Let no write fail any more."""
        self._failing = ALL[:0]

    def refuses(self) -> bool:
        """Count a write, and return whether it fails."""
        self.writes += 1
        full = self._flag is not None and self._flag.exists()
        refused = full or self.writes in self._failing
        self.refused += refused
        return refused


@contextmanager
def faulty_disk(flag: Path | None = None) -> Iterator[FaultyDisk]:
    """Put one under SQLite, which is full while there is a file `flag`."""
    library = ctypes.CDLL(getattr(_sqlite3, "__file__", None))
    library.sqlite3_vfs_find.restype = ctypes.POINTER(_Vfs)
    vfs = library.sqlite3_vfs_find(None)
    disk = FaultyDisk(flag)
    calls = {
        name: kind(_failing(disk, kind(original)))
        for name, kind in _CALLS.items()
        if (original := vfs.contents.get_call(vfs, name))
    }
    assert calls, "this SQLite has no table of system calls"
    for name, call in calls.items():
        vfs.contents.set_call(vfs, name, ctypes.cast(call, c_void_p))
    try:
        yield disk
    finally:
        for name in calls:
            vfs.contents.set_call(vfs, name, None)


def _failing(disk: FaultyDisk, call: Callable[..., int]) -> Callable[..., int]:
    def write(*arguments: Any) -> int:
        if disk.refuses():
            ctypes.set_errno(disk.error)
            return -1
        return call(*arguments)

    return write

"""Files that people name: only regular ones are read, because others may keep their reader waiting.

A FIFO waits for who writes into it, and a device may never end.
"""

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC


def read_file(path: Path, most: int) -> bytes:
    """Return the content of a regular file. Raises OSError, also for another or a longer one.

    One that this process has open already, as its database, is refused: closing it another time
    would give up the locks of SQLite.
    """
    _refuse_held(path)
    descriptor = os.open(path, _FLAGS)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", str(path))
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            content = file.read(most + 1)
    finally:
        os.close(descriptor)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"it is above the limit of {most:,} bytes", str(path))
    return content


def _refuse_held(path: Path) -> None:
    named = path.stat()
    for held in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            if os.path.samestat(held.stat(), named):
                raise OSError(errno.EBUSY, "this process has it open", str(path))

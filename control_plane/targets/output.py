"""What a server prints, kept in memory that the guard bounds; nobody has to read it."""

import fcntl
import os
from types import TracebackType
from typing import Self

READ_BYTES = 128_000
_LONGEST_LINE = 500


class Output:
    """A file in memory that only grows at its end; `descriptor` is for the server to write to.

    No pipe stands between server and control plane, so a server never waits for a slow reader.
    """

    def __init__(self, lines: int) -> None:
        """Keep at most `lines` lines once closed."""
        self.descriptor = os.memfd_create("looplab-output", os.MFD_CLOEXEC)
        fcntl.fcntl(self.descriptor, fcntl.F_SETFL, os.O_APPEND)
        self._most = lines
        self._closed: tuple[str, ...] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def last(self, lines: int) -> tuple[str, ...]:
        """The newest lines, oldest first; a line longer than 500 characters is cut."""
        kept = self._read() if self._closed is None else self._closed
        return kept[-min(lines, self._most) :] if lines > 0 else ()

    def close(self) -> None:
        if self._closed is None:
            self._closed = self._read()[-self._most :]
            os.close(self.descriptor)

    def _read(self) -> tuple[str, ...]:
        size = os.fstat(self.descriptor).st_size
        start = max(0, size - READ_BYTES)
        text = os.pread(self.descriptor, READ_BYTES, start).decode(errors="replace")
        lines = text.lstrip("\0").splitlines()
        return tuple(line[:_LONGEST_LINE] for line in (lines[1:] if start else lines))

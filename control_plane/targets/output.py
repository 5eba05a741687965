"""What a server prints, kept in memory that the guard bounds; nobody has to read it."""

import fcntl
import os
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Self

READ_BYTES = 128_000
_LONGEST_LINE = 500


class Output:
    """A file in memory that only grows at its end; `descriptor` is for the server to write to.

    No pipe stands between server and control plane, so a server never waits for a slow reader.
    `lines` may be used from any thread.
    """

    def __init__(self, lines: int, secrets: Mapping[str, str] | None = None) -> None:
        """At most `lines` lines, above 0, are ever shown; values of `secrets` by name alone."""
        self._secrets = dict(secrets or {})
        self.descriptor = os.memfd_create("looplab-output", os.MFD_CLOEXEC)
        fcntl.fcntl(self.descriptor, fcntl.F_SETFL, os.O_APPEND)
        self._most = lines
        self._closed: tuple[str, ...] | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def lines(self) -> tuple[str, ...]:
        """The newest lines, oldest first; one longer than 500 characters is cut."""
        with self._lock:
            return self._read() if self._closed is None else self._closed

    def close(self) -> None:
        with self._lock:
            if self._closed is None:
                self._closed = self._read()
                os.close(self.descriptor)

    def _read(self) -> tuple[str, ...]:
        size = os.fstat(self.descriptor).st_size
        start = max(0, size - READ_BYTES)
        text = os.pread(self.descriptor, READ_BYTES, start).decode(errors="replace")
        for name, value in self._secrets.items():
            text = text.replace(value, f"[{name}]")
        lines = text.lstrip("\0").splitlines()
        whole = lines[1:] if start else lines
        return tuple(line[:_LONGEST_LINE] for line in whole[-self._most :])

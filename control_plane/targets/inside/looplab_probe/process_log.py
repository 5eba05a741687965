"""The log of the target's Python processes: a line when one begins, one when it ends in order.

A worker may live for less time than passes between two looks from outside, and how it ended cannot
be seen from there. A process that is killed leaves no line of its end.
"""

from __future__ import annotations

import atexit
import binascii
import os
from typing import Any, Callable

from . import never_raise
from .ring import FOLDER_VARIABLE

LOG_NAME = "processes"
PROCESS_LOG_BYTES = 8_000_000
"""More is not written: it is the memory of the machine that is measured."""

BORN, ENDED = "born", "ended"
FORKED = 0
"""The shape of a process that runs on as a copy of its parent."""

_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
_DIGITS = b"0123456789"


def command_shape(command_line: bytes) -> int:
    """Return a number that is the same for command lines that differ in their numbers only."""
    return binascii.crc32(command_line.translate(None, _DIGITS)) or 1


class ProcessLog:
    """Appends `born PID START PARENT SHAPE` and `ended PID START LIMIT` to a file of the folder.

    START is in clock ticks since boot (proc_pid_stat(5)), LIMIT 1 where the process reached the
    number of requests after which its server ends it.
    """

    def __init__(self) -> None:
        self._folder = os.environ.get(FOLDER_VARIABLE, "")
        self._limited: dict[Callable[[Any], bool], Any] = {}

    @never_raise
    def install(self) -> None:
        """Log this process, those that it forks, and their ends; nothing without a folder."""
        if not self._folder:
            return
        with open("/proc/self/cmdline", "rb") as command_line:
            self._log_birth(command_shape(command_line.read()))
        os.register_at_fork(after_in_child=self._log_fork)
        atexit.register(self._log_end)

    @never_raise
    def add_limit(self, owner: Any, reached: Callable[[Any], bool]) -> None:
        """Ask `reached` of the newest owner of a limit of requests when the process ends.

        The owner is kept until then: a server may drop it before.
        """
        self._limited[reached] = owner

    @never_raise
    def _log_fork(self) -> None:
        self._log_birth(FORKED)

    @never_raise
    def _log_end(self) -> None:
        self._write(f"{ENDED} {os.getpid()} {_own_start()} {int(self._limit_reached())}\n")

    def _log_birth(self, shape: int) -> None:
        self._write(f"{BORN} {os.getpid()} {_own_start()} {os.getppid()} {shape}\n")

    def _limit_reached(self) -> bool:
        return any(never_raise(reached)(owner) for reached, owner in self._limited.items())

    def _write(self, line: str) -> None:
        descriptor = os.open(os.path.join(self._folder, LOG_NAME), _FLAGS, 0o600)
        try:
            if os.fstat(descriptor).st_size < PROCESS_LOG_BYTES:
                os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)


def _own_start() -> str:
    with open("/proc/self/stat", "rb") as stat:
        return stat.read().rpartition(b")")[2].split()[19].decode()


PROCESS_LOG = ProcessLog()

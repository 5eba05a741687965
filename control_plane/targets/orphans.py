"""Processes found by a mark in their environment, and ended without ever hitting a stranger."""

import os
import select
import signal
import time
from pathlib import Path

from control_plane.targets import procfs
from control_plane.targets.environment import INSTANCE, remove_scratch_dirs

PATIENCE_S = 2.0
BETWEEN_S = 0.25
"""How long a process is waited for that executes a program just now. That takes it a fraction of a
millisecond, and as much longer as others have its processor."""
LOOKS = 3
"""A process that has arguments and, so many times, no environment has been given none."""


def end_orphans(instance: str, state_dir: Path | None = None) -> int:
    """End what an earlier control plane of this database left running. Returns how many.

    Then its targets' files go, too, in `state_dir` and in memory.
    """
    ended = end_marked(INSTANCE, instance)
    if state_dir is not None:
        remove_scratch_dirs(state_dir, instance)
    return ended


def end_marked(name: str, value: str) -> int:
    """SIGKILL every process whose environment has `name=value`, and wait until all are gone.

    What they made meanwhile is found in the next round. Returns how many were ended.
    """
    mark = f"{name}={value}".encode()
    ended, deadline = 0, time.monotonic() + PATIENCE_S
    while (found := _marked(mark)) and time.monotonic() < deadline:
        ended += sum(end_process(pid, started) for pid, started in found)
    return ended


def end_process(pid: int, started: int) -> bool:
    """SIGKILL the process that began at `started`, and wait for its end.

    False when the pid belongs to another process by now. The pidfd is opened before the start is
    compared, so that the signal cannot reach anyone else however fast the pid is used again.
    """
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        if procfs.started_at(pid) != started:
            return False
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        _wait(pidfd)
    except ProcessLookupError:
        return False
    finally:
        os.close(pidfd)
    return True


def _marked(mark: bytes) -> list[tuple[int, int]]:
    """Pid and start of all marked processes but this one."""
    found = []
    for pid in procfs.pids():
        started = procfs.started_at(pid)
        if started is not None and pid != os.getpid() and _carries(pid, mark):
            found.append((pid, started))
    return found


def _carries(pid: int, mark: bytes) -> bool:
    return mark in _environment(pid).split(b"\0")


def _environment(pid: int) -> bytes:
    """Variables with NUL between; empty when it is gone, or a stranger's that we may not read.

    A process that executes a program has neither arguments nor environment for a moment.
    """
    looks, deadline = LOOKS, time.monotonic() + BETWEEN_S
    try:
        while not (told := _of(pid, "environ")) and looks and procfs.is_program(pid):
            looks -= bool(_of(pid, "cmdline")) or time.monotonic() > deadline
            time.sleep(0.0005)
    except OSError:
        return b""
    return told


def _of(pid: int, name: str) -> bytes:
    return Path(f"/proc/{pid}/{name}").read_bytes()


def _wait(pidfd: int) -> None:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    poll.poll(PATIENCE_S * 1000)

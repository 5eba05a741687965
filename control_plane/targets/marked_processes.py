"""Processes of targets, found by a mark in their environment and ended without hitting another.

What dies with the dashboard is ended by its guard; here is what is ended at the next start, or
after a guard that was killed.
"""

import os
import select
import signal
import time
from pathlib import Path

from control_plane.targets.environment_variables import INSTANCE
from control_plane.targets.observation import procfs
from control_plane.targets.target_files import remove_scratch_dirs

END_TIMEOUT_S = 2.0
EXEC_TIMEOUT_S = 0.25
"""How long a process is waited for that executes a program just now. That takes it a fraction of a
millisecond, and as much longer as others have its processor."""
MAX_READS = 8
"""A process that has arguments but, so many times, no environment was started without one."""


def end_left_running(instance: str, state_dir: Path | None = None) -> int:
    """End what an earlier control plane of this database left running; return how many.

    Then remove its targets' files, too, in `state_dir` and in memory.
    """
    ended = end_marked(INSTANCE, instance)
    if state_dir is not None:
        remove_scratch_dirs(state_dir, instance)
    return ended


def end_marked(name: str, value: str) -> int:
    """SIGKILL every process whose environment has `name=value`, and wait until all are gone.

    What they started meanwhile is found in the next round. Return how many were ended.
    """
    mark = f"{name}={value}".encode()
    ended, deadline = 0, time.monotonic() + END_TIMEOUT_S
    while (processes := _marked(mark)) and time.monotonic() < deadline:
        ended += sum(end_process(pid, started) for pid, started in processes)
    return ended


def marked_processes(instance: str) -> list[int]:
    """Return the processes that carry the mark of an instance."""
    return [pid for pid, _ in _marked(f"{INSTANCE}={instance}".encode())]


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
    """Return pid and start of all marked processes but this one."""
    found = []
    for pid in procfs.pids():
        started = procfs.started_at(pid)
        if started is not None and pid != os.getpid() and _carries(pid, mark):
            found.append((pid, started))
    return found


def _carries(pid: int, mark: bytes) -> bool:
    return mark in _environment(pid).split(b"\0")


def _environment(pid: int) -> bytes:
    """Return the variables, NUL between them; empty when it is gone, or we may not read it.

    A process that executes a program has neither arguments nor environment for a moment.
    """
    reads, deadline = MAX_READS, time.monotonic() + EXEC_TIMEOUT_S
    try:
        while not (variables := _read(pid, "environ")) and reads and procfs.is_program(pid):
            reads -= bool(_read(pid, "cmdline")) or time.monotonic() > deadline
            time.sleep(0.0005)
    except OSError:
        return b""
    return variables


def _read(pid: int, name: str) -> bytes:
    return Path(f"/proc/{pid}/{name}").read_bytes()


def _wait(pidfd: int) -> None:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    poll.poll(END_TIMEOUT_S * 1000)

"""CPU time and memory of one process, and of the whole machine, at an instant."""

import os
import time

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_BUSY = slice(1, 4)
"""User, nice and system of /proc/stat. Interrupts are left out: they serve our own traffic."""


def cpu_s(pid: int) -> float | None:
    """All threads since the start of the process; None when it is gone.

    One system call with the precision of the scheduler (clock_getcpuclockid(3)); /proc has 10 ms.
    """
    try:
        return time.clock_gettime(~pid << 3 | 2)
    except OSError:
        return None


def memory_bytes(pid: int) -> int:
    """Resident memory, pages that it shares with others included."""
    try:
        with open(f"/proc/{pid}/statm", encoding="ascii") as statm:
            return int(statm.read().split()[1]) * PAGE_BYTES
    except OSError:
        return 0


def machine_cpu_s() -> float | None:
    """CPU time of all processes since the machine started; None on a system without /proc."""
    try:
        with open("/proc/stat", encoding="ascii") as stat:
            return sum(map(int, stat.readline().split()[_BUSY])) / TICKS_PER_S
    except FileNotFoundError:
        return None

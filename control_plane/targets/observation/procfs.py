"""Processes as /proc shows them: children, start, name, CPU time and memory."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")
_KERNEL_THREAD = 0x200000
"""PF_KTHREAD of the kernel's linux/sched.h."""


def pids() -> list[int]:
    """Return all processes that can be seen; [] on a system without /proc."""
    try:
        return [int(name) for name in os.listdir(PROC) if name.isdigit()]
    except FileNotFoundError:
        return []


def started_at(pid: int) -> int | None:
    """Return the clock ticks from boot to the process's start; None when it is gone or a zombie.

    Pid and start together name a process for as long as the machine runs.
    """
    fields = _stat(pid)
    return int(fields[19]) if fields and fields[0] not in {"Z", "X"} else None


def command_name(pid: int) -> str:
    """Return the name of the program; `a process` when it is gone."""
    try:
        return (PROC / str(pid) / "comm").read_text(errors="replace").strip()
    except OSError:
        return "a process"


def command_line(pid: int) -> bytes:
    """Return its arguments, a NUL byte after each; empty when it is gone."""
    try:
        return (PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return b""


def variables(pid: int) -> dict[str, str]:
    """Return the environment that it was started with; {} where it may not be read."""
    try:
        text = (PROC / str(pid) / "environ").read_bytes().decode(errors="replace")
    except OSError:
        return {}
    pairs = (entry.partition("=") for entry in text.split("\0"))
    return {name: value for name, sign, value in pairs if sign}


def parent(pid: int) -> int:
    """Return the process that it hangs on; 0 when it is gone."""
    fields = _stat(pid)
    return int(fields[1]) if fields else 0


def is_program(pid: int) -> bool:
    """Return whether the process lives and is not one of the kernel."""
    fields = _stat(pid)
    return bool(fields) and fields[0] not in {"Z", "X"} and not int(fields[6]) & _KERNEL_THREAD


def descendants(pid: int) -> list[int]:
    """Return children, their children and so on, parents first, without zombies."""
    living: list[int] = []
    waiting = [pid]
    while waiting:
        below = [child for parent in waiting for child in children(parent)]
        living += [child for child in below if started_at(child) is not None]
        waiting = below
    return living


def children(pid: int) -> list[int]:
    """Return the children of all threads of the process, each of which is a parent."""
    return [int(child) for listed in _listed_children(pid) for child in listed.split()]


def _listed_children(pid: int) -> Iterator[str]:
    tasks = PROC / str(pid) / "task"
    try:
        threads = os.listdir(tasks)
    except OSError:
        return
    for thread in threads:
        try:
            yield (tasks / thread / "children").read_text()
        except OSError:
            continue


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the third on (proc_pid_stat(5))."""
    try:
        with Path(f"/proc/{pid}/stat").open(encoding="utf-8", errors="replace") as stat:
            return stat.read().rpartition(")")[2].split()
    except OSError:
        return []


PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_STOLEN = 8
_BUSY = slice(1, 4)
"""User, nice and system of /proc/stat. Interrupts are left out: they serve our own traffic."""


def cpu_s(pid: int) -> float | None:
    """Return the CPU time of all its threads since its start; None when it is gone.

    One system call with the precision of the scheduler (clock_getcpuclockid(3)); /proc has 10 ms.
    """
    try:
        return time.clock_gettime(~pid << 3 | 2)
    except OSError:
        return None


def reaped_cpu_s(pid: int) -> float:
    """Return the CPU time of its children that ended and were waited for, and of theirs."""
    fields = _stat(pid)
    return sum(map(int, fields[13:15])) / TICKS_PER_S if fields else 0.0


class Process(NamedTuple):
    """One process, named by pid and start, in clock ticks, for as long as the machine runs."""

    pid: int
    start: int


class CpuUse(NamedTuple):
    """What a process has used since its start, with the children that it has waited for."""

    process: Process
    parent: int
    cpu_s: float


def all_cpu_use() -> Iterator[CpuUse]:
    """Yield the use of every process that can be seen."""
    for pid in pids():
        if fields := _stat(pid):
            ticks = sum(map(int, fields[11:15]))
            yield CpuUse(Process(pid, int(fields[19])), int(fields[1]), ticks / TICKS_PER_S)


def memory_bytes(pid: int) -> int:
    """Return its resident memory, with pages that it shares; 0 when it is gone."""
    try:
        with Path(f"/proc/{pid}/statm").open(encoding="ascii") as statm:
            return int(statm.read().split()[1]) * PAGE_BYTES
    except OSError:
        return 0


def machine_cpu_s() -> float | None:
    """Return the CPU time of all processes since boot; None on a system without /proc."""
    fields = _machine_stat()
    return sum(map(int, fields[_BUSY])) / TICKS_PER_S if fields else None


def stolen_cpu_s() -> float | None:
    """Return the time since boot in which a core was wanted but the host gave it to others."""
    fields = _machine_stat()
    return int(fields[_STOLEN]) / TICKS_PER_S if len(fields) > _STOLEN else None


def _machine_stat() -> list[str]:
    """Return the first line of /proc/stat (proc_stat(5)); [] on a system without it."""
    try:
        with Path("/proc/stat").open(encoding="ascii") as stat:
            return stat.readline().split()
    except FileNotFoundError:
        return []

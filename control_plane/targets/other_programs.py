"""The programs that were at work beside a run, by name, with the processor time that they used."""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from heapq import nlargest
from pathlib import PurePosixPath

from control_plane.targets import procfs

COMM_CHARACTERS = 15
"""The kernel keeps no more of a name (proc_pid_comm(5))."""
KERNEL = "kernel threads"
LEAST_CORES = 0.01
MOST = 5

_INTERPRETERS = {
    "python", "pypy", "node", "ruby", "perl", "php", "java", "bash", "sh", "dash",
}  # fmt: skip
"""Programs that say nothing of what they run, by their names without a version."""


def program_name(pid: int) -> str:
    """Return what a person would call the program: `postgres`, or `helper.py` of Python."""
    words = procfs.command_line(pid).decode(errors="replace").strip("\0").split("\0")
    if not words[0]:
        return procfs.command_name(pid) if procfs.is_program(pid) else KERNEL
    program = PurePosixPath(words[0]).name
    if "/fd/" in words[0] or program.startswith("memfd:"):
        return procfs.command_name(pid)
    if program.rstrip("0123456789.") in _INTERPRETERS:
        return _script_in(words[1:]) or program
    # A process may write anything over its command line, as databases do.
    return procfs.command_name(pid)


def _script_in(words: Sequence[str]) -> str | None:
    """Return what an interpreter was told to run; None for code without a name."""
    for before, word in zip(["", *words], words, strict=False):
        if word == "-c":
            return None
        if before in {"-m", "-jar"} or not word.startswith("-"):
            return None if "/fd/" in word else PurePosixPath(word).name
    return None


def pids_of(names: Collection[str]) -> list[int]:
    """Return the processes of these programs, by the names under which they are shown."""
    wanted = {part for name in names for part in (name, name[:COMM_CHARACTERS])}
    return [pid for pid in (procfs.pids() if wanted else []) if program_name(pid) in wanted]


class OtherPrograms:
    """Takes down at its start what all processes but `ours` have used so far."""

    def __init__(self, ours: Callable[[], Collection[int]]) -> None:
        self._ours = ours
        self._before = snapshot()

    def cores(self, length_s: float) -> dict[str, float]:
        """Return the cores that the busiest other programs used since, by name."""
        ours = set(self._ours())
        by_name: defaultdict[str, float] = defaultdict(float)
        for pid, used_s in spent_between(self._before, snapshot()).items():
            if used_s > 0 and pid not in ours:
                by_name[program_name(pid)] += used_s
        busiest = nlargest(MOST, by_name.items(), key=lambda item: item[1])
        shares = {name: round(used_s / length_s, 3) for name, used_s in busiest}
        return {name: share for name, share in shares.items() if share >= LEAST_CORES}


Snapshot = Mapping[procfs.Process, procfs.CpuUse]


def snapshot() -> Snapshot:
    """Return what each process that can be seen has used since its start."""
    return {use.process: use for use in procfs.all_cpu_use()}


def spent_between(before: Snapshot, after: Snapshot) -> dict[int, float]:
    """Return the CPU seconds of `after`'s processes by pid, with those of ended descendants.

    The system adds the whole life of a descendant that ended to the next ancestor that waited for
    it and goes on; what it had used `before` is taken off there.
    """
    spent_s = {
        process.pid: use.cpu_s - (before[process].cpu_s if process in before else 0.0)
        for process, use in after.items()
    }
    parents = {process.pid: use.parent for process, use in before.items()}
    for process, use in before.items():
        if process not in after:
            heir = use.parent
            while heir in parents and heir not in spent_s:
                heir = parents[heir]
            if heir in spent_s:
                spent_s[heir] -= use.cpu_s
    return spent_s

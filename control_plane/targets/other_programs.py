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
    if program.rstrip("0123456789.") in _INTERPRETERS:
        return _script_in(words[1:]) or program
    # A process may write anything over its command line, as databases do.
    return procfs.command_name(pid)


def _script_in(words: Sequence[str]) -> str | None:
    """Return what an interpreter was told to run; None for code in its command line."""
    for before, word in zip(["", *words], words, strict=False):
        if word == "-c":
            return None
        if before in {"-m", "-jar"} or not word.startswith("-"):
            return PurePosixPath(word).name
    return None


def pids_of(names: Collection[str]) -> list[int]:
    """Return the processes of these programs, by the names under which they are shown."""
    wanted = {part for name in names for part in (name, name[:COMM_CHARACTERS])}
    return [pid for pid in (procfs.pids() if wanted else []) if program_name(pid) in wanted]


class OtherPrograms:
    """Takes down at its start what all processes but `ours` have used so far."""

    def __init__(self, ours: Callable[[], Collection[int]]) -> None:
        self._ours = ours
        self._before = {use.process: use for use in procfs.all_cpu_use()}

    def cores(self, length_s: float) -> dict[str, float]:
        """Return the cores that the busiest other programs used since, by name."""
        spent_s = self._spent_s({use.process: use for use in procfs.all_cpu_use()})
        by_name: defaultdict[str, float] = defaultdict(float)
        for pid, used_s in spent_s.items():
            if used_s > 0:
                by_name[program_name(pid)] += used_s
        busiest = nlargest(MOST, by_name.items(), key=lambda item: item[1])
        shares = {name: round(used_s / length_s, 3) for name, used_s in busiest}
        return {name: share for name, share in shares.items() if share >= LEAST_CORES}

    def _spent_s(self, after: Mapping[procfs.Process, procfs.CpuUse]) -> dict[int, float]:
        """Return the CPU time by pid, with that of children which ended and were waited for.

        What such a child had used before is not of this time.
        """
        ours = set(self._ours())
        spent_s: dict[int, float] = {}
        for process, use in after.items():
            earlier = self._before.get(process)
            spent_s[process.pid] = use.cpu_s - (earlier.cpu_s if earlier else 0.0)
        for process, use in self._before.items():
            if process not in after and use.parent in spent_s:
                spent_s[use.parent] -= use.cpu_s
        return {pid: used_s for pid, used_s in spent_s.items() if pid not in ours}

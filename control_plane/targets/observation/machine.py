"""The machine: its cores and the quota of processor time, and what it does beside a measurement."""

import os
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from heapq import nlargest
from pathlib import Path, PurePosixPath
from statistics import mean

from control_plane.domain.result import MachineUse, Throttling
from control_plane.targets.observation import procfs
from control_plane.targets.observation.procfs import stolen_cpu_s


def available_cores() -> tuple[int, ...]:
    """Return the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


_MOUNTS = Path("/proc/self/mountinfo")
_US, _NS = 1e6, 1e9


@dataclass(frozen=True)
class CgroupMount:
    """Where a hierarchy of groups can be read. `root`: the group that is seen at `point`.

    `unified`: version 2.
    """

    point: Path
    root: PurePosixPath
    unified: bool


@dataclass(frozen=True)
class _Counters:
    periods: int
    throttled: int
    throttled_s: float


class QuotaWatch:
    """Watches groups of processes, of which some have a quota then, before or after.

    A control group may use so much time in each period (CFS bandwidth control); once it is spent,
    all its processes stand still until the next period. Version 1 has `cpu.cfs_quota_us`, version 2
    `cpu.max`; both count in `cpu.stat` (cgroups(7), the kernel's sched-bwc.rst and cgroup-v2.rst).
    """

    def __init__(self, folders: Collection[Path]) -> None:
        self._opened = {
            folder: (counters, quota_cores(folder))
            for folder in folders
            if (counters := _counters(folder)) is not None
        }

    def throttling(self) -> Throttling | None:
        """Return how the group that was held back most was since then; None without a quota."""
        found = [
            _throttled_since(before, after, quota)
            for folder, (before, quota_before) in self._opened.items()
            if (after := _counters(folder)) and (quota := quota_cores(folder) or quota_before)
        ]
        return max(found, key=lambda group: (group.throttled_s, -group.quota_cores), default=None)


def _throttled_since(before: _Counters, after: _Counters, quota: float) -> Throttling:
    return Throttling(
        quota,
        after.periods - before.periods,
        after.throttled - before.throttled,
        round(after.throttled_s - before.throttled_s, 6),
    )


def lowest_quota_cores(pids: Collection[int]) -> float | None:
    """Return the lowest quota that holds for one of the processes; None without one."""
    return min(filter(None, map(quota_cores, folders_of(pids))), default=None)


def folders_of(pids: Collection[int]) -> set[Path]:
    """Return the groups of these processes and all above them, as far as they are seen."""
    mounts = read_mounts(_text(_MOUNTS))
    return {
        folder
        for pid in pids
        for folder in group_folders(_text(Path(f"/proc/{pid}/cgroup")), mounts)
    }


def read_mounts(mountinfo: str) -> tuple[CgroupMount, ...]:
    """Return the hierarchies that govern the processor (proc_pid_mountinfo(5))."""
    return tuple(mount for line in mountinfo.splitlines() for mount in _mounts_in(line))


def _mounts_in(line: str) -> Iterator[CgroupMount]:
    before, _, after = line.partition(" - ")
    fields, kind = before.split(), after.split()
    if len(fields) < 5 or len(kind) < 3:
        return
    unified = kind[0] == "cgroup2"
    if unified or (kind[0] == "cgroup" and "cpu" in kind[2].split(",")):
        yield CgroupMount(Path(fields[4]), PurePosixPath(fields[3]), unified)


def group_folders(membership: str, mounts: Collection[CgroupMount]) -> Iterator[Path]:
    """Yield the folder of each group of a process, and of those above it, as far as it is seen.

    `membership` is the text of /proc/PID/cgroup: `4:cpu,cpuacct:/a/b`, or `0::/a/b` of version 2.
    """
    for line in membership.splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        unified = number == "0" and not controllers
        for mount in mounts:
            if mount.unified == unified and (unified or "cpu" in controllers.split(",")):
                yield from _folders_at(mount, PurePosixPath(path))


def _folders_at(mount: CgroupMount, path: PurePosixPath) -> Iterator[Path]:
    inside = path.relative_to(mount.root) if path.is_relative_to(mount.root) else PurePosixPath()
    folder = mount.point / inside
    yield folder
    for _ in inside.parts:
        folder = folder.parent
        yield folder


def quota_cores(folder: Path) -> float | None:
    """Return how many cores a group may use on average; None where nothing bounds it."""
    quota, _, period = _text(folder / "cpu.max").partition(" ")
    if not quota:
        quota = _text(folder / "cpu.cfs_quota_us")
        period = _text(folder / "cpu.cfs_period_us")
    try:
        cores = int(quota) / int(period)
    except (ValueError, ZeroDivisionError):
        return None
    return cores if cores > 0 else None


def _counters(folder: Path) -> _Counters | None:
    rows = dict(line.split() for line in _text(folder / "cpu.stat").splitlines())
    try:
        spent_s = (
            int(rows["throttled_usec"]) / _US
            if "throttled_usec" in rows
            else int(rows["throttled_time"]) / _NS
        )
        return _Counters(int(rows["nr_periods"]), int(rows["nr_throttled"]), spent_s)
    except (KeyError, ValueError):
        return None


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


_CORES = Path("/sys/devices/system/cpu")


class MachineWatch:
    """Watches from its start to the call of `use`; reads at both ends only."""

    def __init__(self, ours: Callable[[], Collection[int]]) -> None:
        self._programs = OtherPrograms(ours)
        self._stolen_s, self._hot = stolen_cpu_s(), overheated()

    def use(self, length_s: float) -> MachineUse:
        """Return what was seen in the `length_s` since the start."""
        stolen_s, hot = _since(self._stolen_s, stolen_cpu_s()), _since(self._hot, overheated())
        return MachineUse(
            programs=self._programs.cores(length_s),
            stolen_cores=None if stolen_s is None else round(stolen_s / length_s, 4),
            overheated=None if hot is None else int(hot),
            frequency_hz=frequency_hz(),
        )


def _since(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before


def overheated() -> int | None:
    """Return how often cores were slowed down for their heat since boot; None where unknown."""
    return _sum_of("cpu[0-9]*/thermal_throttle/core_throttle_count")


def frequency_hz() -> float | None:
    """Return the mean frequency of the cores now; None where it cannot be read."""
    values = _numbers("cpu[0-9]*/cpufreq/scaling_cur_freq")
    return 1000 * mean(values) if values else None


def frequency_facts() -> dict[str, str | float | None]:
    """Return who sets the frequency and the highest one; None for what cannot be read."""
    governors = sorted(set(_texts("cpu[0-9]*/cpufreq/scaling_governor")))
    highest = _numbers("cpu[0-9]*/cpufreq/scaling_max_freq")
    return {
        "frequency_governor": ", ".join(governors) or None,
        "frequency_max_hz": 1000.0 * max(highest) if highest else None,
    }


def _sum_of(pattern: str) -> int | None:
    values = _numbers(pattern)
    return sum(values) if values else None


def _numbers(pattern: str) -> list[int]:
    return [int(text) for text in _texts(pattern) if text.isdecimal()]


def _texts(pattern: str) -> list[str]:
    texts = []
    for path in _files(_CORES, pattern):
        try:
            texts.append(path.read_text().strip())
        except OSError:
            continue
    return texts


@cache
def _files(folder: Path, pattern: str) -> tuple[Path, ...]:
    return tuple(folder.glob(pattern))


COMM_CHARACTERS = 15
"""The kernel keeps no more of a name (proc_pid_comm(5))."""
KERNEL = "kernel threads"
NAMED_FROM_CORES = 0.01
MAX_PROGRAMS = 5

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
        busiest = nlargest(MAX_PROGRAMS, by_name.items(), key=lambda item: item[1])
        shares = {name: round(used_s / length_s, 3) for name, used_s in busiest}
        return {name: share for name, share in shares.items() if share >= NAMED_FROM_CORES}


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

"""The cores that target and load workers run on, and the quota of processor time of their group."""

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from control_plane.domain.errors import TargetFailed
from control_plane.domain.result import Throttling
from control_plane.domain.spec import Cores, Spec


@dataclass(frozen=True)
class CorePlan:
    """Cores by number; None means that the system decides among all.

    `policy`: `apart` when we chose, `given` when the spec named them, `shared` when nobody did.
    """

    target: tuple[int, ...] | None
    client: tuple[int, ...] | None
    policy: Literal["apart", "given", "shared"]


SHARED_CORES = CorePlan(None, None, "shared")


def available_cores() -> tuple[int, ...]:
    """Return the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def share_cores(spec: Spec, available: Collection[int]) -> CorePlan:
    """Return the cores of a run: for `auto` one for each worker, the others for the clients.

    Where there are more processes than cores, and for a target that we do not start or whose
    processes nobody has counted, all share.
    Raises TargetFailed when the spec names a core that is not available.
    """
    if isinstance(spec.cores, Cores):
        return _named_cores(spec, spec.cores, available)
    if spec.cores == "shared" or spec.target.started is None:
        return SHARED_CORES
    cores, workers = sorted(available), spec.target.workers
    clients = spec.client.processes * len(spec.workload.streams)
    if workers is None or workers + clients > len(cores):
        return SHARED_CORES
    return CorePlan(tuple(cores[:workers]), tuple(cores[workers:]), "apart")


def _named_cores(spec: Spec, cores: Cores, available: Collection[int]) -> CorePlan:
    """Return the cores that the spec names; a target that we do not start is not moved."""
    missing = sorted({*cores.target, *cores.client} - set(available))
    if missing:
        has = ", ".join(map(str, sorted(available)))
        raise TargetFailed(f"There is no core {missing[0]} to use: this machine gives {has}.")
    pinned = cores.target if spec.target.started else None
    return CorePlan(pinned, cores.client, "given")


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
            _since(before, after, quota)
            for folder, (before, quota_before) in self._opened.items()
            if (after := _counters(folder)) and (quota := quota_cores(folder) or quota_before)
        ]
        return max(found, key=lambda group: (group.throttled_s, -group.quota_cores), default=None)


def _since(before: _Counters, after: _Counters, quota: float) -> Throttling:
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

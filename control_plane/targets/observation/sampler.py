"""The sampler of target, load workers and control plane: CPU and memory each half second.

It reads /proc, and what the probe in the target's workers writes.
"""

import asyncio
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from control_plane.domain.limits import FEW_CORES, OWN_CPU, OWN_START_S
from control_plane.domain.observations import Gauges, GaugeSeries, ProcessRole
from control_plane.domain.result import MachineUse, Throttling
from control_plane.targets.observation.machine import MachineWatch, QuotaWatch, folders_of
from control_plane.targets.observation.probe_reader import ProbeOutput, ProbeReader
from control_plane.targets.observation.procfs import (
    cpu_s,
    machine_cpu_s,
    memory_bytes,
    reaped_cpu_s,
)

INTERVAL_S = 0.5
ENDED_SERIES = 100
"""Of so many processes of the target that ended each has a series of its own: a target may start
thousands."""

JOINED_PID = 0
"""Stands for all others that ended, in one series."""


@dataclass(frozen=True)
class WindowUsage:
    """What processes used in a window. None where the target's processes cannot be seen.

    `target_peak_memory_bytes`: the largest sum over its processes that a sample saw. `other_cpu`:
    cores that processes other than ours used, and our own to show pages, if that was more than
    `OWN_CPU` beside `OWN_START_S`. `watched_s`: from opening to closing. The quotas are those of
    the groups in which target and client run.
    """

    target_cpu_s: float | None
    target_peak_memory_bytes: int | None
    other_cpu: float | None
    watched_s: float
    gauges: Gauges
    machine: MachineUse | None = None
    target_throttling: Throttling | None = None
    client_throttling: Throttling | None = None


class _Surroundings:
    """What is read at the opening and the closing of a window only."""

    def __init__(self, watched: Callable[[], Mapping[int, ProcessRole]]) -> None:
        pids = watched()
        self._target, self._client = (
            QuotaWatch(folders_of([pid for pid, role in pids.items() if role == wanted]))
            for wanted in ("target", "client")
        )
        self._machine = MachineWatch(lambda: watched().keys())
        self.seen: tuple[MachineUse, Throttling | None, Throttling | None] | None = None

    def close(self, length_s: float) -> None:
        """Read once more; `length_s` passed since the opening."""
        quotas = self._target.throttling(), self._client.throttling()
        self.seen = (self._machine.use(length_s), *quotas)


@dataclass
class _ProcessSeries:
    """The samples of one process. CPU times count from its start; the first is that at opening."""

    pid: int
    role: ProcessRole
    first_cpu_s: float
    last_cpu_s: float
    program: str = ""
    cpu_share: list[float] = field(default_factory=list)
    memory_bytes: list[int] = field(default_factory=list)
    ended: bool = False

    @property
    def used_s(self) -> float:
        return self.last_cpu_s - self.first_cpu_s

    def sample(self, intervals: int, elapsed_s: float) -> int:
        """Fill so many intervals with the average since the last sample; return its memory.

        Once it has ended its pid may be another's, which is not read.
        """
        now_s = None if self.ended else cpu_s(self.pid)
        self.ended = now_s is None
        memory = 0 if now_s is None else memory_bytes(self.pid)
        share = 0.0 if now_s is None else (now_s - self.last_cpu_s) / elapsed_s
        self.last_cpu_s = now_s or self.last_cpu_s
        self.cpu_share += [share] * intervals
        self.memory_bytes += [memory] * intervals
        return memory

    def add(self, other: "_ProcessSeries") -> None:
        """Add what another one used, interval by interval; both have as many."""
        self.last_cpu_s += other.used_s
        self.cpu_share = [sum(pair) for pair in zip(self.cpu_share, other.cpu_share, strict=True)]
        self.memory_bytes = [
            sum(pair) for pair in zip(self.memory_bytes, other.memory_bytes, strict=True)
        ]


class Sampler:
    """Samples in the control plane's event loop, from `open_window` to `stop_sampling`.

    Without the latter it stops by itself once no load worker is left. `gauges_so_far` may be
    called from any thread: it is computed once for each sample, between samples.
    """

    def __init__(
        self,
        target_pids: Callable[[], list[int]],
        client_pids: Sequence[int],
        control_pid: int,
        probe_output: ProbeOutput | None = None,
        companions: Callable[[], Mapping[int, str]] = dict,
    ) -> None:
        """`companions`: programs that the settings count to the target, by pid."""
        self._target_pids, self._probe_output = target_pids, probe_output
        self._companions = companions
        self._reader: ProbeReader | None = None
        self._others: dict[int, ProcessRole] = dict.fromkeys(client_pids, "client")
        self._others[control_pid] = "control"
        self._series: dict[int, _ProcessSeries] = {}
        self._intervals = self._peak_bytes = 0
        self._opened_s = self._sampled_s = 0.0
        self._machine_s: float | None = None
        self._surroundings: _Surroundings | None = None
        self._all_s: float | None = None
        self._tree_opened_s = self._tree_s = 0.0
        self._stopped = False
        self._timer: asyncio.TimerHandle | None = None
        self._sampling = threading.Lock()
        self._gauges: Gauges | None = None

    def open_window(self) -> None:
        """Begin to sample."""
        with self._sampling:
            self._open()
        self._sample()
        self._set_timer()

    def _open(self) -> None:
        self._machine_s = machine_cpu_s()
        self._opened_s = self._sampled_s = time.monotonic()
        if self._probe_output:
            self._reader = ProbeReader(self._probe_output, _ns(self._opened_s), _ns(INTERVAL_S))
        companions = self._companions()
        for pid, role in self._watched().items():
            used_s = cpu_s(pid) or 0.0
            program = companions.get(pid, "")
            self._series[pid] = _ProcessSeries(pid, role, used_s, used_s, program)
        self._tree_opened_s = self._target_tree_s()
        self._surroundings = _Surroundings(lambda: {**self._watched(), **self._roles()})

    def stop_sampling(self) -> None:
        """Take the last sample, because the window is over."""
        self._take_last_sample()
        self._stopped = True

    def _take_last_sample(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._sample()
        self._tree_s = self._target_tree_s() - self._tree_opened_s
        now_s = machine_cpu_s()
        if now_s is not None and self._machine_s is not None:
            self._all_s = now_s - self._machine_s
        if self._surroundings and self._surroundings.seen is None:
            self._surroundings.close(max(time.monotonic() - self._opened_s, 1e-6))

    def close_window(self, client_cpu_s: float = 0.0) -> WindowUsage:
        """Return what was used until now, or until `stop_sampling`.

        `client_cpu_s` is what the load workers measured of themselves: one that has ended since
        the last sample is seen up to that sample only.
        """
        if not self._stopped:
            self._take_last_sample()
        client_s = max(self._used_s("client"), client_cpu_s)
        target_s = max(self._used_s("target"), self._tree_s)
        control_s, length_s = self._used_s("control"), self._sampled_s - self._opened_s
        shown_s = max(0.0, control_s - OWN_START_S)
        ours_s = [target_s, client_s, control_s]
        if shown_s > OWN_CPU * length_s:
            ours_s[-1] -= shown_s
        seen = any(series.role == "target" for series in self._series.values())
        around = self._surroundings.seen if self._surroundings else None
        machine, target_quota, client_quota = around or (None, None, None)
        if machine is not None and len(os.sched_getaffinity(0)) <= FEW_CORES:
            machine = replace(machine, control_cores=round(shown_s / max(length_s, 1e-6), 4))
        return WindowUsage(
            target_cpu_s=ours_s[0] if seen else None,
            target_peak_memory_bytes=self._peak_bytes if seen else None,
            other_cpu=self._other_cpu(sum(ours_s)) if seen else None,
            watched_s=length_s,
            gauges=self.gauges_so_far(),
            machine=machine,
            target_throttling=target_quota,
            client_throttling=client_quota,
        )

    def gauges_so_far(self) -> Gauges:
        """Return all samples until now."""
        with self._sampling:
            self._gauges = self._gauges or self._read_gauges()
            return self._gauges

    def _read_gauges(self) -> Gauges:
        processes = (
            GaugeSeries(
                series.pid,
                series.role,
                tuple(series.cpu_share),
                tuple(series.memory_bytes),
                series.program,
            )
            for series in self._series.values()
        )
        gauges = Gauges(INTERVAL_S, tuple(processes))
        if self._reader is None:
            return gauges
        workers, stalls = self._reader.workers(self._intervals), self._reader.stalls()
        return replace(gauges, workers=workers, stalls=stalls)

    def _other_cpu(self, ours_s: float) -> float | None:
        """Return the cores that others used; 0 where the coarser time of all is below ours."""
        if self._all_s is None:
            return None
        return max(0.0, self._all_s - ours_s) / (self._sampled_s - self._opened_s)

    def _set_timer(self) -> None:
        until_s = INTERVAL_S - (time.monotonic() - self._opened_s) % INTERVAL_S
        self._timer = asyncio.get_running_loop().call_later(until_s, self._tick)

    def _tick(self) -> None:
        self._sample()
        if any(cpu_s(pid) is not None for pid, role in self._others.items() if role == "client"):
            self._set_timer()

    def _sample(self) -> None:
        with self._sampling:
            self._gauges = None
            self._take_sample()

    def _take_sample(self) -> None:
        now_s = time.monotonic()
        elapsed_s = max(now_s - self._sampled_s, 1e-6)
        intervals = round((now_s - self._opened_s) / INTERVAL_S) - self._intervals
        self._add_new_processes()
        memory = [
            (series.sample(intervals, elapsed_s), series.role) for series in self._series.values()
        ]
        target_bytes = sum(size for size, role in memory if role == "target")
        self._peak_bytes = max(self._peak_bytes, target_bytes)
        if self._reader:
            self._reader.read(_ns(now_s))
        self._intervals += intervals
        self._sampled_s = now_s
        self._join_ended()

    def _join_ended(self) -> None:
        """Join the processes of the target that ended beyond the busiest `ENDED_SERIES`."""
        ended = sorted(
            (series for series in self._series.values() if series.ended and _may_be_joined(series)),
            key=lambda series: series.used_s,
        )
        for series in ended[: max(0, len(ended) - ENDED_SERIES)]:
            self._join(series)

    def _join(self, series: _ProcessSeries) -> None:
        if JOINED_PID not in self._series:
            self._series[JOINED_PID] = self._blank(JOINED_PID, "target")
            self._series[JOINED_PID].ended = True
        self._series[JOINED_PID].add(series)
        del self._series[series.pid]

    def _blank(self, pid: int, role: ProcessRole, program: str = "") -> _ProcessSeries:
        """Return a series whose intervals until now are 0."""
        shares, memory = [0.0] * self._intervals, [0] * self._intervals
        return _ProcessSeries(pid, role, 0.0, 0.0, program, shares, memory)

    def _add_new_processes(self) -> None:
        """Add those started since: all their CPU time counts, their earlier intervals are 0."""
        companions = self._companions()
        for pid, role in self._watched().items():
            before = self._series.get(pid)
            if before is not None and before.ended and _may_be_joined(before):
                self._join(before)
            if pid not in self._series:
                self._series[pid] = self._blank(pid, role, companions.get(pid, ""))

    def _watched(self) -> dict[int, ProcessRole]:
        targets: dict[int, ProcessRole] = dict.fromkeys(self._all_target_pids(), "target")
        return targets | self._others

    def _all_target_pids(self) -> list[int]:
        return [*self._target_pids(), *self._companions()]

    def _roles(self) -> dict[int, ProcessRole]:
        """Return the roles of all that were watched so far."""
        return {series.pid: series.role for series in self._series.values()}

    def _target_tree_s(self) -> float:
        """Return the CPU time of the target's processes, and of those that they waited for.

        Of a process that ends between two samples this is all that is known.
        """
        return sum((cpu_s(pid) or 0.0) + reaped_cpu_s(pid) for pid in self._all_target_pids())

    def _used_s(self, role: ProcessRole) -> float:
        return sum(series.used_s for series in self._series.values() if series.role == role)


def _may_be_joined(series: _ProcessSeries) -> bool:
    return series.role == "target" and not series.program and series.pid != JOINED_PID


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)

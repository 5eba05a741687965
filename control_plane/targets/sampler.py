"""Target, load workers and control plane, each half second of a window.

Processes are seen from outside; the target's workers also from inside, where the probe runs.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from control_plane.domain.result import Gauges, GaugeSeries
from control_plane.targets.probe_reader import ProbeOutput, ProbeReader
from control_plane.targets.procfs import cpu_s, machine_cpu_s, memory_bytes

INTERVAL_S = 0.5
Role = Literal["target", "client", "control"]


@dataclass(frozen=True)
class WindowUsage:
    """The window in numbers. None where the target's processes cannot be seen.

    `target_peak_memory_bytes`: the largest sum over its processes that a sample saw. `other_cpu`:
    cores that processes other than ours used. `watched_s`: from opening to closing.
    """

    target_cpu_s: float | None
    target_peak_memory_bytes: int | None
    other_cpu: float | None
    watched_s: float
    gauges: Gauges


@dataclass
class _ProcessSeries:
    """One process. CPU times count from its start; the first was read when the window opened."""

    pid: int
    role: Role
    first_cpu_s: float
    last_cpu_s: float
    cpu_share: list[float] = field(default_factory=list)
    memory_bytes: list[int] = field(default_factory=list)

    def sample(self, slots: int, elapsed_s: float) -> int:
        """Fill `slots` intervals with the average since the last sample. Returns its memory."""
        now_s = cpu_s(self.pid)
        memory = 0 if now_s is None else memory_bytes(self.pid)
        share = 0.0 if now_s is None else (now_s - self.last_cpu_s) / elapsed_s
        self.last_cpu_s = now_s or self.last_cpu_s
        self.cpu_share += [share] * slots
        self.memory_bytes += [memory] * slots
        return memory


class Sampler:
    """Lives in the control plane's event loop; samples from `open_window` to `hold`.

    Without it sampling stops by itself once no load worker is left. `gauges_so_far` may be used
    from any thread: it is made once for each sample, between samples.
    """

    def __init__(
        self,
        target_pids: Callable[[], list[int]],
        client_pids: Sequence[int],
        control_pid: int,
        inside: ProbeOutput | None = None,
    ) -> None:
        self._target_pids, self._inside = target_pids, inside
        self._reader: ProbeReader | None = None
        self._others: dict[int, Role] = dict.fromkeys(client_pids, "client")
        self._others[control_pid] = "control"
        self._series: dict[int, _ProcessSeries] = {}
        self._slots = self._peak_bytes = 0
        self._opened_s = self._sampled_s = 0.0
        self._machine_s: float | None = None
        self._all_s: float | None = None
        self._held = False
        self._timer: asyncio.TimerHandle | None = None
        self._sampling = threading.Lock()
        self._seen: Gauges | None = None

    def open_window(self) -> None:
        with self._sampling:
            self._open()
        self._sample()
        self._set_timer()

    def _open(self) -> None:
        self._machine_s = machine_cpu_s()
        self._opened_s = self._sampled_s = time.monotonic()
        if self._inside:
            self._reader = ProbeReader(self._inside, _ns(self._opened_s), _ns(INTERVAL_S))
        for pid, role in self._watched().items():
            used_s = cpu_s(pid) or 0.0
            self._series[pid] = _ProcessSeries(pid, role, used_s, used_s)

    def hold(self) -> None:
        """The window is over: what comes after it is not watched."""
        self._look_last()
        self._held = True

    def _look_last(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._sample()
        now_s = machine_cpu_s()
        if now_s is not None and self._machine_s is not None:
            self._all_s = now_s - self._machine_s

    def close_window(self, client_cpu_s: float = 0.0) -> WindowUsage:
        """What was seen until now, or until `hold`.

        `client_cpu_s` is what the load workers measured of themselves: one that has ended since
        the last sample is seen up to that sample only.
        """
        if not self._held:
            self._look_last()
        client_s = max(self._used_s("client"), client_cpu_s)
        ours = [self._used_s("target"), client_s, self._used_s("control")]
        seen = any(one.role == "target" for one in self._series.values())
        return WindowUsage(
            target_cpu_s=ours[0] if seen else None,
            target_peak_memory_bytes=self._peak_bytes if seen else None,
            other_cpu=self._other_cpu(sum(ours)) if seen else None,
            watched_s=self._sampled_s - self._opened_s,
            gauges=self.gauges_so_far(),
        )

    def gauges_so_far(self) -> Gauges:
        with self._sampling:
            self._seen = self._seen or self._gauges()
            return self._seen

    def _gauges(self) -> Gauges:
        processes = (
            GaugeSeries(one.pid, one.role, tuple(one.cpu_share), tuple(one.memory_bytes))
            for one in self._series.values()
        )
        outside = Gauges(INTERVAL_S, tuple(processes))
        if self._reader is None:
            return outside
        workers, stalls = self._reader.workers(self._slots), self._reader.stalls()
        return replace(outside, workers=workers, stalls=stalls)

    def _other_cpu(self, ours_s: float) -> float | None:
        """Ours is read finer than the machine's, which may come out below it: then 0."""
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
            self._seen = None
            self._look()

    def _look(self) -> None:
        now_s = time.monotonic()
        elapsed_s = max(now_s - self._sampled_s, 1e-6)
        slots = round((now_s - self._opened_s) / INTERVAL_S) - self._slots
        self._welcome()
        memory = [(one.sample(slots, elapsed_s), one.role) for one in self._series.values()]
        held = sum(size for size, role in memory if role == "target")
        self._peak_bytes = max(self._peak_bytes, held)
        if self._reader:
            self._reader.look(_ns(now_s))
        self._slots += slots
        self._sampled_s = now_s

    def _welcome(self) -> None:
        """A process that came since: all its CPU time counts, its earlier slots are empty."""
        for pid, role in self._watched().items():
            if pid not in self._series:
                blank = [0] * self._slots
                self._series[pid] = _ProcessSeries(pid, role, 0.0, 0.0, [0.0] * self._slots, blank)

    def _watched(self) -> dict[int, Role]:
        targets: dict[int, Role] = dict.fromkeys(self._target_pids(), "target")
        return targets | self._others

    def _used_s(self, role: Role) -> float:
        series = [one for one in self._series.values() if one.role == role]
        return sum(one.last_cpu_s - one.first_cpu_s for one in series)


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)

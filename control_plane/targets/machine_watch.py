"""What the machine does beside target and client: other programs, its host, and its heat."""

from collections.abc import Callable, Collection
from functools import cache
from pathlib import Path
from statistics import mean

from control_plane.domain.result import MachineUse
from control_plane.targets.other_programs import OtherPrograms
from control_plane.targets.procfs import stolen_cpu_s

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
    for path in _files(pattern):
        try:
            texts.append(path.read_text().strip())
        except OSError:
            continue
    return texts


@cache
def _files(pattern: str) -> tuple[Path, ...]:
    return tuple(_CORES.glob(pattern))

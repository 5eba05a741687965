"""Trials laid one after the other on a common axis of seconds."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from control_plane.domain.result import Gauges, Timeline

SHORTEST_S = 0.25
"""A last second shorter than this gives no rate: a few requests would make it jump."""

Values = Sequence[float | None]
Steps = tuple[list[float], list[float | None]]


@dataclass(frozen=True)
class Segment:
    """One trial that begins at `start_s` of the axis."""

    start_s: float
    timeline: Timeline

    @property
    def length_s(self) -> float:
        whole = len(self.timeline.completed)
        return whole - 1 + self.timeline.last_s if whole else 0.0

    @property
    def rates_per_s(self) -> Values:
        """Completed requests per second of each second, its own length counted."""
        return _per_second(self.timeline.completed, self.timeline.last_s)

    @property
    def error_rates_per_s(self) -> Values:
        return _per_second(self.timeline.errors, self.timeline.last_s)


def segments(timelines: Iterable[Timeline]) -> list[Segment]:
    """Each trial starts where the one before it ended."""
    found: list[Segment] = []
    for timeline in timelines:
        start_s = found[-1].start_s + found[-1].length_s if found else 0.0
        found.append(Segment(start_s, timeline))
    return found


def end_s(track: Sequence[Segment]) -> float:
    return track[-1].start_s + track[-1].length_s if track else 0.0


def stepped(track: Sequence[Segment], pick: Callable[[Segment], Values]) -> Steps:
    """A value for each second as steps: x and y for a line of shape `hv`, broken between trials."""
    x: list[float] = []
    y: list[float | None] = []
    for segment in track:
        values = pick(segment)
        if not values:
            continue
        x += [round(segment.start_s + index, 3) for index in range(len(values))]
        x += [round(segment.start_s + segment.length_s, 3)] * 2
        y += [_short(value) for value in (*values, values[-1], None)]
    return x[:-1], y[:-1]


def percentile(name: str) -> Callable[[Segment], Values]:
    """Picks `p50`, `p95` or `p99` of each second."""

    def pick(segment: Segment) -> Values:
        values: Values = getattr(segment.timeline, name)
        return values

    return pick


def cpu_steps(track: Sequence[Segment], gauges: Sequence[Gauges], role: str) -> Steps:
    """CPU of all processes of a role, shares of one core, from each sample to the next."""
    x: list[float] = []
    y: list[float | None] = []
    for segment, sampled in zip(track, gauges, strict=False):
        values = role_cpu(sampled, role)
        x += [
            round(segment.start_s + index * sampled.interval_s, 3) for index in range(len(values))
        ]
        y += [round(value, 3) for value in values]
        if values:
            x += [max(x[-1], round(segment.start_s + segment.length_s, 3))] * 2
            y += [y[-1], None]
    return x[:-1], y[:-1]


def role_cpu(gauges: Gauges, role: str) -> list[float]:
    """Shares of one core, added over the processes of a role."""
    series = [one.cpu_share for one in gauges.processes if one.role == role]
    return [sum(values) for values in zip_longest(*series, fillvalue=0.0)]


def second_cpu(gauges: Gauges, role: str, length: int) -> list[float | None]:
    """The mean CPU share of each second; None where nothing was sampled. Length `length`."""
    values = role_cpu(gauges, role)
    step = max(1, round(1 / gauges.interval_s))
    parts = [values[index * step : (index + 1) * step] for index in range(length)]
    return [round(sum(part) / len(part), 3) if part else None for part in parts]


def mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _per_second(counts: Sequence[int], last_s: float) -> Values:
    if not counts:
        return []
    last = counts[-1] / last_s if last_s >= SHORTEST_S else None
    return [*map(float, counts[:-1]), last]


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")

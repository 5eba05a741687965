"""What was sampled of processes and workers, laid on the axis of the trials."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import zip_longest
from math import ceil

from control_plane.analysis.charts.track import Segment, Steps, Values
from control_plane.domain.result import Gauges

MOST_POINTS = 1_200
"""A line of more samples shows the largest of each few."""

EACH = 4
"""So many workers or processes get a line each; more are a band from the lowest to the highest."""

Pick = Callable[[Gauges], Sequence[Values]]
"""The samples of one trial: one series for each worker or process."""


def sampled(
    track: Sequence[Segment], gauges: Sequence[Gauges], pick: Callable[[Gauges], Values]
) -> Steps:
    """One value from each sample to the next, to the end of the trial."""
    watched = list(zip(track, gauges, strict=False))
    series = [
        _inside(pick(one), one.interval_s, segment.end_s - segment.start_s)
        for segment, one in watched
    ]
    every = -(-sum(map(len, series)) // MOST_POINTS) or 1
    x: list[float] = []
    y: list[float | None] = []
    for (segment, one), values in zip(watched, series, strict=True):
        chosen = _largest(values, every)
        if not chosen:
            continue
        step_s = one.interval_s * every
        x += [round(segment.start_s + index * step_s, 3) for index in range(len(chosen))]
        x += [max(x[-1], round(segment.end_s, 3))] * 2
        y += [*chosen, chosen[-1], None]
    return x[:-1], y[:-1]


def _inside(values: Values, interval_s: float, length_s: float) -> list[float | None]:
    """Without what was sampled after the seconds that are drawn."""
    return list(values[: ceil(round(length_s / interval_s, 6))])


def fan(track: Sequence[Segment], gauges: Sequence[Gauges], pick: Pick) -> list[Steps]:
    """A line for each series, or two: the lowest and the highest of more than `EACH`."""
    many = max((len(pick(one)) for one in gauges), default=0)
    if many > EACH:
        return [sampled(track, gauges, partial(_end_of, pick, way)) for way in (min, max)]
    return [sampled(track, gauges, partial(_nth_of, pick, rank)) for rank in range(many)]


def added(series: Sequence[Values]) -> list[float | None]:
    """Over all series; None where none has a sample."""
    return _by_sample(series, sum)


def highest(series: Sequence[Values]) -> list[float | None]:
    return _by_sample(series, max)


def role_cpu(gauges: Gauges, role: str) -> list[float]:
    """Shares of one core, added over the processes of a role."""
    found = added([one.cpu_share for one in gauges.processes if one.role == role])
    return [value or 0.0 for value in found]


def by_second(
    values: Values, interval_s: float, length: int, way: Callable[[list[float]], float]
) -> list[float | None]:
    """What `way` makes of the samples of each second; None without any. Length `length`."""
    step = max(1, round(1 / interval_s))
    parts = [values[index * step : (index + 1) * step] for index in range(length)]
    known = [[value for value in part if value is not None] for part in parts]
    return [round(way(part), 6) if part else None for part in known]


def average(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def scaled(values: Values, factor: float) -> list[float | None]:
    """Four significant figures."""
    return [None if value is None else float(f"{value * factor:.4g}") for value in values]


def _largest(values: Values, every: int) -> list[float | None]:
    if every == 1:
        return scaled(values, 1)
    return [
        max((one for one in values[at : at + every] if one is not None), default=None)
        for at in range(0, len(values), every)
    ]


def _by_sample(series: Sequence[Values], way: Callable[[list[float]], float]) -> list[float | None]:
    rows = ([value for value in row if value is not None] for row in zip_longest(*series))
    return [way(row) if row else None for row in rows]


def _end_of(pick: Pick, way: Callable[[list[float]], float], gauges: Gauges) -> Values:
    return _by_sample(pick(gauges), way)


def _nth_of(pick: Pick, rank: int, gauges: Gauges) -> Values:
    series = pick(gauges)
    return series[rank] if rank < len(series) else ()

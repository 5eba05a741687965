"""What timelines draw: trials one after the other on an axis of seconds, workers, and stalls."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import zip_longest
from math import ceil, inf
from typing import Literal

import numpy as np

from control_plane.analysis.causes.blocked_loop import blocks, stored_floor_s
from control_plane.analysis.charts.figure import Floats, Plot, scaled
from control_plane.domain.observations import Gauges, Stall, WorkerSeries
from control_plane.domain.result import Cause, SecondColumns, Timeline
from control_plane.domain.stream_record import Slices

SHORTEST_S = 0.25
"""A second cut shorter than this gives no rate: a few requests would make it jump."""

Values = Sequence[float | None]
Steps = tuple[list[float], list[float | None]]


@dataclass(frozen=True)
class SecondSeries:
    """Seconds without a gap: `edges` of the axis, one more than there are `seconds`."""

    edges: Sequence[float]
    seconds: SecondColumns

    @property
    def rates_per_s(self) -> Values:
        """Return completed requests per second of each second, its own length counted."""
        return self._per_second(self.seconds.completed)

    @property
    def error_rates_per_s(self) -> Values:
        return self._per_second(self.seconds.errors)

    @property
    def body_bytes(self) -> Values:
        """Return the mean size of an answer's body; None in all seconds of runs without sizes."""
        return self.seconds.body_bytes or (None,) * len(self.seconds.completed)

    def _per_second(self, counts: Sequence[int]) -> Values:
        lengths = [
            round(high - low, 6) for low, high in zip(self.edges, self.edges[1:], strict=False)
        ]
        return [
            count / length if length >= SHORTEST_S else None
            for count, length in zip(counts, lengths, strict=True)
        ]


@dataclass(frozen=True)
class TrialSegment:
    """One stream of one trial on the axis.

    The first window of the trial begins at `start_s`, that of the stream at `opens_s`; its warm-up
    lies before that.
    """

    start_s: float
    timeline: Timeline
    slices: Slices | None = None

    @property
    def opens_s(self) -> float:
        return self.start_s + self.timeline.opens_s

    @property
    def length_s(self) -> float:
        whole = len(self.timeline.completed)
        return whole - 1 + self.timeline.last_s if whole else 0.0

    @property
    def end_s(self) -> float:
        return self.opens_s + self.length_s

    @property
    def lead_s(self) -> float:
        """Return how long before the window its warm-up began."""
        warmup = self.timeline.warmup
        return warmup.length_s if warmup else 0.0

    @property
    def begin_s(self) -> float:
        """Return where its warm-up begins; never after the first window of the trial."""
        return min(self.opens_s - self.lead_s, self.start_s)

    @cached_property
    def window(self) -> SecondSeries:
        whole = len(self.timeline.completed)
        edges: list[float] = np.round(self.opens_s + np.arange(whole), 3).tolist()
        return SecondSeries([*edges, round(self.end_s, 3)], self.timeline)

    @cached_property
    def series(self) -> tuple[SecondSeries, ...]:
        """Return warm-up and window, of those that have seconds."""
        warmup = self.timeline.warmup
        window = (self.window,) if self.timeline.completed else ()
        if not warmup or not warmup.completed:
            return window
        last = warmup.to_come
        whole = len(warmup.completed) + last
        edges = [round(self.opens_s - index, 3) for index in range(whole - 1, last - 1, -1)]
        return (SecondSeries([round(self.opens_s - self.lead_s, 3), *edges], warmup), *window)


def window_starts(streams: Sequence[Sequence[Timeline]]) -> list[float]:
    """Return where the first window of each trial begins on the axis, the same for all streams."""
    starts: list[float] = []
    after = 0.0
    for trial in range(max(map(len, streams), default=0)):
        segments = [TrialSegment(0.0, trials[trial]) for trials in streams if len(trials) > trial]
        begin = after - min(segment.begin_s for segment in segments) if starts else 0.0
        starts.append(begin)
        after = begin + max(segment.end_s for segment in segments)
    return starts


def placed_segments(
    timelines: Sequence[Timeline], slices: Sequence[Slices], starts: Sequence[float]
) -> list[TrialSegment]:
    """Return the trials of one stream where their windows start, with the slices that are known."""
    known = [*slices, *[None] * (len(timelines) - len(slices))]
    return [
        TrialSegment(start_s, timeline, of_trial)
        for start_s, timeline, of_trial in zip(starts, timelines, known, strict=False)
    ]


def begin_s(segments: Sequence[TrialSegment]) -> float:
    """Return where the axis begins: below 0 by the warm-up of the first trial."""
    return segments[0].begin_s if segments else 0.0


def end_s(segments: Sequence[TrialSegment]) -> float:
    return max((segment.end_s for segment in segments), default=0.0)


def step_line(segments: Sequence[TrialSegment], pick: Callable[[SecondSeries], Values]) -> Steps:
    """Return a value for each second as steps, broken between trials.

    That is x and y for a line of shape `hv`.
    """
    x: list[float] = []
    y: list[float | None] = []
    for segment in segments:
        for series in segment.series:
            steps = corners(series.edges, pick(series))
            x += steps[0]
            y += steps[1]
        if segment.series:
            x.append(x[-1])
            y.append(None)
    return x[:-1], scaled(y[:-1])


def corners(edges: Sequence[float], values: Values) -> Steps:
    """Return the points of the steps, each to its end where a second without a value follows."""
    if not values:
        return [], []
    if None not in values:
        return list(edges), [*values, values[-1]]
    x: list[float] = []
    y: list[float | None] = []
    followed = [*values[1:], values[-1]]
    for begin, end, value, after in zip(edges, edges[1:], values, followed, strict=False):
        ends_here = value is not None and after is None
        x += [begin, end] if ends_here else [begin]
        y += [value, value] if ends_here else [value]
    return [*x, edges[-1]], [*y, values[-1]]


def mean(values: Iterable[float | None]) -> float | None:
    """Return the mean of the values that are known; None without any."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


MOST_POINTS = 1_200
"""A line of more samples shows the largest of each few."""

EACH = 4
"""So many workers or processes get a line each; more are a band from the lowest to the highest."""

GaugePick = Callable[[Gauges], Sequence[Values]]
"""The samples of one trial: one series for each worker or process."""


def sample_line(
    segments: Sequence[TrialSegment], gauges: Sequence[Gauges], pick: Callable[[Gauges], Values]
) -> Steps:
    """Return one value from each sample to the next, to the end of the trial."""
    watched = list(zip(segments, gauges, strict=False))
    series = [
        _until(segment.end_s - segment.start_s, pick(trial), trial.interval_s)
        for segment, trial in watched
    ]
    every = -(-sum(map(len, series)) // MOST_POINTS) or 1
    x: list[float] = []
    y: list[float | None] = []
    for (segment, trial), values in zip(watched, series, strict=True):
        points = _largest(values, every)
        if not points:
            continue
        begins_s = segment.start_s + trial.interval_s * every * np.arange(len(points))
        x += np.round(begins_s, 3).tolist()
        x += [max(x[-1], round(segment.end_s, 3))] * 2
        y += [*points, points[-1], None]
    return x[:-1], y[:-1]


def _until(length_s: float, values: Values, interval_s: float) -> list[float | None]:
    """Return the values without those that were sampled after the seconds that are drawn."""
    return list(values[: ceil(round(length_s / interval_s, 6))])


def worker_lines(
    segments: Sequence[TrialSegment], gauges: Sequence[Gauges], pick: GaugePick
) -> list[Steps]:
    """Return a line for each series, or the lowest and the highest of more than `EACH`."""
    many = max((len(pick(trial)) for trial in gauges), default=0)
    if many > EACH:
        return [sample_line(segments, gauges, partial(_end_of, pick, way)) for way in (min, max)]
    return [sample_line(segments, gauges, partial(_nth_of, pick, rank)) for rank in range(many)]


def summed(series: Sequence[Values]) -> list[float | None]:
    """Return the sum over all series for each sample; None where none has one."""
    return _by_sample(series, sum)


def maxima(series: Sequence[Values]) -> list[float | None]:
    return _by_sample(series, max)


def role_cpu(gauges: Gauges, role: str) -> list[float]:
    """Return shares of one core, added over the processes of a role."""
    series = [process.cpu_share for process in gauges.processes if process.role == role]
    if len(series) == 1:
        return list(series[0])
    return [value or 0.0 for value in summed(series)]


SecondWay = Literal["mean", "max", "sum"]
"""How the samples of a second become one number."""


def per_second(
    values: Values, interval_s: float, length: int, way: SecondWay
) -> list[float | None]:
    """Return what `way` makes of the samples of each of `length` seconds; None without any."""
    found = array_per_second(values, interval_s, length, way).tolist()
    return [None if value != value else value for value in found]


def array_per_second(values: Values, interval_s: float, length: int, way: SecondWay) -> Floats:
    """Return what `per_second` does, with NaN for None."""
    step = max(1, round(1 / interval_s))
    samples = np.full(length * step, np.nan)
    samples[: len(values)] = np.array(values[: len(samples)], np.float64)
    parts, counts = samples.reshape(length, step), np.array(step)
    if np.isnan(samples).any():
        known = ~np.isnan(parts)
        counts = known.sum(axis=1)
        parts = np.where(known, parts, -np.inf if way == "max" else 0.0)
    found = parts.max(axis=1, initial=-np.inf) if way == "max" else parts.sum(axis=1)
    if way == "mean":
        found = found / np.maximum(counts, 1)
    return np.where(counts, np.round(found, 6), np.nan)


def _largest(values: Values, every: int) -> list[float | None]:
    if every == 1:
        return scaled(values)
    return [
        max([value for value in values[at : at + every] if value is not None], default=None)
        for at in range(0, len(values), every)
    ]


def _by_sample(series: Sequence[Values], way: Callable[[list[float]], float]) -> list[float | None]:
    if len(series) == 1:
        return list(series[0])
    rows = ([value for value in row if value is not None] for row in zip_longest(*series))
    return [way(row) if row else None for row in rows]


def _end_of(pick: GaugePick, way: Callable[[list[float]], float], gauges: Gauges) -> Values:
    return _by_sample(pick(gauges), way)


def _nth_of(pick: GaugePick, rank: int, gauges: Gauges) -> Values:
    series = pick(gauges)
    return series[rank] if rank < len(series) else ()


NEAREST = 1 / 700
"""Spans closer than this part of the axis are drawn as one: a pixel."""

Span = tuple[float, float]
WHOLE_TRIAL: Span = (0.0, inf)
"""The seconds of a trial, all of them."""


def stall_spans(
    segments: Sequence[TrialSegment], gauges: Sequence[Gauges], causes: Sequence[Cause] = ()
) -> list[Span]:
    """Return begin and end in seconds of the axis, in order, apart from each other.

    Of the causes that were found; of all where none was judged. A stall counts as it did for its
    cause.
    """
    judged = {cause.cause: cause.evidence for cause in causes if cause.found}
    kinds = judged.keys() if causes else SEEN.keys()
    floor_s = stored_floor_s(judged.get("loop_blocked", {}))
    found = [
        (segment.start_s + low, min(segment.start_s + high, segment.end_s))
        for segment, trial in zip(segments, gauges, strict=False)
        for kind in SEEN.keys() & kinds
        for low, high in SEEN[kind](trial, floor_s)
    ]
    return merged_spans([(low, high) for low, high in found if high > low], 0.0)


def merged_spans(found: Sequence[Span], gap: float) -> list[Span]:
    """Return the spans, those that overlap or lie not more than `gap` apart as one."""
    joined: list[Span] = []
    for low, high in sorted(found):
        if joined and low - joined[-1][1] <= gap:
            joined[-1] = (joined[-1][0], max(joined[-1][1], high))
        else:
            joined.append((low, high))
    return joined


def span_bands(found: Sequence[Span], length_s: float, top: float) -> list[Plot]:
    """Return warm bands through all panels up to `top` of the figure, with a solid edge there."""
    drawn = merged_spans(found, NEAREST * length_s)
    if not drawn:
        return []
    band = "".join(f"M{low:.3f},0V{top:.4f}H{high:.3f}V0Z" for low, high in drawn)
    edge = "".join(f"M{low:.3f},{top:.4f}H{high:.3f}" for low, high in drawn)
    place = {"type": "path", "xref": "x", "yref": "paper", "layer": "below"}
    return [
        {**place, "path": band, "fillcolor": "$cause/0.1", "line": {"width": 0}},
        {**place, "path": edge, "line": {"color": "$cause", "width": 3}, "layer": "above"},
    ]


def _blocked(gauges: Gauges, floor_s: float) -> Iterator[Span]:
    """Return stalls and late samples; a loop that waited for a processor was not blocked."""
    yield from (_span(stall) for stall in gauges.stalls if blocks(stall, floor_s))
    yield from _lags(gauges, floor_s)


def _span(stall: Stall) -> Span:
    return stall.at_s, stall.at_s + stall.duration_s


def _lags(gauges: Gauges, floor_s: float) -> Iterator[Span]:
    """Return samples above the limit in which no stall was seen: those are known more exactly."""
    known = [_span(stall) for stall in gauges.stalls]
    for worker in gauges.workers:
        for low, high in _samples(
            gauges, [lag is not None and lag >= floor_s for lag in worker.loop_lag_s]
        ):
            if not any(begin < high and end > low for begin, end in known):
                yield low, high


def _waits(gauges: Gauges, _: float) -> Iterator[Span]:
    """Return samples in which every token was taken and a request waited for one."""
    for worker in gauges.workers:
        yield from _samples(gauges, _exhausted(worker))


def _exhausted(worker: WorkerSeries) -> list[bool]:
    total = worker.tokens_total
    return [
        bool(waiting) and total is not None and (busy or 0) >= total
        for busy, waiting in zip(worker.tokens_busy, worker.tokens_waiting, strict=True)
    ]


def _samples(gauges: Gauges, counted: Sequence[bool]) -> Iterator[Span]:
    for index, counts in enumerate(counted):
        if counts:
            yield index * gauges.interval_s, (index + 1) * gauges.interval_s


SEEN: dict[str, Callable[[Gauges, float], Iterator[Span]]] = {
    "loop_blocked": _blocked,
    "pool_exhausted": _waits,
}
"""The causes that have a begin and an end in time."""

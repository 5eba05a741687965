"""When the server could not go on: its event loop stood still, or its thread pool was full."""

from collections.abc import Callable, Iterator, Sequence

from control_plane.analysis.causes.blocked_loop import blocks, stored_floor_s
from control_plane.analysis.charts.figure import Plot
from control_plane.analysis.charts.trial_axis import TrialSegment
from control_plane.domain.result import Cause, Gauges, Stall, WorkerSeries

NEAREST = 1 / 700
"""Spans closer than this part of the axis are drawn as one: a pixel."""

Span = tuple[float, float]


def stall_spans(
    track: Sequence[TrialSegment], gauges: Sequence[Gauges], causes: Sequence[Cause] = ()
) -> list[Span]:
    """Begin and end in seconds of the axis, in order, apart from each other.

    Of the causes that were found; of all where none was judged. A stall counts as it did for its
    cause.
    """
    judged = {one.cause: one.evidence for one in causes if one.found}
    kinds = judged.keys() if causes else SEEN.keys()
    floor_s = stored_floor_s(judged.get("loop_blocked", {}))
    found = [
        (segment.start_s + low, min(segment.start_s + high, segment.end_s))
        for segment, one in zip(track, gauges, strict=False)
        for kind in SEEN.keys() & kinds
        for low, high in SEEN[kind](one, floor_s)
    ]
    return merged_spans([(low, high) for low, high in found if high > low], 0.0)


def merged_spans(found: Sequence[Span], gap: float) -> list[Span]:
    """Spans that overlap, or lie not more than `gap` apart, become one."""
    joined: list[Span] = []
    for low, high in sorted(found):
        if joined and low - joined[-1][1] <= gap:
            joined[-1] = (joined[-1][0], max(joined[-1][1], high))
        else:
            joined.append((low, high))
    return joined


def span_bands(found: Sequence[Span], length_s: float, top: float) -> list[Plot]:
    """Warm bands through all panels up to `top` of the figure, with a solid edge there."""
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
    """A loop that waited for a processor was not blocked."""
    yield from ((one.at_s, _end_s(one)) for one in gauges.stalls if blocks(one, floor_s))
    yield from _lags(gauges, floor_s)


def _end_s(stall: Stall) -> float:
    return stall.at_s + stall.duration_s


def _lags(gauges: Gauges, floor_s: float) -> Iterator[Span]:
    """Samples above the limit in which no stall was seen: those are known more exactly."""
    known = [(one.at_s, _end_s(one)) for one in gauges.stalls]
    for worker in gauges.workers:
        for low, high in _samples(
            gauges, [lag is not None and lag >= floor_s for lag in worker.loop_lag_s]
        ):
            if not any(begin < high and end > low for begin, end in known):
                yield low, high


def _waits(gauges: Gauges, _: float) -> Iterator[Span]:
    """Samples in which every token was taken and a request waited for one."""
    for worker in gauges.workers:
        yield from _samples(gauges, _exhausted(worker))


def _exhausted(worker: WorkerSeries) -> list[bool]:
    total = worker.tokens_total
    return [
        bool(waiting) and total is not None and (busy or 0) >= total
        for busy, waiting in zip(worker.tokens_busy, worker.tokens_waiting, strict=True)
    ]


def _samples(gauges: Gauges, chosen: Sequence[bool]) -> Iterator[Span]:
    for index, one in enumerate(chosen):
        if one:
            yield index * gauges.interval_s, (index + 1) * gauges.interval_s


SEEN: dict[str, Callable[[Gauges, float], Iterator[Span]]] = {
    "loop_blocked": _blocked,
    "pool_exhausted": _waits,
}
"""The causes that have a begin and an end in time."""

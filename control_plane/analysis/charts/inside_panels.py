"""The panels of a timeline that are seen from inside the target's workers."""

from collections.abc import Sequence
from functools import partial

from control_plane.analysis.charts.axes import scale_of, zero_based_axis
from control_plane.analysis.charts.figure import EndLabel
from control_plane.analysis.charts.outside_panels import step_traces
from control_plane.analysis.charts.stacked_panels import Panel
from control_plane.analysis.charts.trial_axis import (
    Steps,
    TrialSegment,
    Values,
    mean,
    sample_line,
    scaled,
    summed,
    worker_lines,
)
from control_plane.domain.limits import BLOCKED_LOOP_S
from control_plane.domain.result import Gauges
from control_plane.domain.stack_frames import waits
from control_plane.domain.units import SPACE, count, seconds, share

Segments = Sequence[TrialSegment]
TrialGauges = Sequence[Gauges]

LEAST_GC = 5.0
"""The axis of garbage collection reaches this many per cent at least: less is not worth a look."""


def lag_panel(track: Segments, gauges: TrialGauges) -> Panel | None:
    """The longest lag of each worker's event loop in each sample, from zero, linear."""
    lines = worker_lines(track, gauges, partial(_each, name="loop_lag_s"))
    longest = _highest(lines)
    if longest is None:
        return None
    late = longest >= BLOCKED_LOOP_S
    scale, unit = scale_of(max(longest, BLOCKED_LOOP_S / 10))
    in_unit = [(x, scaled(y, scale)) for x, y in lines]
    colour = "$cause" if late else "$ink"
    traces = step_traces(in_unit, colour, 1.5, f"%{{y:,.3~r}}{SPACE}{unit}")
    if late and len(traces) == 1:
        traces[0] |= {"fill": "tozeroy", "fillcolor": "$cause/0.25"}
    blocked = _blocked_share(track, gauges)
    marks = [EndLabel(f"longest {seconds(longest)}", seconds(longest), colour, longest * scale)]
    if late and blocked:
        marks.insert(0, EndLabel(f"blocked {share(min(blocked, 1))}", "", colour, longest * scale))
    axis = zero_based_axis(longest * scale, nticks=3, ticksuffix=f"{SPACE}{unit}")
    limit = BLOCKED_LOOP_S * scale if late else None
    return Panel("Event-loop lag", axis, traces, marks, weight=1.2, limit=limit)


def tokens_panel(track: Segments, gauges: TrialGauges) -> Panel | None:
    """Threads of the pool at work and requests waiting for one, over all workers; dashed: all."""
    busy, waiting = (
        sample_line(track, gauges, partial(_sum, name=name))
        for name in ("tokens_busy", "tokens_waiting")
    )
    most = _highest([busy])
    if most is None:
        return None
    total = max((_tokens(one) for one in gauges), default=0)
    queue = _highest([waiting]) or 0
    full = bool(total and most >= total)
    colour = "$cause" if full and queue else "$ink"
    traces = step_traces([busy], colour, 2.0, "%{y:,.3~r} busy")
    marks = [
        EndLabel(
            f"{count(most)} busy" if most else "none busy", f"{count(most)} busy", colour, most
        )
    ]
    if queue:
        area = {"fill": "tozeroy", "fillcolor": "$cause/0.1"}
        traces = [
            *(
                {**one, **area}
                for one in step_traces([waiting], "$cause", 1.0, "%{y:,.3~r} waiting")
            ),
            *traces,
        ]
        marks.append(EndLabel(f"{count(queue)} waiting", f"{count(queue)} wait", "$cause", queue))
    if total:
        marks.append(EndLabel(f"limit {count(total)}", "", "$ink-3", total))
    axis = zero_based_axis(max(most, queue, total), nticks=3)
    return Panel("Thread-pool tokens", axis, traces, marks, weight=1.2, limit=total or None)


def collection_panel(track: Segments, gauges: TrialGauges) -> Panel | None:
    """Garbage collection of each worker as a share of the time."""
    lines = worker_lines(track, gauges, _collecting)
    highest = _highest(lines)
    average = mean(value for one in gauges for worker in _collecting(one) for value in worker)
    if highest is None or average is None:
        return None
    traces = step_traces(lines, "$ink", 1.5, f"%{{y:.2~r}}{SPACE}%")
    axis = zero_based_axis(max(highest, LEAST_GC), nticks=3, ticksuffix=f"{SPACE}%")
    return Panel(
        "Garbage collection, share of time",
        axis,
        traces,
        [EndLabel(f"mean {share(average / 100)}", "", "$ink", average)],
    )


def flight_panel(track: Segments, gauges: TrialGauges) -> Panel | None:
    """Requests in flight in each worker at the end of each sample."""
    lines = worker_lines(track, gauges, partial(_each, name="in_flight"))
    most = _highest(lines)
    if most is None:
        return None
    said = f"at most {count(most)} in one, at a look" if most else "0 at each look"
    marks = [EndLabel(said, "", "$ink", most)]
    traces = step_traces(lines, "$ink", 1.5, "%{y}")
    title = f"Requests in flight, each worker, looked at every {seconds(gauges[0].interval_s)}"
    return Panel(title, zero_based_axis(most, nticks=3), traces, marks)


def _blocked_share(track: Segments, gauges: TrialGauges) -> float:
    """Of the time of all workers, in stalls that were seen; waiting for a processor is none."""
    stalled_s = sum(
        one.duration_s for each in gauges for one in each.stalls if not waits(one.stack)
    )
    watched_s = sum(
        (segment.end_s - segment.start_s) * len(each.workers)
        for segment, each in zip(track, gauges, strict=False)
    )
    return stalled_s / watched_s if watched_s else 0.0


def _each(gauges: Gauges, name: str) -> list[Values]:
    """One series for each worker."""
    return [getattr(one, name) for one in gauges.workers]


def _sum(gauges: Gauges, name: str) -> Values:
    return summed(_each(gauges, name))


def _tokens(gauges: Gauges) -> int:
    return sum(one.tokens_total or 0 for one in gauges.workers)


def _collecting(gauges: Gauges) -> list[Values]:
    """In per cent."""
    return [scaled(one.gc_s, 100 / gauges.interval_s) for one in gauges.workers]


def _highest(lines: Sequence[Steps]) -> float | None:
    return max(
        (value for _, values in lines for value in values if value is not None), default=None
    )

"""Panels above each other on one axis of time, and those of what processes and workers used."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from control_plane.analysis.charts.figure import (
    Annotations,
    EndLabel,
    Height,
    Plot,
    annotation,
    end_labels,
    label_room,
    line,
    plot,
    plot_height,
    scale_of,
    scaled,
    y_axis,
    zero_based_axis,
)
from control_plane.analysis.charts.timeline_series import (
    Steps,
    TrialSegment,
    Values,
    mean,
    role_cpu,
    sample_line,
    summed,
    worker_lines,
)
from control_plane.domain.limits import BLOCKED_LOOP_S
from control_plane.domain.observations import Gauges
from control_plane.domain.units import SPACE, count, number_of, seconds, share, size

TITLE = 34
"""Pixels above each panel, where its title stands clear of the panel above."""

PANELS_RIGHT = 132
"""Least pixels at the right of panels: the labels of most figures fit, whatever they say."""

NARROW_PANELS_RIGHT, NARROW_LABEL, NARROW_LETTERS = 16, 60, 50
"""On a small screen: pixels at the right of panels with titles, and of those with labels; letters
of a title.
"""

NARROW_TITLE = {"xshift": -44, "yshift": 7}
"""Pixels: there a title begins above the ticks' texts, clear of them, not where the axis does."""

NAMED_FROM, HALF_NAMED_FROM, NARROW_FROM = 0.1, 0.28, 0.28
"""A field narrower than this part of the axis, also of one half as wide and on a small screen, has
no room for its name beside the first tick."""

LEAST_GC = 5.0
"""The axis of garbage collection reaches this many per cent at least: less is not worth a look."""

ROLES = {"target": ("$ink", 2.0), "client": ("$ink-3", 1.5)}
"""Colour and width of the line of each kind of process."""

MB = 1_000_000

Segments = Sequence[TrialSegment]
TrialGauges = Sequence[Gauges]


@dataclass(frozen=True)
class Panel:
    """One plotting area of a figure that has several: its y axis, traces and labels.

    `weight` is its part of the height. A `limit` is dashed over the whole width. `short` is its
    title where room is scarce.
    """

    title: str
    axis: Plot
    traces: Sequence[Plot]
    labels: Sequence[EndLabel] = field(default_factory=tuple)
    weight: float = 1.0
    limit: float | None = None
    short: str = ""


def stacked(panels: Sequence[Panel], x: Plot, height: Height) -> Plot:
    """Return one figure with the first panel on top; traces get the axis of their panel."""
    domains = _domains(panels, plot_height(height))
    data: list[Plot] = []
    axes: dict[str, Any] = {"xaxis": {**x, "anchor": _axis_name(len(panels))}}
    wide: list[Plot] = []
    narrow: list[Plot] = []
    for index, (panel, domain) in enumerate(zip(panels, domains, strict=True), start=1):
        y = _axis_name(index)
        data += [{**trace, "yaxis": y} for trace in panel.traces]
        axes["yaxis" + y[1:]] = {**panel.axis, "domain": domain}
        pixels = (domain[1] - domain[0]) * plot_height(height)
        if panel.title:
            wide.append(_title(panel.title, domain[1]))
            narrow.append(_title(_narrow_title(panel), domain[1]) | NARROW_TITLE)
        else:
            narrow += end_labels(panel.labels, panel.axis, pixels, short=True, yref=y)
        wide += end_labels(panel.labels, panel.axis, pixels, short=False, yref=y)
    limits = [
        _limit(panel.limit, _axis_name(index))
        for index, panel in enumerate(panels, start=1)
        if panel.limit is not None
    ]
    right = label_room([label.text for panel in panels for label in panel.labels], PANELS_RIGHT)
    narrow_right = NARROW_PANELS_RIGHT if all(panel.title for panel in panels) else NARROW_LABEL
    return plot(data, axes, Annotations(wide, narrow, right, narrow_right), limits)


def _domains(panels: Sequence[Panel], pixels: int) -> list[list[float]]:
    titles = [TITLE if panel.title else 6 for panel in panels]
    room = (pixels - sum(titles)) / sum(panel.weight for panel in panels)
    top, domains = float(pixels), []
    for panel, title in zip(panels, titles, strict=True):
        high = top - title
        top = high - room * panel.weight
        domains.append([round(max(top, 0) / pixels, 4), round(high / pixels, 4)])
    return domains


def _axis_name(index: int) -> str:
    return "y" if index == 1 else f"y{index}"


def _title(text: str, top: float) -> Plot:
    place = {"xanchor": "left", "xshift": 0, "yref": "paper", "yanchor": "bottom", "x": 0}
    return {**annotation(text, "$ink", y=top, shift=4), **place}


def _narrow_title(panel: Panel) -> str:
    """Return the title of a small screen, and as many labels behind it as fit on one line."""
    title, text = panel.short or panel.title.partition(",")[0], ""
    for label in panel.labels:
        longer = f"{text}, {label.text}" if text else f"{title}: {label.text}"
        if len(longer) > NARROW_LETTERS:
            break
        text = longer
    return text or title


def _limit(value: float, y: str) -> Plot:
    dashed = {"color": "$ink-3", "width": 1, "dash": "dash"}
    place = {"xref": "paper", "x0": 0, "x1": 1, "yref": y, "y0": value, "y1": value}
    return {"type": "line", "layer": "below", "line": dashed, **place}


def add_warmup(drawn: Plot, segments: Segments, *, named_from: float = NAMED_FROM) -> None:
    """Add a grey field for each warm-up, up to the top of the first panel; the name stands below
    the first, where the axis has no ticks: it counts from the window.

    Not where the field is a smaller part of the axis than `named_from`.
    """
    layout, narrow = drawn["layout"], drawn["narrow"]
    warm = [segment for segment in segments if segment.begin_s < segment.start_s]
    top = layout["yaxis"]["domain"][1]
    layout["shapes"] += [
        {
            "type": "rect",
            "xref": "x",
            "yref": "paper",
            "x0": round(segment.begin_s, 3),
            "x1": segment.start_s,
            "y0": 0,
            "y1": top,
            "layer": "below",
            "line": {"width": 0},
            "fillcolor": "$well-2",
        }
        for segment in warm
    ]
    first, last = layout["xaxis"]["range"]
    for place, least in ((layout, named_from), (narrow, NARROW_FROM)):
        if warm and warm[0].lead_s >= least * (last - first):
            place["annotations"] += [_warmup_name(warm[0])]


def _warmup_name(segment: TrialSegment) -> Plot:
    return annotation(
        "warm-up",
        "$ink-2",
        y=0,
        shift=-6,
        x=round(segment.start_s - segment.lead_s / 2, 3),
        xref="x",
        yref="paper",
        xshift=0,
        xanchor="center",
        yanchor="top",
        font={"color": "$ink-2", "size": 12},
    )


def hover(shown: str) -> Plot:
    """Return the keys of a trace for what hovering shows of each second.

    `shown` is `$time`, `$rate` or `$share`, which the page's script writes of each value, or
    Plotly's format of it.
    """
    written = {"text": shown} if shown.startswith("$") else {}
    value = "%{text}" if written else shown
    return {**written, "hovertemplate": f"%{{x:.0f}}{SPACE}s: {value}<extra></extra>"}


def step_trace(steps: Steps, colour: str, width: float, shown: str) -> Plot:
    """Return a line of steps; hovering shows its values as `hover` says."""
    return line(*steps, colour, width, stroke={"shape": "hv"}, connectgaps=False, **hover(shown))


def _gauge_traces(lines: Sequence[Steps], colour: str, width: float, shown: str) -> list[Plot]:
    """Return a line of steps for each series of samples; `shown` is Plotly's format of a value."""
    return [
        line(
            *steps,
            colour,
            width,
            stroke={"shape": "hv"},
            connectgaps=False,
            hovertemplate=f"%{{x:.1f}}{SPACE}s: {shown}<extra></extra>",
        )
        for steps in lines
    ]


def cpu_panel(
    segments: Segments, gauges: TrialGauges, title: str = "CPU, share of one core", cores: int = 1
) -> Panel:
    """Return the CPU of all target processes and all load workers; dashed at the target's cores."""
    steps = {role: sample_line(segments, gauges, partial(role_cpu, role=role)) for role in ROLES}
    high = max(float(cores), _highest([*steps.values()]) or 0.0)
    traces = [step_trace(steps[role], *look, "$share") for role, look in ROLES.items()]
    means = {role: mean(cpu for trial in gauges for cpu in role_cpu(trial, role)) for role in ROLES}
    labels = [
        EndLabel(f"{role} mean {share(value)}", role, ROLES[role][0], value)
        for role, value in means.items()
        if value is not None
    ]
    if labels:
        labels.append(EndLabel(number_of(cores, "core"), "", "$ink-3", cores))
    return Panel(title, core_axis(high), traces, labels, limit=cores)


def core_axis(high: float) -> Plot:
    """Return an axis of shares of one core, up to one at least, with ticks at halves or cores."""
    step = 0.5 if high <= 1.25 else max(1, round(high / 2))
    ticks = [step * count for count in range(int(1.08 * high / step) + 1)]
    texts = [f"{100 * tick:.0f}{SPACE}%" if tick else "0" for tick in ticks]
    return y_axis(range=[0, 1.08 * high], tickvals=ticks, ticktext=texts)


def memory_panel(segments: Segments, gauges: TrialGauges) -> Panel | None:
    """Return the memory of each process of target and client; None where nothing was sampled."""
    traces: list[Plot] = []
    labels = []
    for role, (colour, width) in ROLES.items():
        lines = worker_lines(segments, gauges, partial(_memory, role=role))
        highest = _highest(lines)
        if highest:
            many = max(len(_memory(trial, role)) for trial in gauges)
            whose = role if many == 1 else f"{many} {role} ≤"
            labels.append(EndLabel(f"{whose} {size(highest * MB)}", role, colour, highest))
            traces += _gauge_traces(lines, colour, width, f"%{{y:,.3~r}}{SPACE}MB")
    high = max((label.place for label in labels), default=0.0)
    axis = zero_based_axis(high, nticks=3, ticksuffix=f"{SPACE}MB")
    return Panel("Memory of each process", axis, traces, labels) if labels else None


def _memory(gauges: Gauges, role: str) -> list[Values]:
    """Return one series in MB for each process; None before it came and after it went."""
    return [
        [value / MB or None for value in process.memory_bytes]
        for process in gauges.processes
        if process.role == role and process.pid
    ]


def lag_panel(
    segments: Segments, gauges: TrialGauges, *, stalled: float, blocked: bool | None = True
) -> Panel | None:
    """Return the longest lag of each worker's loop in each sample; None where it was not seen.

    `stalled`: the `blocked_share` of these trials. `blocked`: whether that is the cause found; None
    where that is not decided.
    """
    lines = worker_lines(segments, gauges, partial(_by_worker, name="loop_lag_s"))
    longest = _highest(lines)
    if longest is None:
        return None
    late = longest >= BLOCKED_LOOP_S
    scale, unit = scale_of(max(longest, BLOCKED_LOOP_S / 10))
    in_unit = [(x, scaled(y, scale)) for x, y in lines]
    colour = "$cause" if late and blocked else "$ink"
    traces = _gauge_traces(in_unit, colour, 1.5, f"%{{y:,.3~r}}{SPACE}{unit}")
    if late and blocked and len(traces) == 1:
        traces[0] |= {"fill": "tozeroy", "fillcolor": "$cause/0.25"}
    labels = [EndLabel(f"longest {seconds(longest)}", seconds(longest), colour, longest * scale)]
    if late and blocked is not False and stalled:
        said = f"blocked {share(stalled)}" if blocked else f"late {share(stalled)}, not decided"
        labels.insert(0, EndLabel(said, "", colour, longest * scale))
    axis = zero_based_axis(longest * scale, nticks=3, ticksuffix=f"{SPACE}{unit}")
    limit = BLOCKED_LOOP_S * scale if late else None
    return Panel("Event-loop lag", axis, traces, labels, weight=1.2, limit=limit)


def tokens_panel(segments: Segments, gauges: TrialGauges) -> Panel | None:
    """Return threads of the pool at work and requests that wait for one; None where not seen."""
    busy = sample_line(segments, gauges, lambda trial: summed(_by_worker(trial, "tokens_busy")))
    waiting = sample_line(
        segments, gauges, lambda trial: summed(_by_worker(trial, "tokens_waiting"))
    )
    most = _highest([busy])
    if most is None:
        return None
    total = max(
        (sum(worker.tokens_total or 0 for worker in trial.workers) for trial in gauges), default=0
    )
    queue = _highest([waiting]) or 0
    colour = "$cause" if queue and total and most >= total else "$ink"
    text = f"{count(most)} busy"
    traces = _gauge_traces([busy], colour, 2.0, "%{y:,.3~r} busy")
    labels = [EndLabel(text if most else "none busy", text, colour, most)]
    if queue:
        (area,) = _gauge_traces([waiting], "$cause", 1.0, "%{y:,.3~r} waiting")
        traces.insert(0, {**area, "fill": "tozeroy", "fillcolor": "$cause/0.1"})
        labels.append(EndLabel(f"{count(queue)} waiting", f"{count(queue)} wait", "$cause", queue))
    if total:
        labels.append(EndLabel(f"limit {count(total)}", "", "$ink-3", total))
    axis = zero_based_axis(max(most, queue, total), nticks=3)
    return Panel("Thread-pool tokens", axis, traces, labels, weight=1.2, limit=total or None)


def collection_panel(segments: Segments, gauges: TrialGauges) -> Panel | None:
    """Return garbage collection of each worker as a share of the time."""
    lines = worker_lines(segments, gauges, _collection_shares)
    highest = _highest(lines)
    average = mean(
        value for trial in gauges for worker in _collection_shares(trial) for value in worker
    )
    if highest is None or average is None:
        return None
    traces = _gauge_traces(lines, "$ink", 1.5, f"%{{y:.2~r}}{SPACE}%")
    axis = zero_based_axis(max(highest, LEAST_GC), nticks=3, ticksuffix=f"{SPACE}%")
    labels = [EndLabel(f"mean {share(average / 100)}", "", "$ink", average)]
    return Panel("Garbage collection, share of time", axis, traces, labels)


def _collection_shares(gauges: Gauges) -> list[Values]:
    """Return one series in per cent for each worker."""
    return [scaled(worker.gc_s, 100 / gauges.interval_s) for worker in gauges.workers]


def flight_panel(segments: Segments, gauges: TrialGauges) -> Panel | None:
    """Return requests in flight in each worker at the end of each sample."""
    lines = worker_lines(segments, gauges, partial(_by_worker, name="in_flight"))
    most = _highest(lines)
    if most is None:
        return None
    text = f"at most {count(most)} in one, at a look" if most else "0 at each look"
    traces = _gauge_traces(lines, "$ink", 1.5, "%{y}")
    title = f"Requests in flight, each worker, looked at every {seconds(gauges[0].interval_s)}"
    axis = zero_based_axis(most, nticks=3)
    return Panel(title, axis, traces, [EndLabel(text, "", "$ink", most)])


def _by_worker(gauges: Gauges, name: str) -> list[Values]:
    """Return one series of samples for each worker."""
    return [getattr(worker, name) for worker in gauges.workers]


def _highest(lines: Sequence[Steps]) -> float | None:
    known = [value for _, values in lines for value in values if value is not None]
    return max(known, default=None)

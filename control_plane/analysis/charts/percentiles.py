"""The percentile chart: the times of one run, or of several."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from control_plane.analysis.charts.curve import Curve, nines, percentile_axis, shares
from control_plane.analysis.charts.figure import (
    CHART_HEIGHT,
    FIRST,
    LAST,
    PERCENTILE_TICKS,
    EndLabel,
    Figure,
    Floats,
    Plot,
    Table,
    annotation,
    line,
    line_plot,
    linear_time_axis,
    log_range,
    milliseconds,
    rounded,
    time_axis,
)
from control_plane.analysis.deciding.critical_values import student
from control_plane.domain.times_and_percentiles import (
    FULL,
    GREYED,
    furthest_share,
    no_answer_text,
)
from control_plane.domain.units import figures, seconds

STEP = 0.05
"""Distance of neighbouring points on the percentile axis."""

AHEAD = 1 / 1.1
"""One run is said to be faster where it takes at most this share of any other's time."""

ROUNDING = 1e-9
"""Places closer than this are one: they come from rounded shares."""

DOUBTED = ("Response time", "at each percentile")
"""The title where no curve may be believed, or none be set against another."""

SHORTEST_CURVE = nines(0.9)
"""A figure that ends before p90 is hardly more than a point."""

NO_CURVE = "A curve needs 100 samples: then 10 lie above p90. What is known stands in the table."

DOTTED = "dotted: under 100 samples above"

DOTTED_NOTE = annotation(
    DOTTED,
    "$ink-3",
    y=0,
    xanchor="right",
    xshift=-2,
    yref="paper",
    yanchor="bottom",
    font={"color": "$ink-3", "size": 11},
)


CurveKind = Literal["run", "machine", "stream"]


def percentile_chart(
    curves: Sequence[Curve], kind: CurveKind = "run", *, linear: bool = False
) -> Figure:
    """Return a line for each curve, dotted where 10 to 99 samples lie beyond, and ending there.

    It ends where the requests without an answer begin, too, with a mark at their deadline. The
    curves are runs, those of several machines, or the streams of one run; of machines the title
    says not which is faster. The axis of times is a log one unless `linear`.
    """
    drawn = [(curve, _points(curve)) for curve in curves]
    drawn = [(curve, points) for curve, points in drawn if len(points[0])]
    end = max((float(points[0][-1]) for _, points in drawn), default=FIRST)
    limits = [limit for curve, points in drawn if (limit := _deadline(curve, *points))]
    bounds = _bounds([points for _, points in drawn], limits)
    bands = [band for curve, (places, _) in drawn if (band := _band(curve, places))]
    data = [*bands, *(trace for curve, points in drawn for trace in _traces(curve, *points))]
    fades = any(last_place(curve, FULL) < last_place(curve, GREYED) for curve, _ in drawn)
    note = [DOTTED_NOTE] if fades else []
    believed = [curve for curve in curves if curve.believed]
    told = (believed or not curves) and kind != "machine"
    title, rest = _title_of(believed, kind) if told else DOUBTED
    rest = "; ".join(filter(None, (rest, _cut_off(curves))))
    return Figure(
        name="percentiles",
        title=title,
        note=rest,
        label=f"{title} {rest}".strip(),
        plot=line_plot(
            data,
            (percentile_axis(end), linear_time_axis(bounds) if linear else time_axis(bounds)),
            _end_labels(drawn, linear=linear),
            CHART_HEIGHT,
            note,
        ),
        table=_table(curves),
        height=CHART_HEIGHT,
        empty="" if end >= SHORTEST_CURVE - ROUNDING else NO_CURVE,
    )


def last_place(curve: Curve, beyond: int) -> float:
    """Return where on the percentile axis fewer than `beyond` samples begin to lie beyond.

    Or where the requests without an answer begin, if that is nearer.
    """
    return min(nines(furthest_share(curve.samples, beyond)), answered_place(curve), LAST)


def answered_place(curve: Curve) -> float:
    """Return where on the percentile axis the requests without an answer begin."""
    return nines(1 - curve.unanswered.share)


def _ends_unanswered(curve: Curve) -> bool:
    """Whether it ends because of requests without an answer, and not for lack of samples."""
    return answered_place(curve) < min(nines(furthest_share(curve.samples, GREYED)), LAST)


def _deadline(curve: Curve, places: Floats, times: Floats) -> float | None:
    """Return how long was waited where the curve ends for lack of answers; None elsewhere."""
    waited_s = curve.unanswered.max_wait_s
    if not waited_s or not len(places) or not _ends_unanswered(curve):
        return None
    deadline_s = curve.unanswered.deadline_s
    limit_s = min(waited_s, deadline_s) if deadline_s else waited_s
    return max(limit_s, float(times[-1]))


def _cut_off(curves: Sequence[Curve]) -> str:
    """Return which curves end for lack of answers; empty where none does."""
    found = [curve for curve in curves if curve.clock == "response" and _ends_unanswered(curve)]
    if len(found) == 1 and sum(curve.clock == "response" for curve in curves) == 1:
        return no_answer_text(found[0].unanswered)
    return "; ".join(f"{curve.short}: {no_answer_text(curve.unanswered)}" for curve in found)


def _points(curve: Curve) -> tuple[Floats, Floats]:
    """Return places on the percentile axis and seconds; empty where even p50 lacks support."""
    last = last_place(curve, GREYED)
    if last < FIRST:
        return np.zeros(0), np.zeros(0)
    inner = {
        FIRST,
        last,
        min(last_place(curve, FULL), last),
        *map(nines, PERCENTILE_TICKS.values()),
    }
    places = np.union1d(np.arange(FIRST, last, STEP), sorted(inner))
    places = places[(places >= FIRST) & (places <= last)]
    return places, curve.samples.quantiles_ns(shares(places)) / 1e9


def _traces(curve: Curve, places: Floats, times: Floats) -> list[Plot]:
    full = last_place(curve, FULL)
    solid, rest = places <= full + ROUNDING, places >= full - ROUNDING
    at_ticks = np.isin(places, [nines(share) for share in PERCENTILE_TICKS.values()]) & solid
    dash = {"dash": "dash"} if curve.dashed else {}
    parts = ((solid, dash, 2.0), (rest, {"dash": "dot"}, 1.5))
    traces = [
        line(
            rounded(places[part]),
            rounded(times[part]),
            curve.colour,
            width,
            stroke=stroke,
            opacity=curve.opacity,
            name=curve.short,
            text="$percentile",
            hovertemplate=f"{_hovered(curve)} %{{text}}<extra></extra>",
        )
        for part, stroke, width in parts
        if part.sum() > 1
    ]
    marks = [_marks(curve, places[at_ticks], times[at_ticks])]
    limit_s = _deadline(curve, places, times)
    return [*traces, *marks, *([_wall(curve, places, times, limit_s)] if limit_s else [])]


FEWEST_BLOCKS = 3
"""A band needs so many trials."""


def _band(curve: Curve, places: Floats) -> Plot | None:
    """Return the 95 % band of a curve, from the percentiles of each trial; None for fewer than 3.

    It ends where some trial has fewer than 10 samples beyond.
    """
    if len(curve.blocks) < FEWEST_BLOCKS or not curve.believed:
        return None
    last = min(nines(furthest_share(samples, GREYED)) for samples in curve.blocks)
    inside = places[places <= last]
    if len(inside) <= 1:
        return None
    logs = np.log([samples.quantiles_ns(shares(inside)) / 1e9 for samples in curve.blocks])
    reach = student(0.05, len(logs) - 1) * logs.std(axis=0, ddof=1) / len(logs) ** 0.5
    low, high = (np.exp(logs.mean(axis=0) + side * reach) for side in (-1, 1))
    shape = {"fill": "toself", "fillcolor": f"{curve.colour}/0.16", "hoverinfo": "skip"}
    around = np.concatenate([inside, inside[::-1]]), np.concatenate([low, high[::-1]])
    return line(rounded(around[0]), rounded(around[1]), curve.colour, 0, **shape)


def _wall(curve: Curve, places: Floats, times: Floats, limit_s: float) -> Plot:
    """Return a line from the end of the curve up to how long was waited, with a mark there."""
    ends = np.array([times[-1], limit_s])
    return line(
        rounded(places[[-1, -1]]),
        rounded(ends),
        curve.colour,
        1.5,
        stroke={"dash": "dot"},
        opacity=curve.opacity,
        mode="lines+markers",
        marker={"symbol": ["circle", "x"], "size": [1, 9], "color": curve.colour},
        name=curve.short,
        text=[no_answer_text(curve.unanswered)] * 2,
        hovertemplate=f"{_hovered(curve)}: %{{text}}<extra></extra>",
    )


def _hovered(curve: Curve) -> str:
    """Return what a curve is called beside the pointer; those of other clocks name theirs."""
    clock = " response time" if curve.paired and curve.clock == "response" else ""
    return f"%{{fullData.name}}{clock}"


def _marks(curve: Curve, places: Floats, times: Floats) -> Plot:
    return {
        "type": "scatter",
        "mode": "markers",
        "x": rounded(places),
        "y": rounded(times),
        "marker": {"symbol": curve.symbol, "size": 8, "color": curve.colour},
        "opacity": curve.opacity,
        "hoverinfo": "skip",
    }


def _bounds(
    points: Sequence[tuple[Floats, Floats]], limits_s: Sequence[float]
) -> tuple[float, float]:
    if not points:
        return log_range(0.001, 1.0)
    low = min(float(times[0]) for _, times in points)
    return log_range(max(low, 1e-9), max(*(float(times[-1]) for _, times in points), *limits_s, 0))


def _end_labels(
    drawn: Sequence[tuple[Curve, tuple[Floats, Floats]]], *, linear: bool
) -> list[EndLabel]:
    """Return the name of each line at its end; of one line alone a small screen has none."""
    alone = sum(curve.clock == "response" for curve, _ in drawn) == 1
    return [
        EndLabel(
            curve.text,
            _short(curve, alone=alone) if len(drawn) > 1 else "",
            curve.text_colour,
            float(times[-1]) if linear else round(float(np.log10(times[-1])), 4),
        )
        for curve, (_, times) in drawn
    ]


def _short(curve: Curve, *, alone: bool) -> str:
    """Return the label of a small screen; `alone`: the clocks of one stream."""
    if alone:
        return curve.clock
    return f"{curve.id} {curve.clock}" if curve.paired else curve.short


def _title_of(curves: Sequence[Curve], kind: CurveKind) -> tuple[str, str]:
    """Return the title of the response times, or of what lies between two clocks of one stream."""
    response = [curve for curve in curves if curve.clock == "response"]
    service = [curve for curve in curves if curve.clock == "service"]
    if len(response) != 1 or not service or not (ticks := _common_ticks(curves)):
        return _title(response, kind)
    last = ticks[-1]
    added_s = response[0].ticks[last] - service[0].ticks[last]
    return f"Waiting to be sent adds {seconds(max(added_s, 0))} at {last}", ""


def _title(curves: Sequence[Curve], kind: CurveKind) -> tuple[str, str]:
    """Return what is seen, and up to where."""
    ticks = _common_ticks(curves)
    if not ticks:
        return _doubtful_title(curves), ""
    last = ticks[-1]
    if len(curves) == 1:
        far, near = curves[0].ticks[last], curves[0].ticks["p50"]
        if last == "p50" or not near:
            return f"p50 is {seconds(near)}", ""
        return f"{last} is {figures(far / near, 2)} times p50", "response time"
    leaders = {tick: _leader(curves, tick) for tick in ticks}
    if None not in leaders.values() and len(set(leaders.values())) == 1:
        best = "faster" if len(curves) == 2 else "fastest"
        return f"{leaders[last]} is {best} at every percentile", f"up to {last}"
    first = leaders["p50"]
    if first and leaders[last] and first != leaders[last]:
        where = "in these runs" if kind == "run" else "in this run"
        return f"{first} is faster at p50, {leaders[last]} at {last}", where
    return f"No {kind} is clearly faster at every percentile", f"up to {last}"


def _doubtful_title(curves: Sequence[Curve]) -> str:
    """Return the title of curves that have no percentile of full support in common."""
    if all(last_place(curve, GREYED) < SHORTEST_CURVE - ROUNDING for curve in curves):
        return "Too few samples for percentiles"
    rough = "Few samples: its percentiles are rough"
    return rough if len(curves) == 1 else "Too few samples to say which is faster"


def _common_ticks(curves: Sequence[Curve]) -> list[str]:
    """Return the ticks at which every curve has full support."""
    far = min((last_place(curve, FULL) for curve in curves), default=0.0)
    return [name for name, share in PERCENTILE_TICKS.items() if nines(share) <= far + ROUNDING]


def _leader(curves: Sequence[Curve], tick: str) -> str | None:
    """Return the curve that is clearly faster there than all others; None where there is none."""
    first, second, *_ = sorted(curves, key=lambda curve: curve.ticks[tick])
    return first.short if first.ticks[tick] <= AHEAD * second.ticks[tick] else None


def _table(curves: Sequence[Curve]) -> Table:
    columns = ("", *(f"{tick}, ms" for tick in PERCENTILE_TICKS), "samples")
    rows = []
    for curve in curves:
        shown = [
            milliseconds(curve.ticks[tick])
            if nines(share) <= last_place(curve, GREYED) + ROUNDING
            else None
            for tick, share in PERCENTILE_TICKS.items()
        ]
        rows.append((curve.name, *shown, curve.samples.total))
    return Table(columns, tuple(rows))

"""The shift plot: how much later than the baseline, at each percentile."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from control_plane.analysis.charts.curve import Curve, nines, percentile_axis, shares
from control_plane.analysis.charts.figure import (
    CHART_HEIGHT,
    FIRST,
    PERCENTILE_TICKS,
    EndLabel,
    Figure,
    Floats,
    Plot,
    Table,
    line,
    line_plot,
    scale_of,
    y_axis,
)
from control_plane.analysis.charts.percentiles import ROUNDING, last_place
from control_plane.analysis.prose import joined
from control_plane.domain.times_and_percentiles import FULL
from control_plane.domain.units import SPACE, figures

POINTS = 60

SHORTEST_SHIFT = 0.2
"""A line shorter than this on the percentile axis (p50 to p68) shows nothing."""


TOO_FEW_FOR_SHIFT = (
    "Two runs with about 320 samples each are needed: then 100 lie above p68 in both. What is "
    "known stands in the table."
)


@dataclass(frozen=True)
class _Shift:
    """Differences in the unit of the axis at places of the percentile axis; both may be empty."""

    curve: Curve
    places: Floats
    values: Floats


def shift_chart(curves: Sequence[Curve], baseline: str) -> Figure | None:
    """Return how much later than the baseline each run is, up to where both have full support.

    None unless baseline and another run are drawn.
    """
    base = next((curve for curve in curves if curve.id == baseline), None)
    others = [curve for curve in curves if curve.id != baseline]
    if base is None or not others:
        return None
    in_seconds = [_shift(base, curve) for curve in others]
    furthest = max(float(np.abs(shift.values).max(initial=0.0)) for shift in in_seconds)
    scale, unit = scale_of(furthest)
    shifts = [replace(shift, values=shift.values * scale) for shift in in_seconds]
    drawn = [_flat(base, shifts), *(shift for shift in shifts if len(shift.places))]
    bounds = _bounds(drawn)
    ticks = round_ticks(*bounds)
    texts = [f"{signed(tick)}{SPACE}{unit}" for tick in ticks]
    y = y_axis(range=list(bounds), tickvals=ticks, ticktext=texts)
    end = float(drawn[0].places[-1])
    return Figure(
        name="shift",
        title=f"How much later than {base.short}",
        note=f"difference at each percentile{_left_out(shifts)}",
        label=_message(base, shifts, unit),
        plot=line_plot(
            [_trace(shift, unit) for shift in drawn],
            (percentile_axis(end), y),
            [_end_label(shift) for shift in drawn],
            CHART_HEIGHT,
        ),
        table=_table(base, others),
        height=CHART_HEIGHT,
        empty="" if any(len(shift.places) for shift in shifts) else TOO_FEW_FOR_SHIFT,
    )


def _left_out(shifts: Sequence[_Shift]) -> str:
    """Return which runs have too few samples for a line beside others that have one."""
    without = [shift.curve.short for shift in shifts if not len(shift.places)]
    some = without and len(without) < len(shifts)
    return f"; too few samples of {joined(without)}" if some else ""


def _common(base: Curve, curve: Curve) -> float:
    return min(last_place(base, FULL), last_place(curve, FULL))


def _shift(base: Curve, curve: Curve) -> _Shift:
    """Return the differences in seconds; empty where hardly any percentile has full support."""
    last = _common(base, curve)
    if last < FIRST + SHORTEST_SHIFT:
        return _Shift(curve, np.zeros(0), np.zeros(0))
    places = np.linspace(FIRST, last, POINTS)
    found = [side.samples.quantiles_ns(shares(places)) for side in (curve, base)]
    return _Shift(curve, places, (found[0] - found[1]) / 1e9)


def _flat(base: Curve, shifts: Sequence[_Shift]) -> _Shift:
    end = max((float(shift.places[-1]) for shift in shifts if len(shift.places)), default=FIRST + 1)
    return _Shift(base, np.array([FIRST, end]), np.zeros(2))


def _bounds(drawn: Sequence[_Shift]) -> tuple[float, float]:
    low = min(float(shift.values.min()) for shift in drawn)
    high = max(float(shift.values.max()) for shift in drawn)
    room = 0.08 * (high - low) or 1.0
    return low - room, high + room


def round_ticks(low: float, high: float) -> list[float]:
    """Return about five round values, zero among them."""
    rough = (high - low) / 5
    power = 10.0 ** np.floor(np.log10(rough))
    step = next(step * power for step in (1, 2, 5, 10) if step * power >= rough)
    first, last = int(np.ceil(low / step)), int(np.floor(high / step))
    return [float(f"{step * count:.6g}") for count in range(first, last + 1)]


def _trace(shift: _Shift, unit: str) -> Plot:
    # The page's script writes both: with as many digits as change none of the few that it shows.
    return line(
        np.round(shift.places, 8).tolist(),
        np.round(shift.values, 8).tolist(),
        shift.curve.colour,
        opacity=shift.curve.opacity,
        stroke={"dash": "dash"} if shift.curve.dashed else {},
        name=shift.curve.short,
        text="$shift",
        hovertemplate=f"%{{fullData.name}} %{{text}}{SPACE}{unit}<extra></extra>",
    )


def _end_label(shift: _Shift) -> EndLabel:
    end = float(f"{float(shift.values[-1]):.4g}")
    return EndLabel(shift.curve.text, shift.curve.short, shift.curve.text_colour, end)


def _message(base: Curve, shifts: Sequence[_Shift], unit: str) -> str:
    phrases = [
        f"{shift.curve.short} {figures(abs(float(shift.values[-1])))} {unit} "
        f"{'later' if shift.values[-1] > 0 else 'earlier'}"
        for shift in shifts
        if len(shift.values)
    ]
    return (
        f"Difference to {base.short} at the furthest percentile: {', '.join(phrases) or 'unknown'}"
    )


def _table(base: Curve, others: Sequence[Curve]) -> Table:
    rows = tuple((curve.name, *_differences(base, curve)) for curve in others)
    return Table(("", *(f"{tick}, ms" for tick in PERCENTILE_TICKS)), rows)


def _differences(base: Curve, curve: Curve) -> list[float | None]:
    ticks = np.array(list(PERCENTILE_TICKS.values()))
    found = (curve.samples.quantiles_ns(ticks) - base.samples.quantiles_ns(ticks)) / 1e6
    common = _common(base, curve) + ROUNDING
    return [
        float(f"{value:.4g}") if nines(share) <= common else None
        for share, value in zip(ticks, found, strict=True)
    ]


def signed(value: float) -> str:
    """Return `+30`, `−2.5`, `+1,500`, `0`."""
    if value == 0:
        return "0"
    size = abs(value)
    return ("+" if value > 0 else "−") + (f"{size:,.0f}" if size >= 1_000 else f"{size:.3g}")

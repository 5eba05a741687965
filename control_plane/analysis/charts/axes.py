"""Axes of times, rates, shares and percentiles, with ticks that people read."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from control_plane.analysis.charts.figure import Plot, x_axis, y_axis
from control_plane.domain.units import SPACE

Floats = NDArray[np.float64]

PERCENTILE_TICKS = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999, "p99.99": 0.9999}
FIRST, LAST = math.log10(2), 4.0
"""p50 and p99.99 on the percentile axis."""


def nines(share: float) -> float:
    """The place of a share on the percentile axis: 1 for p90, 2 for p99, 3 for p99.9."""
    return -math.log10(1 - share) if share < 1 else math.inf


def shares(places: Floats) -> Floats:
    """The reverse of `nines`, shape kept."""
    found: Floats = 1 - 10**-places
    return found


def percentile_axis(end: float) -> Plot:
    ticks = {name: nines(share) for name, share in PERCENTILE_TICKS.items()}
    return x_axis(
        range=[FIRST - 0.06, max(end, FIRST + 0.1) + 0.02],
        tickvals=[round(place, 4) for place in ticks.values()],
        ticktext=list(ticks),
        showgrid=True,
        showline=False,
        ticks="",
    )


def log_range(low: float, high: float) -> tuple[float, float]:
    """Decades around the values, with room above and below; at least 0.6 decades apart."""
    low, high = math.log10(low), math.log10(high)
    room = max(0.08 * (high - low), (0.6 - (high - low)) / 2, 0.06)
    return low - room, high + room


def time_axis(bounds: tuple[float, float], most: int = 7, **chosen: Any) -> Plot:
    """A log y axis of seconds; `bounds` in decades as from `log_range`."""
    values = time_ticks(*bounds, most=most)
    texts = [time_text(value) for value in values]
    return y_axis(type="log", range=list(bounds), tickvals=values, ticktext=texts, **chosen)


def time_ticks(low: float, high: float, most: int = 7) -> list[float]:
    """Seconds at 1, 2 and 5 of each decade, or at 1 alone, or at every second, third … decade.

    The first of these that gives at most `most` ticks.
    """
    decades = range(math.floor(low), math.ceil(high) + 1)
    ways = [((1, 2, 5), 1), ((1, 5), 1), *(((1,), every) for every in range(1, len(decades) + 1))]
    for steps, every in ways:
        values = [float(f"{step}e{one}") for one in decades[::every] for step in steps]
        shown = [value for value in values if low <= math.log10(value) <= high]
        if len(shown) <= most:
            return shown
    return []


def time_text(value_s: float) -> str:
    """A round time: `50 µs`, `0.5 ms`, `20 s`."""
    for unit, scale, smallest in (("s", 1.0, 1.0), ("ms", 1e3, 0.1), ("µs", 1e6, 0.1)):
        if value_s * scale >= 0.999 * smallest:
            return f"{value_s * scale:,.4g}{SPACE}{unit}"
    return f"{value_s * 1e9:,.4g}{SPACE}ns"


def short_time(value_s: float) -> str:
    """For the many texts that hovering shows: as `units.seconds`, without trailing zeros."""
    if value_s >= 1:
        return f"{value_s:,.4g}{SPACE}s"
    if value_s >= 0.0001:
        return f"{1e3 * value_s:.3g}{SPACE}ms"
    return f"{1e6 * value_s:.3g}{SPACE}µs"


def zero_based_axis(high: float, **chosen: Any) -> Plot:
    """A y axis of rates or shares that starts at zero, with room above the highest value."""
    own = {"range": [0, 1.08 * high or 1], "rangemode": "tozero", "nticks": 5, "tickformat": ","}
    return y_axis(**{**own, **chosen})


def core_axis(high: float) -> Plot:
    """Shares of one core from zero, at least up to one: ticks at halves, or at whole cores."""
    step = 0.5 if high <= 1.25 else max(1, round(high / 2))
    ticks = [step * count for count in range(int(1.08 * high / step) + 1)]
    texts = [f"{100 * tick:.0f}{SPACE}%" if tick else "0" for tick in ticks]
    return y_axis(range=[0, 1.08 * high], tickvals=ticks, ticktext=texts)


def window_axis(end_s: float, begin_s: float = 0.0, **chosen: Any) -> Plot:
    """Seconds of the window to its end; what lies before it begins below 0 and has no ticks."""
    ticks = _window_ticks(end_s)
    texts = [f"{tick:,g}{SPACE}s" for tick in ticks]
    return x_axis(range=[begin_s, end_s], tickvals=ticks, ticktext=texts, **chosen)


def _window_ticks(end_s: float, most: int = 6) -> list[float]:
    """From 0 to the end in steps of 1, 2 or 5 of a decade: at most so many of them."""
    decade = 10.0 ** math.floor(math.log10(end_s / most))
    step = next(one for one in (1, 2, 5, 10) if end_s / (one * decade) <= most) * decade
    return [float(f"{step * count:.6g}") for count in range(int(end_s / step) + 1)]


def rounded(values: Floats) -> list[float]:
    """Four significant figures: enough for the eye, and short in the page."""
    return [float(f"{value:.4g}") for value in values.tolist()]


def scale_of(value_s: float) -> tuple[float, str]:
    """The factor and unit that make a time readable: (1000, "ms")."""
    size = abs(value_s)
    if size >= 1:
        return 1.0, "s"
    return (1e3, "ms") if size >= 0.001 else (1e6, "µs")


def milliseconds(value_s: float | None) -> float | None:
    """For tables; four significant figures."""
    return None if value_s is None else float(f"{value_s * 1e3:.4g}")


def signed(value: float) -> str:
    """`+30`, `−2.5`, `+1,500`, `0`."""
    if value == 0:
        return "0"
    size = abs(value)
    return ("+" if value > 0 else "−") + (f"{size:,.0f}" if size >= 1_000 else f"{size:.3g}")

"""Figures as data: Plotly's JSON with its axes and labels, the same numbers as a table, a message.

Colours are tokens such as `$run-1` or `$run-1/0.16` (with opacity); the page's script resolves
them from the style sheet. `narrow` in the JSON holds keys of the layout that replace those of
`layout` on a small screen.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from control_plane.domain.units import SPACE

TableValue = str | float | int | None

Plot = dict[str, Any]

Height = Literal[
    "h140", "h220", "h320", "h440", "h500", "h560", "h620", "h700", "h780", "h860", "h940", "h1020"
]  # fmt: skip
CHART_HEIGHT: Height = "h320"

HEIGHTS: tuple[Height, ...] = get_args(Height)
"""From low to high; each is a class of the style sheet."""

TOP, BOTTOM = 12, 30
"""Pixels above and below the plotting area."""

LETTER, BESIDE = 6.7, 10
"""Pixels of a letter of a label, and from the plotting area to its label."""

RIGHT, NARROW_RIGHT = 116, 40
"""Least pixels at the right of the plotting area, also on a small screen."""

LABEL_GAP = 15
"""Pixels between labels at the end of lines."""


@dataclass(frozen=True)
class Table:
    """The numbers of a figure.

    The unit stands in the name of its column; numbers are not rounded for reading.
    """

    columns: tuple[str, ...]
    rows: Sequence[tuple[TableValue, ...]]


@dataclass(frozen=True)
class Figure:
    """One figure as data, with its title and its table.

    `title` says what is seen, `note` stands behind it in lighter ink.
    `label` is the message for those who cannot see the figure; `height` a class of the sheet.
    `empty` stands in place of a figure that has nothing to draw.
    """

    name: str
    title: str
    note: str
    label: str
    plot: Plot
    table: Table
    height: Height
    empty: str = ""


def escaped(text: str) -> str:
    """Return the text of a label without the little markup that Plotly would read in it."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


@dataclass(frozen=True)
class Annotations:
    """Texts in a figure and the pixels at its right; `narrow` replaces `wide` on a small screen.

    Labels that need more than a sensible part of the width of a figure are cut by the page's
    script, which knows that width.
    """

    wide: Sequence[Plot] = ()
    narrow: Sequence[Plot] = ()
    right: int = RIGHT
    narrow_right: int = NARROW_RIGHT


def plot(
    data: Sequence[Plot],
    axes: Mapping[str, Any],
    texts: Annotations,
    shapes: Sequence[Plot] = (),
) -> Plot:
    """Return data and axes in Looplab's manner: hairlines, no frame, labels on the data."""
    layout = {
        "font": {"size": 12, "color": "$ink-2"},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "showlegend": False,
        "hovermode": "closest",
        "dragmode": False,
        "margin": _margin(58, texts.right),
        "annotations": list(texts.wide),
        "shapes": list(shapes),
        **axes,
    }
    narrow = {"margin": _margin(46, texts.narrow_right), "annotations": list(texts.narrow)}
    return {"data": list(data), "layout": layout, "narrow": narrow}


def x_axis(**keys: Any) -> Plot:
    """Return an x axis with a hairline and no grid; any key may be given anew."""
    own = {
        "showgrid": False,
        "zeroline": False,
        "showline": True,
        "linecolor": "$line-2",
        "ticks": "outside",
        "ticklen": 4,
        "tickcolor": "$line-2",
        "gridcolor": "$line",
        "fixedrange": True,
    }
    return {**own, **keys}


def y_axis(**keys: Any) -> Plot:
    """Return a y axis with a horizontal grid and no line; any key may be given anew."""
    return {"showgrid": True, "gridcolor": "$line", "zeroline": False, "fixedrange": True, **keys}


def line(
    x: Sequence[float], y: Sequence[float | None], colour: str, width: float = 2, **keys: Any
) -> Plot:
    """Return a line without marks."""
    stroke = {"color": colour, "width": width, **keys.pop("stroke", {})}
    return {"type": "scatter", "mode": "lines", "x": x, "y": y, "line": stroke, **keys}


def annotation(text: str, colour: str, *, y: float, shift: float = 0, **keys: Any) -> Plot:
    """Return a text at the right of the plotting area, `shift` pixels above its place on y."""
    own = {
        "text": escaped(text),
        "font": {"color": colour, "weight": 600},
        "xref": "paper",
        "x": 1,
        "xanchor": "left",
        "xshift": 8,
        "yref": "y",
        "y": y,
        "yanchor": "middle",
        "yshift": shift,
        "showarrow": False,
    }
    return {**own, **keys}


def label_room(texts: Iterable[str], least: int) -> int:
    """Return the pixels at the right of the plotting area that the longest of the labels needs."""
    return max(least, BESIDE + math.ceil(LETTER * max(map(len, texts), default=0)))


def spread(
    places: Sequence[float], gap: float = LABEL_GAP, within: tuple[float, float] | None = None
) -> list[float]:
    """Move places apart until neighbours are `gap` from each other; order and middle are kept.

    Groups that touch are merged and centred on their mean, as in isotonic regression. They stay
    `within` the bounds where all have room there.
    """
    order = sorted(range(len(places)), key=lambda index: places[index])
    groups: list[tuple[float, list[int]]] = []
    for index in order:
        middle, members = places[index], [index]
        while groups and middle - groups[-1][0] < gap * (len(groups[-1][1]) + len(members)) / 2:
            below, before = groups.pop()
            total = len(before) + len(members)
            middle = (below * len(before) + middle * len(members)) / total
            members = before + members
        groups.append((middle, members))
    moved = [0.0] * len(places)
    for middle, members in groups:
        for rank, index in enumerate(members):
            moved[index] = middle + gap * (rank - (len(members) - 1) / 2)
    if within and within[1] - within[0] >= gap * (len(places) - 1):
        for rank, index in enumerate(order):
            highest = within[1] - gap * (len(places) - 1 - rank)
            moved[index] = max(min(moved[index], highest), within[0] + gap * rank)
    return moved


def plot_height(height: Height) -> int:
    """Return the pixels of the plotting area."""
    return int(height[1:]) - TOP - BOTTOM


def _margin(left: int, right: int) -> Plot:
    return {"l": left, "r": right, "t": TOP, "b": BOTTOM}


@dataclass(frozen=True)
class EndLabel:
    """A label at the right end of a line, at `place` in units of the axis (decades on a log axis).

    Without a `short` text it stands on the wide layout only.
    """

    text: str
    short: str
    colour: str
    place: float


def end_labels(
    labels: Sequence[EndLabel],
    axis: Plot,
    pixels: float,
    *,
    short: bool,
    gap: float = LABEL_GAP,
    **keys: Any,
) -> list[Plot]:
    """Return the labels as annotations, neighbours at least `gap` pixels apart.

    `axis` is the y axis, `pixels` high.
    """
    low, high = axis["range"]
    per_unit = pixels / (high - low)
    within = (low * per_unit, high * per_unit)
    moved = spread([label.place * per_unit for label in labels], gap, within)
    return [
        annotation(
            label.short if short else label.text,
            label.colour,
            y=float(f"{label.place:.5g}"),
            shift=round(place - label.place * per_unit, 1),
            **keys,
        )
        for label, place in zip(labels, moved, strict=True)
        if label.short or not short
    ]


def line_plot(
    data: Sequence[Plot],
    axes: tuple[Plot, Plot],
    labels: Sequence[EndLabel],
    height: Height,
    notes: Sequence[Plot] = (),
) -> Plot:
    """Return one plotting area, its axes x and y, with lines that are named at their ends.

    `notes` stand on the wide layout only.
    """
    wide, narrow = (
        end_labels(labels, axes[1], plot_height(height), short=short) for short in (False, True)
    )
    named = dict(zip(("xaxis", "yaxis"), axes, strict=True))
    right = label_room((label.text for label in labels), RIGHT)
    narrow_right = label_room((label.short for label in labels), NARROW_RIGHT)
    return plot(data, named, Annotations([*wide, *notes], narrow, right, narrow_right))


Floats = NDArray[np.float64]

PERCENTILE_TICKS = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999, "p99.99": 0.9999}

FIRST, LAST = math.log10(2), 4.0
"""p50 and p99.99 on the percentile axis."""


def log_range(low: float, high: float) -> tuple[float, float]:
    """Return decades around the values, with room above and below; at least 0.6 decades apart."""
    low, high = math.log10(low), math.log10(high)
    room = max(0.08 * (high - low), (0.6 - (high - low)) / 2, 0.06)
    return low - room, high + room


def time_axis(bounds: tuple[float, float], most: int = 7, **keys: Any) -> Plot:
    """Return a log y axis of seconds; `bounds` in decades as from `log_range`."""
    values = time_ticks(*bounds, most=most)
    texts = [time_text(value) for value in values]
    return y_axis(type="log", range=list(bounds), tickvals=values, ticktext=texts, **keys)


def linear_time_axis(bounds: tuple[float, float], most: int = 6) -> Plot:
    """Return a y axis of seconds that begins at zero; `bounds` as those of `time_axis`."""
    high = 10.0 ** bounds[1]
    # Steps grow by 2.5 at most, so that with fewer than that many nothing but 0 could be left.
    ticks = _window_ticks(high, most=max(most, 2.5))
    texts = [time_text(tick) if tick else "0" for tick in ticks]
    return y_axis(range=[0, high], tickvals=ticks, ticktext=texts)


def time_ticks(low: float, high: float, most: int = 7) -> list[float]:
    """Return seconds at 1, 2 and 5 of each decade, at 1 alone, or at every second, third … decade.

    The first of these that gives at most `most` ticks. Where that leaves fewer than two, which
    give no scale, the outermost two of those before, of 1 to 9 of each decade at the finest.
    """
    decades = range(math.floor(low), math.ceil(high) + 1)
    coarser = (((1,), every) for every in range(1, len(decades) + 1))
    finest, finer = range(1, 10), list[float]()
    for steps, every in ((finest, 1), ((1, 2, 5), 1), ((1, 5), 1), *coarser):
        values = [float(f"{step}e{decade}") for decade in decades[::every] for step in steps]
        shown = [value for value in values if low <= math.log10(value) <= high]
        if len(shown) < 2 or (len(shown) <= most and steps is not finest):
            break
        finer = shown
    return shown if len(shown) > 1 else finer[:: max(len(finer) - 1, 1)] or shown


def time_text(value_s: float) -> str:
    """Return a round time: `50 µs`, `0.5 ms`, `20 s`."""
    for unit, scale, smallest in (("s", 1.0, 1.0), ("ms", 1e3, 0.1), ("µs", 1e6, 0.1)):
        if value_s * scale >= 0.999 * smallest:
            return f"{value_s * scale:,.4g}{SPACE}{unit}"
    return f"{value_s * 1e9:,.4g}{SPACE}ns"


def short_time(value_s: float) -> str:
    """Return the text of a time for hovering: as `units.seconds`, without trailing zeros."""
    if value_s >= 1:
        return f"{value_s:,.4g}{SPACE}s"
    if value_s >= 0.0001:
        return f"{1e3 * value_s:.3g}{SPACE}ms"
    return f"{1e6 * value_s:.3g}{SPACE}µs"


def zero_based_axis(high: float, **keys: Any) -> Plot:
    """Return a y axis of rates or shares that starts at zero, with room above the highest value."""
    own = {"range": [0, 1.08 * high or 1], "rangemode": "tozero", "nticks": 5, "tickformat": ","}
    return y_axis(**{**own, **keys})


def window_axis(end_s: float, begin_s: float = 0.0, **keys: Any) -> Plot:
    """Return the axis of a window; what lies before it begins below 0 and has no ticks."""
    ticks = _window_ticks(end_s, max(begin_s, 0.0))
    texts = [f"{tick:,g}{SPACE}s" for tick in ticks]
    return x_axis(range=[begin_s, end_s], tickvals=ticks, ticktext=texts, **keys)


def _window_ticks(end_s: float, begin_s: float = 0.0, most: float = 6) -> list[float]:
    """Return at most so many seconds between the ends, in steps of 1, 2 or 5 of a decade."""
    length_s = end_s - begin_s
    decade = 10.0 ** math.floor(math.log10(length_s / most))
    step = next(step for step in (1, 2, 5, 10) if length_s / (step * decade) <= most) * decade
    marks = range(math.ceil(begin_s / step), int(end_s / step) + 1)
    return [float(f"{step * count:.6g}") for count in marks]


def rounded(values: Floats) -> list[float]:
    """Return four significant figures of each: enough for the eye, and short in the page."""
    found: list[float] = _four_figures(values).tolist()
    return found


def scaled(values: Sequence[float | None] | Floats, factor: float = 1.0) -> list[float | None]:
    """Return the values times a factor, with four significant figures."""
    found = _four_figures(np.array(values, np.float64) * factor)
    known: list[float | None] = found.tolist()
    return (
        [None if value != value else value for value in known] if np.isnan(found).any() else known
    )


def _four_figures(values: Floats) -> Floats:
    """Round by exact powers of ten, so that each result is the number nearest to its digits."""
    known = np.isfinite(values) & (values != 0)
    decades = np.floor(np.log10(np.abs(values), out=np.zeros(values.shape), where=known))
    places = np.minimum(np.maximum(3 - decades, 1 - len(_POWERS)), len(_POWERS) - 1).astype(int)
    finer, coarser = _POWERS[np.maximum(places, 0)], _POWERS[np.maximum(-places, 0)]
    rounded: Floats = np.rint(values * finer / coarser) / finer * coarser
    return rounded


_POWERS = np.array([float(f"1e{place}") for place in range(23)])
"""Powers of ten, as far as they are exact."""


def scale_of(value_s: float) -> tuple[float, str]:
    """Return the factor and unit that make a time readable: (1000, "ms")."""
    if abs(value_s) >= 1:
        return 1.0, "s"
    return (1e3, "ms") if abs(value_s) >= 0.001 else (1e6, "µs")


def milliseconds(value_s: float | None) -> float | None:
    """Return a time for tables, with four significant figures."""
    return None if value_s is None else float(f"{value_s * 1e3:.4g}")

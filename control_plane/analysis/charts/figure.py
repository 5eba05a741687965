"""What a page needs of a figure: Plotly's JSON, the same numbers as a table, and its message.

Colours are tokens such as `$run-1` or `$run-1/0.16` (with opacity); the page's script resolves
them from the style sheet. `narrow` in the JSON holds keys of the layout that replace those of
`layout` on a small screen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

Cell = str | float | int | None
Plot = dict[str, Any]

Height = Literal[
    "h140",
    "h220",
    "h320",
    "h440",
    "h500",
    "h560",
    "h620",
    "h700",
    "h780",
    "h860",
    "h940",
    "h1020",
]
HEIGHTS: tuple[Height, ...] = get_args(Height)
"""From low to high; each is a class of the style sheet."""

TOP, BOTTOM = 12, 30
"""Pixels above and below the plotting area."""

LONGEST_LABEL = 16
"""Letters that fit in the right margin."""

LABEL_GAP = 15
"""Pixels between labels at the end of lines."""


@dataclass(frozen=True)
class Table:
    """The unit stands in the name of its column; numbers are not rounded for reading."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True)
class Figure:
    """`title` says what is seen, `note` stands behind it in lighter ink.

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
    """Plotly reads a little markup in labels: names must not be taken for it."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


@dataclass(frozen=True)
class Annotations:
    """Annotations and their room in pixels; `narrow` replaces `wide` on a small screen."""

    wide: Sequence[Plot] = ()
    narrow: Sequence[Plot] = ()
    right: int = 116
    narrow_right: int = 40


def plot(
    data: Sequence[Plot],
    axes: Mapping[str, Any],
    labels: Annotations,
    shapes: Sequence[Plot] = (),
) -> Plot:
    """Data and axes in Looplab's manner: hairlines, no frame, labels on the data."""
    layout = {
        "font": {"size": 12, "color": "$ink-2"},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "showlegend": False,
        "hovermode": "closest",
        "dragmode": False,
        "margin": _margin(58, labels.right),
        "annotations": list(labels.wide),
        "shapes": list(shapes),
        **axes,
    }
    narrow = {
        "margin": _margin(46, labels.narrow_right),
        "annotations": list(labels.narrow),
    }
    return {"data": list(data), "layout": layout, "narrow": narrow}


def x_axis(**chosen: Any) -> Plot:
    """A hairline at the bottom and no grid; any key may be given anew."""
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
    return {**own, **chosen}


def y_axis(**chosen: Any) -> Plot:
    """A horizontal grid and no line; any key may be given anew."""
    own = {"showgrid": True, "gridcolor": "$line", "zeroline": False, "fixedrange": True}
    return {**own, **chosen}


def line(
    x: Sequence[float], y: Sequence[float | None], colour: str, width: float = 2, **chosen: Any
) -> Plot:
    """A line without marks."""
    stroke = {"color": colour, "width": width, **chosen.pop("stroke", {})}
    return {"type": "scatter", "mode": "lines", "x": x, "y": y, "line": stroke, **chosen}


def annotation(text: str, colour: str, *, y: float, shift: float = 0, **chosen: Any) -> Plot:
    """Text at the right of the plotting area, `shift` pixels above its place on the y axis."""
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
    return {**own, **chosen}


def fitted(name: str, doubt: str = "") -> str:
    """A name cut to the room at the right of the plotting area; `doubt` stands whole behind it."""
    room = LONGEST_LABEL - len(doubt)
    return (name if len(name) <= room else f"{name[: room - 1].rstrip()}…") + doubt


def spread(places: Sequence[float], gap: float = LABEL_GAP) -> list[float]:
    """Move places apart until neighbours are `gap` from each other; order and middle are kept.

    Groups that touch are merged and centred on their mean, as in isotonic regression.
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
    return moved


def plot_height(height: Height) -> int:
    """Pixels of the plotting area."""
    return int(height[1:]) - TOP - BOTTOM


def _margin(left: int, right: int) -> Plot:
    return {"l": left, "r": right, "t": TOP, "b": BOTTOM}


@dataclass(frozen=True)
class EndLabel:
    """A label at the right end: `place` in the units of the axis (decades on a log axis).

    Without a `short` text it stands on the wide layout only.
    """

    text: str
    short: str
    colour: str
    place: float


def end_labels(
    marks: Sequence[EndLabel],
    axis: Plot,
    pixels: float,
    *,
    short: bool,
    gap: float = LABEL_GAP,
    **chosen: Any,
) -> list[Plot]:
    """`axis` is the y axis that is `pixels` high; neighbours are `gap` pixels apart at least."""
    low, high = axis["range"]
    per_unit = pixels / (high - low)
    moved = spread([mark.place * per_unit for mark in marks], gap)
    return [
        annotation(
            mark.short if short else mark.text,
            mark.colour,
            y=float(f"{mark.place:.5g}"),
            shift=round(place - mark.place * per_unit, 1),
            **chosen,
        )
        for mark, place in zip(marks, moved, strict=True)
        if mark.short or not short
    ]


def line_plot(
    data: Sequence[Plot],
    axes: tuple[Plot, Plot],
    marks: Sequence[EndLabel],
    height: Height,
    notes: Sequence[Plot] = (),
) -> Plot:
    """One plotting area, its axes x and y, with lines that are named at their ends.

    `notes` stand on the wide layout only.
    """
    wide, narrow = (
        end_labels(marks, axes[1], plot_height(height), short=short) for short in (False, True)
    )
    named = dict(zip(("xaxis", "yaxis"), axes, strict=True))
    return plot(data, named, Annotations([*wide, *notes], narrow))

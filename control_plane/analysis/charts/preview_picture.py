"""The picture of a result beside a link to it: lines, dots and texts at places of 1,200 by 630."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from control_plane.analysis.charts.figure import spread
from control_plane.analysis.run_labels import RunLabel


@dataclass(frozen=True)
class PictureLine:
    """A line of a picture; `points` as an SVG polyline takes them, `dashes` "" for a solid one."""

    points: str
    colour: str
    dashes: str = ""
    width: int = 4


@dataclass(frozen=True)
class PictureDot:
    """A mark of a picture, hollow where nothing is decided."""

    x: float
    y: float
    colour: str
    filled: bool


@dataclass(frozen=True)
class PictureText:
    """A text of a picture, whose middle stands at `y`."""

    text: str
    x: float
    y: float
    colour: str


@dataclass(frozen=True)
class Drawn:
    """What a figure consists of; each text of `rows` has a line of the grid."""

    lines: tuple[PictureLine, ...]
    labels: tuple[PictureText, ...]
    columns: tuple[PictureText, ...]
    rows: tuple[PictureText, ...] = ()
    dots: tuple[PictureDot, ...] = ()


class PictureMark(Protocol):
    """An effect as its plot shows it: places from 0 to 100, where right is better."""

    @property
    def label(self) -> RunLabel: ...
    @property
    def at(self) -> float | None: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...
    @property
    def text(self) -> str: ...
    @property
    def interval(self) -> str: ...
    @property
    def decided(self) -> bool: ...


COLOURS = ("#3c5b9c", "#c04e0c", "#0d8664", "#8f5289", "#955700", "#41464f")
"""The colours of runs in a picture, as texts have them on paper."""


INK = "#5b6570"


NAME_GAP, MOST_MARKS = 28.0, 5


LEFT, RIGHT_END, TOP_END, BOTTOM_END = 110.0, 930.0, 250.0, 550.0
"""Where the figure stands in the picture."""


Scale = Callable[[float], float]
"""From a value of an axis to a place in the picture."""


def drawn_lines(plot: Mapping[str, Any]) -> Drawn:
    """Return the lines of a percentile chart with its ticks, and their names."""
    layout = plot["layout"]
    across, up = layout["xaxis"], layout["yaxis"]
    x_of, y_of = _scale(across["range"], LEFT, RIGHT_END), _scale(up["range"], BOTTOM_END, TOP_END)
    on_axis: Scale = math.log10 if up.get("type") == "log" else float
    lines = tuple(
        _line(trace, x_of, lambda value: y_of(on_axis(value)))
        for trace in plot["data"]
        if trace.get("mode") == "lines" and "fill" not in trace
    )
    columns = tuple(
        PictureText(text, x_of(value), BOTTOM_END + 30, INK)
        for value, text in zip(across["tickvals"], across["ticktext"], strict=True)
        if across["range"][0] <= value <= across["range"][1]
    )
    rows = tuple(
        PictureText(text, LEFT - 14, y_of(on_axis(value)), INK)
        for value, text in zip(up["tickvals"], up["ticktext"], strict=True)
    )
    named = [label for label in layout["annotations"] if label["yref"] == "y"]
    places = spread([y_of(label["y"]) for label in named], NAME_GAP)
    names = tuple(
        PictureText(label["text"], RIGHT_END + 16, round(y, 1), _colour(label["font"]["color"]))
        for label, y in zip(named, places, strict=True)
    )
    return Drawn(lines, names, columns, rows)


def _scale(bounds: tuple[float, float], first: float, last: float) -> Scale:
    low, high = bounds
    return lambda value: round(first + (last - first) * (value - low) / (high - low), 1)


def _line(trace: Mapping[str, Any], x_of: Scale, y_of: Scale) -> PictureLine:
    pairs = zip(trace["x"], trace["y"], strict=True)
    points = " ".join(f"{x_of(x)},{y_of(y)}" for x, y in pairs)
    stroke = trace["line"]
    return PictureLine(points, _colour(stroke["color"]), "2 7" if stroke.get("dash") else "")


def drawn_marks(marks: Sequence[PictureMark]) -> Drawn:
    """Return the intervals of contenders, right is better, with their ratios."""
    x_of, middle = _scale((0, 100), LEFT, RIGHT_END), (LEFT + RIGHT_END) / 2
    lines, dots, labels = (
        [PictureLine(f"{middle},{TOP_END} {middle},{BOTTOM_END}", INK, "", 2)],
        [],
        [],
    )
    for place, mark in enumerate(marks[:MOST_MARKS]):
        y, colour = TOP_END + 40 + 60.0 * place, _colour(mark.label.colour)
        lines.append(PictureLine(f"{x_of(mark.low)},{y} {x_of(mark.high)},{y}", colour))
        dots.append(PictureDot(x_of(mark.at or 0.0), y, colour, mark.decided))
        labels.append(PictureText(f"{mark.text} {mark.interval}", RIGHT_END + 16, y, colour))
        labels.append(PictureText(mark.label.text[:60], LEFT - 50, y - 26, colour))
    axis = (
        PictureText("worse", LEFT, BOTTOM_END + 30, INK),
        PictureText("same", middle, BOTTOM_END + 30, INK),
        PictureText("better", RIGHT_END, BOTTOM_END + 30, INK),
    )
    return Drawn(tuple(lines), tuple(labels), axis, dots=tuple(dots))


def _colour(token: str) -> str:
    """Return the colour that a token such as `$run-2` or `$run-2-text` stands for."""
    found = re.match(r"\$run-([1-6])", token)
    return COLOURS[int(found[1]) - 1] if found else INK

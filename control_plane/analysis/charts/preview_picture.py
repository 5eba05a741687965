"""The picture of a result beside a link to it: lines, dots and texts, 1,200 by 630, as PNG."""

import math
import re
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, Protocol

from control_plane.analysis.charts.figure import spread
from control_plane.analysis.run_labels import RunLabel

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont


Point = tuple[float, float]


@dataclass(frozen=True)
class PictureLine:
    """A line of a picture through its points; dotted where it is not solid."""

    points: tuple[Point, ...]
    colour: str
    dotted: bool = False
    width: int = 4


@dataclass(frozen=True)
class PictureDot:
    """A mark of a picture, hollow where nothing is decided."""

    at: Point
    colour: str
    filled: bool
    radius: int = 9


@dataclass(frozen=True)
class PictureField:
    """A part of the figure from one place across to another, in a light colour."""

    left: float
    right: float
    colour: str


@dataclass(frozen=True)
class PictureText:
    """A text of a picture, whose middle stands at `y`; at `x` it begins, ends or has its middle."""

    text: str
    x: float
    y: float
    colour: str
    anchor: Literal["lm", "mm", "rm"] = "lm"


@dataclass(frozen=True)
class Drawn:
    """What a figure consists of; each text of `rows` has a line of the grid."""

    lines: tuple[PictureLine, ...]
    labels: tuple[PictureText, ...]
    columns: tuple[PictureText, ...]
    rows: tuple[PictureText, ...] = ()
    dots: tuple[PictureDot, ...] = ()
    fields: tuple[PictureField, ...] = ()


@dataclass(frozen=True)
class Picture:
    """The main figure of a result, as other programs show it beside a link.

    `title` is the sentence; `note` says what the result is worth, in the colour of the `outcomes`.
    """

    title: str
    note: str
    outcomes: tuple[str | None, ...]
    drawn: Drawn


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

INK, STRONG_INK, GRID, PAPER = "#5b6570", "#15191e", "#e2e6eb", "#ffffff"
_NAMED = {"ink": STRONG_INK, "bad": "#b3261e", "warn": "#7a4e00", "good": "#0d7a5f"}
_LIGHT = {"bad": "#f6e0de", "good": "#dcefe9"}
_LIGHT_INK, _LIGHT_RUN = "#eceff2", "#9dadcd"

NAME_GAP, MOST_MARKS = 28.0, 5

LEFT, RIGHT_END, TOP_END, BOTTOM_END = 130.0, 930.0, 250.0, 550.0
"""Where the figure stands in the picture."""

TEXT_BELOW, UNIT_BELOW = 30.0, 60.0
"""How far below it the texts of its axis stand, and what they are of."""

PICTURE_SIZE = (1200, 630)
"""What Slack, Teams and mail show whole."""

_FINER = 2
"""Lines are drawn so many times as large first: Pillow draws them without grey."""
_MARGIN, _TITLE_LINES = 60, 3
_MOST_LETTERS = 400
"""More fit no title, however narrow."""
_DOT_GAP = 9.0

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
    ticks = zip(across["tickvals"], across["ticktext"], strict=True)
    first, last = across["range"]
    shown = [(x_of(value), text, TEXT_BELOW) for value, text in ticks if first <= value <= last]
    shown.append(((LEFT + RIGHT_END) / 2, "response time at each percentile", UNIT_BELOW))
    rows = _rows(up, lambda value: y_of(on_axis(value)))
    named = [label for label in layout["annotations"] if label["yref"] == "y"]
    places = spread([y_of(label["y"]) for label in named], NAME_GAP)
    names = tuple(
        PictureText(label["text"], RIGHT_END + 16, round(y, 1), _colour(label["font"]["color"]))
        for label, y in zip(named, places, strict=True)
    )
    return Drawn(lines, names, _columns(shown), rows)


def _columns(shown: Sequence[tuple[float, str, float]]) -> tuple[PictureText, ...]:
    """Return texts around their places across, below the figure."""
    return tuple(PictureText(text, x, BOTTOM_END + below, INK, "mm") for x, text, below in shown)


def _rows(axis: Mapping[str, Any], y_of: Scale) -> tuple[PictureText, ...]:
    ticks = zip(axis["tickvals"], axis["ticktext"], strict=True)
    return tuple(PictureText(text, LEFT - 14, y_of(value), INK, "rm") for value, text in ticks)


def _scale(bounds: tuple[float, float], first: float, last: float) -> Scale:
    low, high = bounds
    return lambda value: round(first + (last - first) * (value - low) / (high - low), 1)


def _line(trace: Mapping[str, Any], x_of: Scale, y_of: Scale) -> PictureLine:
    pairs = zip(trace["x"], trace["y"], strict=True)
    points = tuple((x_of(x), y_of(y)) for x, y in pairs)
    stroke = trace["line"]
    return PictureLine(points, _colour(stroke["color"]), bool(stroke.get("dash")))


def drawn_trend(plot: Mapping[str, Any]) -> Drawn:
    """Return the points of a trend, the levels between its steps, and where these lie."""
    layout, (marks, levels) = plot["layout"], plot["data"]
    across, up = layout["xaxis"], layout["yaxis"]
    ends = [_place(end) for end in across["range"]]
    x_of = _scale((ends[0], ends[1]), LEFT, RIGHT_END)
    y_of = _scale(up["range"], BOTTOM_END, TOP_END)
    places = [None if x is None else x_of(_place(x)) for x in levels["x"]]
    symbols = marks["marker"]["symbol"]
    each = symbols if isinstance(symbols, list) else [symbols] * len(marks["x"])
    dots = tuple(
        PictureDot((x_of(_place(x)), y_of(y)), COLOURS[0], "open" not in symbol, 5)
        for x, y, symbol in zip(marks["x"], marks["y"], each, strict=True)
    )
    lines = tuple(
        PictureLine(((left, y_of(y)), (right, y_of(y))), STRONG_INK)
        for left, right, y in zip(places[::3], places[1::3], levels["y"][::3], strict=True)
        if left is not None and right is not None
    )
    fields = tuple(
        PictureField(
            x_of(_place(shape["x0"])), x_of(_place(shape["x1"])), _light(shape["line"]["color"])
        )
        for shape in layout["shapes"]
        if shape["type"] == "rect"
    )
    return Drawn(
        lines=(*_intervals(marks, x_of, y_of), *lines),
        labels=tuple(_trend_labels(layout, x_of, y_of)),
        columns=tuple(_trend_columns(across, marks["x"], x_of)),
        rows=_rows(up, y_of),
        dots=dots,
        fields=fields,
    )


def _intervals(marks: Mapping[str, Any], x_of: Scale, y_of: Scale) -> Iterator[PictureLine]:
    """Yield the interval of each point of ratios."""
    if ends := marks.get("error_y"):
        pairs = zip(marks["x"], marks["y"], ends["arrayminus"], ends["array"], strict=True)
        for x, y, below, above in pairs:
            place = x_of(_place(x))
            points = ((place, y_of(y - below)), (place, y_of(y + above)))
            yield PictureLine(points, _LIGHT_RUN, width=2)


def _place(x: str | float) -> float:
    """Return a place of an axis of dates or commits as a number."""
    return datetime.fromisoformat(x).replace(tzinfo=UTC).timestamp() if isinstance(x, str) else x


def _trend_labels(layout: Mapping[str, Any], x_of: Scale, y_of: Scale) -> Iterator[PictureText]:
    """Yield the last level at its line, and above each step how much it is, where there is room."""
    later_x = math.inf
    for label in reversed(layout["annotations"]):
        text, colour = label["text"], _colour(label["font"]["color"])
        if label["yref"] == "y":
            yield PictureText(text, RIGHT_END + 16, y_of(label["y"]), colour)
        elif label["y"] == 1 and (x := x_of(_place(label["x"])) + 8) + 14 * len(text) < later_x:
            yield PictureText(text, x, TOP_END - 16, colour, "lm")
            later_x = x


def _trend_columns(
    axis: Mapping[str, Any], x: Sequence[str | int], x_of: Scale
) -> Iterator[PictureText]:
    """Yield the days of the first and the last point, or some of the commits."""
    if "tickvals" in axis:
        ticks = zip(axis["tickvals"], axis["ticktext"], strict=True)
        yield from _columns([(x_of(value), text, TEXT_BELOW) for value, text in ticks])
        return
    days = [datetime.fromisoformat(str(end)).strftime("%-d %b %Y") for end in (x[0], x[-1])]
    yield PictureText(days[0], LEFT, BOTTOM_END + TEXT_BELOW, INK)
    if days[1] != days[0]:
        yield PictureText(days[1], RIGHT_END, BOTTOM_END + TEXT_BELOW, INK, "rm")


def drawn_marks(marks: Sequence[PictureMark], ticks: Sequence[tuple[float, str]]) -> Drawn:
    """Return the intervals of contenders with their ratios, right is better.

    `ticks` are those of the ratios, at places as of the marks.
    """
    x_of = _scale((0, 100), LEFT, RIGHT_END)
    upright = [(x_of(at), GRID) for at, _ in ticks] + [(x_of(50), INK)]
    lines = [PictureLine(((x, TOP_END), (x, BOTTOM_END)), ink, width=2) for x, ink in upright]
    dots, labels = [], []
    gap = (BOTTOM_END - TOP_END) / max(len(marks[:MOST_MARKS]), 3)
    for place, mark in enumerate(marks[:MOST_MARKS]):
        y, colour = TOP_END + gap * (place + 0.6), _colour(mark.label.colour)
        lines.append(PictureLine(((x_of(mark.low), y), (x_of(mark.high), y)), colour))
        dots.append(PictureDot((x_of(mark.at or 0.0), y), colour, mark.decided))
        labels.append(PictureText(f"{mark.text} {mark.interval}", RIGHT_END + 16, y, colour))
        labels.append(PictureText(mark.label.text[:60], _MARGIN, y - 26, colour))
    shown = [(x_of(at), text, TEXT_BELOW) for at, text in (*ticks, (50, "same"))]
    axis = _columns([*shown, (LEFT, "worse", UNIT_BELOW), (RIGHT_END, "better", UNIT_BELOW)])
    return Drawn(tuple(lines), tuple(labels), axis, dots=tuple(dots))


def _colour(token: str) -> str:
    """Return the colour that a token such as `$run-2`, `$run-2-text` or `$bad` stands for."""
    found = re.match(r"\$run-([1-6])", token)
    return COLOURS[int(found[1]) - 1] if found else _NAMED.get(token.removeprefix("$"), INK)


def _light(token: str) -> str:
    """Return the light colour of a field whose edge has the colour of a token."""
    return _LIGHT.get(token.removeprefix("$").partition("/")[0], _LIGHT_INK)


def png_of(picture: Picture, regular: bytes, bold: bytes) -> bytes:
    """Return a picture as PNG, its texts in two fonts that are given as files."""
    # Only here, because it would take a fortieth of a second of every start.
    from PIL import Image, ImageDraw, ImageFont

    (width, height), drawn = PICTURE_SIZE, picture.drawn
    large = Image.new("RGB", (width * _FINER, height * _FINER), PAPER)
    _draw_shapes(ImageDraw.Draw(large), drawn)
    image = large.reduce(_FINER)
    plain, strong = (ImageFont.truetype(BytesIO(font), 23) for font in (regular, bold))
    on, title = ImageDraw.Draw(image), strong.font_variant(size=40)
    doubts = {*picture.outcomes} - {"valid"}
    colour = _NAMED["warn" if doubts == {"suspect"} else "bad"] if doubts else INK
    worth = PictureText(picture.note, _MARGIN, 44, colour)
    for text in (*drawn.columns, *drawn.rows, worth):
        _write(on, text, plain, 980 - text.x)
    name = PictureText("Looplab", width - _MARGIN, 44, INK, "rm")
    for text in (*drawn.labels, name):
        _write(on, text, strong, width - 12 - text.x)
    for place, line in enumerate(_wrapped(picture.title, title, width - 2 * _MARGIN)):
        on.text((_MARGIN, 98 + 50 * place), line, STRONG_INK, title, "lm")
    file = BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def _write(on: "ImageDraw", text: PictureText, font: "FreeTypeFont", room: float) -> None:
    """Write a text, cut where it begins at its place and has less room behind that."""
    told = _writable(text.text, font)
    told = _cut(told, font, room) if text.anchor == "lm" else told
    on.text((text.x, text.y), told, text.colour, font, text.anchor)


def _writable(text: str, font: "FreeTypeFont") -> str:
    """Return a text on one line, with … for what the font has no letters of: each of those would
    be drawn alike.
    """
    told = unicodedata.normalize("NFC", " ".join(text.split()))
    told = f"{told[:_MOST_LETTERS]}…" if len(told) > _MOST_LETTERS else told
    drawn = {each: (font.getlength(each), bytes(font.getmask(each))) for each in {*told, "\ue000"}}
    missing = {letter for letter in drawn if drawn[letter] == drawn["\ue000"]}
    left = "".join("…" if letter in missing else letter for letter in told)
    return re.sub(r"…(\s*…)+", "…", left)


def _cut(text: str, font: "FreeTypeFont", room: float) -> str:
    if font.getlength(text) <= room:
        return text
    ends = range(len(text))
    fitting = bisect_right(ends, room, key=lambda end: font.getlength(f"{text[:end]}…"))
    return f"{text[: max(fitting - 1, 0)].rstrip()}…"


def _draw_shapes(on: "ImageDraw", drawn: Drawn) -> None:
    for field in drawn.fields:
        left, right = field.left - 1, max(field.right, field.left) + 1
        on.rectangle(_larger((left, TOP_END), (right, BOTTOM_END)), field.colour)
    for row in drawn.rows:
        on.line(_larger((LEFT, row.y), (RIGHT_END, row.y)), GRID, _FINER)
    for line in drawn.lines:
        _draw_line(on, line)
    for dot in drawn.dots:
        _draw_dot(on, dot.at, dot.radius, dot.colour)
        if not dot.filled:
            _draw_dot(on, dot.at, dot.radius - 3, PAPER)


def _draw_line(on: "ImageDraw", line: PictureLine) -> None:
    if not line.dotted:
        on.line(_larger(*line.points), line.colour, line.width * _FINER, "curve")
    for at in _along(line.points) if line.dotted else (line.points[0], line.points[-1]):
        _draw_dot(on, at, line.width / 2, line.colour)


def _draw_dot(on: "ImageDraw", at: Point, radius: float, colour: str) -> None:
    on.circle(_larger(at)[0], radius * _FINER, colour)


def _larger(*points: Point) -> list[Point]:
    return [(x * _FINER, y * _FINER) for x, y in points]


def _along(points: Sequence[Point]) -> Iterator[Point]:
    """Yield places along a line, `_DOT_GAP` from one another."""
    left = 0.0
    for (x, y), (next_x, next_y) in pairwise(points):
        length = math.dist((x, y), (next_x, next_y))
        while left <= length and length:
            yield x + (next_x - x) * left / length, y + (next_y - y) * left / length
            left += _DOT_GAP
        left -= length


def _wrapped(text: str, font: "FreeTypeFont", width: float) -> list[str]:
    """Return the lines of a title, the last one cut where it has too many."""
    lines = [""]
    for word in _writable(text, font).split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if not lines[-1] or font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    kept = [_cut(line, font, width) for line in lines[: _TITLE_LINES - 1]]
    return [*kept, _cut(" ".join(lines[len(kept) :]), font, width)] if lines[len(kept) :] else kept

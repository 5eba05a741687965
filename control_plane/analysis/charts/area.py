"""The area between two percentiles, over the seconds that can bear both."""

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

from control_plane.analysis.charts.figure import Plot, line
from control_plane.analysis.charts.track import Segment, Stretch, Values

Pick = Callable[[Stretch], Values]
Cell = tuple[float, float, float, float]
"""A second: where it begins and ends, and its two values."""


def area(track: Sequence[Segment], low: Pick, high: Pick, colour: str) -> Plot:
    """A shape of steps for each stretch of such seconds."""
    x: list[float | None] = []
    y: list[float | None] = []
    for cells in _stretches(track, low, high):
        x += [edge for begin, end, *_ in cells for edge in (begin, end)]
        x += [edge for begin, end, *_ in reversed(cells) for edge in (end, begin)]
        y += [value for *_, value in cells for _ in range(2)]
        y += [value for *_, value, _ in reversed(cells) for _ in range(2)]
        x.append(None)
        y.append(None)
    shape = {"fill": "toself", "fillcolor": f"{colour}/0.16", "hoverinfo": "skip"}
    return {**line([], [], colour, 0, connectgaps=False), **shape, "x": x, "y": y}


def _stretches(track: Sequence[Segment], low: Pick, high: Pick) -> Iterator[list[Cell]]:
    for stretch in (stretch for segment in track for stretch in segment.stretches):
        edges = stretch.edges
        rows = zip(edges, edges[1:], low(stretch), high(stretch), strict=False)
        for _, found in groupby(rows, lambda row: None not in row):
            cells = [
                (begin, end, _short(under), _short(over))
                for begin, end, under, over in found
                if under is not None and over is not None
            ]
            if cells:
                yield cells


def _short(value: float) -> float:
    return float(f"{value:.4g}")

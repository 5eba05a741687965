"""The heat map of response times: requests of each second, by how long they took."""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from control_plane.analysis.charts.figure import Floats, Plot
from control_plane.analysis.charts.timeline_series import TrialSegment
from control_plane.domain.histogram import Counts, Integers, middle_ns
from control_plane.domain.stream_record import Slices
from control_plane.domain.units import SPACE

MOST_COLUMNS = 240
"""Longer windows are shown in columns of two seconds, or more."""

CELL = 4
"""Least height of a cell in pixels."""

PER_DECADE = (40, 20, 10, 5)
"""Cells that a decade may have."""

SHADES = ("$q4", "$q5", "$q6", "$q7", "$q8", "$q9")
"""The lightest still stands out from the ground: one slow request must be seen."""


def heat_map(
    segments: Sequence[TrialSegment],
    bounds: tuple[float, float],
    pixels: float,
    opacity: float = 1.0,
) -> list[Plot]:
    """Return the requests of each second by response time: the fuller a cell, the more of them.

    On a log axis of `bounds` decades that is `pixels` high; nothing where no slices were kept.
    """
    if not any(segment.slices and len(segment.slices.counts) for segment in segments):
        return []
    rows = _rows(bounds, pixels)
    columns = _columns(segments)
    counts = _counts(segments, rows, columns)
    return [
        {
            "type": "heatmap",
            "x": [round(edge, 3) for edge in columns.tolist()],
            "y": [float(f"{10**edge:.4g}") for edge in rows.tolist()],
            "z": [[value or None for value in row] for row in counts.tolist()],
            "zmin": 0,
            "zmax": int(counts.max()),
            "colorscale": shades(int(counts.max())),
            "showscale": False,
            "xgap": 1 if len(columns) < MOST_COLUMNS / 2 else 0,
            "ygap": 1,
            "opacity": opacity,
            "hoverongaps": False,
            "text": "$requests",
            "hovertemplate": f"%{{x:.0f}}{SPACE}s, %{{text}}<extra></extra>",
        }
    ]


def outlined(drawn: Plot) -> list[Plot]:
    """Return a line over a heat map, and below it a wider one in the colour of the paper.

    So both ends of the shades stand out from one of them.
    """
    stroke = {**drawn["line"], "color": "$paper/0.8", "width": drawn["line"]["width"] + 2}
    below = {key: value for key, value in drawn.items() if key not in {"text", "hovertemplate"}}
    return [{**below, "line": stroke, "hoverinfo": "skip"}, drawn]


def shades(most: int) -> list[list[float | str]]:
    """Return Plotly's colour scale in steps of equal ratio from one request to `most`."""
    borders = [most ** (step / len(SHADES)) / most for step in range(1, len(SHADES))]
    lows, highs = [0.0, *borders], [*borders, 1.0]
    return [
        [round(place, 6), shade]
        for low, high, shade in zip(lows, highs, SHADES, strict=True)
        for place in (low, high)
    ]


def _rows(bounds: tuple[float, float], pixels: float) -> Floats:
    """Return edges in decades, on a grid that does not move with the bounds."""
    low, high = bounds
    fitting = (steps for steps in PER_DECADE if (high - low) * steps * CELL <= pixels)
    steps = next(fitting, PER_DECADE[-1])
    edges: Floats = np.arange(np.floor(low * steps), np.ceil(high * steps) + 1) / steps
    return edges


def _columns(segments: Sequence[TrialSegment]) -> Floats:
    """Return edges in seconds of the axis, of every second or every few of them."""
    edges = [series.edges for segment in segments for series in segment.series]
    every = -(-sum(map(len, edges)) // MOST_COLUMNS)
    return np.unique(np.concatenate([np.array([*each[:-1:every], each[-1]]) for each in edges]))


def _counts(segments: Sequence[TrialSegment], rows: Floats, columns: Floats) -> Counts:
    shape = len(rows) - 1, len(columns) - 1
    counts = np.zeros(shape[0] * shape[1])
    for segment in segments:
        if segment.slices is not None and len(segment.slices.counts):
            for cells, requests in _cells(segment, segment.slices, rows, columns):
                counts += np.bincount(cells, requests, len(counts))
    return counts.astype(np.int64).reshape(shape)


SECONDS_AT_ONCE = 64
"""The cells of so many fit into the processor's cache."""


def _cells(
    segment: TrialSegment, slices: Slices, rows: Floats, columns: Floats
) -> Iterator[tuple[Counts, Integers]]:
    """Yield cells, counted row by row, with their requests, of some seconds at a time.

    Entries are many, buckets and seconds few: each of these is placed once.
    """
    low, high = int(slices.indices.min()), int(slices.indices.max())
    decades = np.log10(np.maximum(middle_ns(np.arange(low, high + 1)), 1) / 1e9)
    row = np.clip(np.searchsorted(rows, decades, "right") - 1, 0, len(rows) - 2)
    first_of_row = row * (len(columns) - 1)
    ends = -math.ceil(segment.lead_s), len(segment.timeline.completed)
    seconds = np.clip(slices.seconds.astype(np.int64), *ends)
    begins_s = segment.opens_s + np.maximum(seconds, -segment.lead_s) + 1e-3
    column = np.clip(np.searchsorted(columns, begins_s, "right") - 1, 0, len(columns) - 2)
    begins = slices.begins
    for at in range(0, len(seconds), SECONDS_AT_ONCE):
        some = slice(at, at + SECONDS_AT_ONCE)
        entries = slice(begins[at], begins[min(some.stop, len(seconds))])
        cells = first_of_row[slices.indices[entries] - low]
        cells += np.repeat(column[some], slices.sizes[some])
        yield cells, slices.counts[entries]

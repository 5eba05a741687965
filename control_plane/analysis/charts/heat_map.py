"""The heat map of response times: requests of each second, by how long they took."""

import math
from collections.abc import Sequence

import numpy as np

from control_plane.analysis.charts.figure import Floats, Plot
from control_plane.analysis.charts.trial_axis import TrialSegment
from control_plane.domain.histogram import Counts, middle_ns
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
            at = _cells(segment, segment.slices, rows, columns)
            counts += np.bincount(at, segment.slices.counts, len(counts))
    return counts.astype(np.int64).reshape(shape)


def _cells(segment: TrialSegment, slices: Slices, rows: Floats, columns: Floats) -> Counts:
    """Return the cell of each entry of the slices, counted row by row.

    Entries are many, buckets and seconds few: each of these is placed once.
    """
    buckets, of_bucket = _places(slices.indices)
    decades = np.log10(np.maximum(middle_ns(buckets), 1) / 1e9)
    row = np.clip(np.searchsorted(rows, decades, "right") - 1, 0, len(rows) - 2)
    ends = -math.ceil(segment.lead_s), len(segment.timeline.completed)
    seconds, of_second = _places(np.clip(slices.second, *ends))
    begins_s = segment.opens_s + np.maximum(seconds, -segment.lead_s) + 1e-3
    column = np.clip(np.searchsorted(columns, begins_s, "right") - 1, 0, len(columns) - 2)
    cells: Counts = (row * (len(columns) - 1))[of_bucket] + column[of_second]
    return cells


def _places(values: Counts) -> tuple[Counts, Counts]:
    """Return all numbers from the lowest to the highest value, and which of them each is."""
    low = values.min()
    return np.arange(low, values.max() + 1), values - low

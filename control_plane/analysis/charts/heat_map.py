"""Response times of each second as a heat map: the fuller a cell, the more requests in it."""

from collections.abc import Sequence

import numpy as np

from control_plane.analysis.charts.axes import Floats, time_text
from control_plane.analysis.charts.figure import Plot
from control_plane.analysis.charts.trial_axis import TrialSegment
from control_plane.domain.histogram import Counts, middle_ns
from control_plane.domain.result import Slices
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
    track: Sequence[TrialSegment], bounds: tuple[float, float], pixels: float, opacity: float = 1.0
) -> list[Plot]:
    """On a log axis of `bounds` decades that is `pixels` high; nothing where nobody kept slices."""
    known = [one for one in track if one.slices is not None and len(one.slices.counts)]
    if not known:
        return []
    rows = _rows(bounds, pixels)
    columns = _columns(track)
    counts = _counts(track, rows, columns)
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
            "text": _texts(rows, counts),
            "hovertemplate": f"%{{x:.0f}}{SPACE}s, %{{text}}<extra></extra>",
        }
    ]


def _texts(rows: Floats, counts: Counts) -> list[list[str]]:
    """The time in the middle of each cell, and its requests; empty without any."""
    middles = (10 ** ((rows[:-1] + rows[1:]) / 2)).tolist()
    return [
        [_text(time_text(float(f"{middle:.2g}")), many) if many else "" for many in row]
        for middle, row in zip(middles, counts.tolist(), strict=True)
    ]


def _text(time: str, many: int) -> str:
    return f"{time}: {many:,} request{'' if many == 1 else 's'}"


def outlined(drawn: Plot) -> list[Plot]:
    """A line over a heat map, on a wider one in the colour of the paper: both ends of the shades
    stand out from one of them.
    """
    stroke = {**drawn["line"], "color": "$paper/0.8", "width": drawn["line"]["width"] + 2}
    below = {key: value for key, value in drawn.items() if key not in {"text", "hovertemplate"}}
    return [{**below, "line": stroke, "hoverinfo": "skip"}, drawn]


def shades(most: int) -> list[list[float | str]]:
    """Steps of equal ratio from one request to `most`, as Plotly's colour scale from 0 to 1."""
    borders = [most ** (step / len(SHADES)) / most for step in range(1, len(SHADES))]
    lows, highs = [0.0, *borders], [*borders, 1.0]
    return [
        [round(place, 6), shade]
        for low, high, shade in zip(lows, highs, SHADES, strict=True)
        for place in (low, high)
    ]


def _rows(bounds: tuple[float, float], pixels: float) -> Floats:
    """Edges in decades, on a grid that does not move with the bounds."""
    low, high = bounds
    steps = next((one for one in PER_DECADE if (high - low) * one * CELL <= pixels), PER_DECADE[-1])
    edges: Floats = np.arange(np.floor(low * steps), np.ceil(high * steps) + 1) / steps
    return edges


def _columns(track: Sequence[TrialSegment]) -> Floats:
    """Edges in seconds of the axis, of every second or every few of them."""
    stretches = [stretch for one in track for stretch in one.stretches]
    every = -(-sum(len(one.edges) for one in stretches) // MOST_COLUMNS)
    chosen = [[*one.edges[:-1:every], one.edges[-1]] for one in stretches]
    return np.unique(np.concatenate([np.array(edges) for edges in chosen]))


def _counts(track: Sequence[TrialSegment], rows: Floats, columns: Floats) -> Counts:
    counts = np.zeros((len(rows) - 1, len(columns) - 1), np.int64)
    for segment in track:
        if segment.slices is not None:
            at = _places(segment, segment.slices, rows, columns)
            np.add.at(counts, at, segment.slices.counts)
    return counts


def _places(
    segment: TrialSegment, slices: Slices, rows: Floats, columns: Floats
) -> tuple[Counts, Counts]:
    decades = np.log10(np.maximum(middle_ns(slices.indices), 1) / 1e9)
    row = np.searchsorted(rows, decades, "right") - 1
    first = -segment.lead_s
    column = (
        np.searchsorted(columns, segment.opens_s + np.maximum(slices.second, first) + 1e-3, "right")
        - 1
    )
    return np.clip(row, 0, len(rows) - 2), np.clip(column, 0, len(columns) - 2)

"""The drift of a window that was not steady, as a line through its one-second medians."""

from collections.abc import Sequence

import numpy as np

from control_plane.analysis.charts.ends import Mark
from control_plane.analysis.charts.figure import Plot, line
from control_plane.analysis.charts.track import Segment
from control_plane.analysis.steadiness import DRIFT
from control_plane.domain.units import share

COLOUR = "$warn"
LOWEST = 0.05
"""Part of the median below which a falling line is not followed: the axis is logarithmic."""


def trend_lines(track: Sequence[Segment], drifts: Sequence[float | None]) -> list[Plot]:
    """One for each trial whose `drifts`, shares of its median over its window, pass the limit."""
    return [
        line(
            [segment.opens_s, segment.end_s],
            _ends(segment, drift),
            COLOUR,
            2.0,
            stroke={"dash": "dash"},
            hoverinfo="skip",
        )
        for segment, drift in _unsteady(track, drifts)
    ]


def trend_marks(
    track: Sequence[Segment], drifts: Sequence[float | None], place: float
) -> list[Mark]:
    """The largest drift in words, at `place` of the axis; nothing where all was steady."""
    found = [drift for _, drift in _unsteady(track, drifts)]
    if not found:
        return []
    worst = max(found, key=abs)
    sign = "+" if worst > 0 else "−"
    return [Mark(f"drift {sign}{share(abs(worst))}", "drift", COLOUR, place)]


def _unsteady(
    track: Sequence[Segment], drifts: Sequence[float | None]
) -> list[tuple[Segment, float]]:
    pairs = zip(track, drifts, strict=False)
    return [(one, drift) for one, drift in pairs if drift is not None and abs(drift) > DRIFT]


def _ends(segment: Segment, drift: float) -> list[float | None]:
    """At the begin and the end of the window: the line passes the typical median in its middle."""
    typical = float(np.median([value for value in segment.timeline.p50 if value is not None]))
    ends = (typical * max(1 + side * drift / 2, LOWEST) for side in (-1, 1))
    return [float(f"{value:.4g}") for value in ends]

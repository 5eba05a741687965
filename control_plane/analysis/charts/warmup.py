"""The seconds before a window, drawn so that nobody takes them for a part of it."""

from collections.abc import Sequence

from control_plane.analysis.charts.figure import Plot, end_label
from control_plane.analysis.charts.track import Segment, begin_s, end_s

NAMED_FROM = 0.06
"""A field narrower than this part of the axis has no room for its name."""


def warmup_fields(track: Sequence[Segment], top: float) -> tuple[list[Plot], list[Plot]]:
    """Grey fields up to `top` of the figure, and the name of the first in it."""
    known = [one for one in track if one.begin_s < one.start_s]
    fields = [
        {
            "type": "rect",
            "xref": "x",
            "yref": "paper",
            "x0": round(one.begin_s, 3),
            "x1": one.start_s,
            "y0": 0,
            "y1": top,
            "layer": "below",
            "line": {"width": 0},
            "fillcolor": "$well-2",
        }
        for one in known
    ]
    length_s = end_s(track) - begin_s(track)
    named = [one for one in known[:1] if one.start_s - one.begin_s >= NAMED_FROM * length_s]
    labels = [
        end_label(
            "warm-up",
            "$ink-2",
            y=top,
            x=round(one.begin_s, 3),
            xref="x",
            yref="paper",
            xshift=4,
            yanchor="top",
            font={"color": "$ink-2", "size": 11},
        )
        for one in named
    ]
    return fields, labels

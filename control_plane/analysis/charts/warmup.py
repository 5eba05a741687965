"""The seconds before a window, drawn so that nobody takes them for a part of it."""

from collections.abc import Sequence

from control_plane.analysis.charts.figure import Plot, end_label
from control_plane.analysis.charts.track import Segment, begin_s, end_s

NAMED_FROM, NARROW_FROM = 0.1, 0.24
"""A field narrower than this part of the axis, also on a small screen, has no room for its name."""


def warmup_fields(
    track: Sequence[Segment], top: float
) -> tuple[list[Plot], list[Plot], list[Plot]]:
    """Grey fields up to `top` of the figure; the name below the first, wide and narrow."""
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
    wide, narrow = (
        [_name(one) for one in known[:1] if one.lead_s >= least * length_s]
        for least in (NAMED_FROM, NARROW_FROM)
    )
    return fields, wide, narrow


def _name(one: Segment) -> Plot:
    """Where the axis has no ticks: it counts from the window."""
    return end_label(
        "warm-up",
        "$ink-2",
        y=0,
        shift=-6,
        x=round(one.start_s - one.lead_s / 2, 3),
        xref="x",
        yref="paper",
        xshift=0,
        xanchor="center",
        yanchor="top",
        font={"color": "$ink-2", "size": 12},
    )

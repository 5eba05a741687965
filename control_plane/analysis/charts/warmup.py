"""The seconds before a window, drawn so that nobody takes them for a part of it."""

from collections.abc import Sequence

from control_plane.analysis.charts.figure import Plot, end_label
from control_plane.analysis.charts.track import Segment

NAMED_FROM, NARROW_FROM = 0.1, 0.24
"""A field narrower than this part of the axis, also on a small screen, has no room for its name."""


def add_warmup(drawn: Plot, track: Sequence[Segment]) -> None:
    """Grey fields up to the top of the first panel; the name below the first."""
    layout, narrow = drawn["layout"], drawn["narrow"]
    known = [one for one in track if one.begin_s < one.start_s]
    layout["shapes"] += _fields(known, layout["yaxis"]["domain"][1])
    first, last = layout["xaxis"]["range"]
    for place, least in ((layout, NAMED_FROM), (narrow, NARROW_FROM)):
        place["annotations"] += [
            _name(one) for one in known[:1] if one.lead_s >= least * (last - first)
        ]


def _fields(known: Sequence[Segment], top: float) -> list[Plot]:
    return [
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

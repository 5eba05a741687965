"""Panels above each other on one axis of time, each with its title and labels at the right."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any

from control_plane.analysis.charts.figure import (
    Annotations,
    EndLabel,
    Height,
    Plot,
    annotation,
    end_labels,
    plot,
    plot_height,
)
from control_plane.analysis.charts.trial_axis import TrialSegment

TITLE = 34
"""Pixels above each panel, where its title stands clear of the panel above."""

RIGHT, LETTER, BESIDE = 132, 6.7, 10
"""Pixels at the right of panels, of a letter there, and from the panel to its label."""

NARROW_RIGHT, NARROW_LABEL, NARROW_LETTERS = 16, 60, 49
"""On a small screen: pixels at the right of panels with titles, and of those with labels; letters
of a title.
"""


@dataclass(frozen=True)
class Panel:
    """`bounds` are the ends of its axis as Plotly takes them; `weight` its part of the height.

    A `limit` is dashed over the whole width. `short` is its title where room is scarce.
    """

    title: str
    axis: Plot
    traces: Sequence[Plot]
    marks: Sequence[EndLabel] = field(default_factory=tuple)
    weight: float = 1.0
    limit: float | None = None
    short: str = ""


def stacked(panels: Sequence[Panel], x: Plot, height: Height) -> Plot:
    """One figure; the first panel on top. Traces get the axis of their panel."""
    domains = _domains(panels, plot_height(height))
    data: list[Plot] = []
    axes: dict[str, Any] = {"xaxis": {**x, "anchor": _y(len(panels))}}
    wide: list[Plot] = []
    narrow: list[Plot] = []
    for index, (panel, domain) in enumerate(zip(panels, domains, strict=True), start=1):
        data += [{**trace, "yaxis": _y(index)} for trace in panel.traces]
        axes["yaxis" + _y(index)[1:]] = {**panel.axis, "domain": domain}
        pixels = (domain[1] - domain[0]) * plot_height(height)
        wide += [
            *([_title(panel.title, domain[1])] if panel.title else []),
            *end_labels(panel.marks, panel.axis, pixels, short=False, yref=_y(index)),
        ]
        if panel.title:
            narrow.append(_title(_told(panel), domain[1]))
        else:
            narrow += end_labels(panel.marks, panel.axis, pixels, short=True, yref=_y(index))
    limits = [
        _limit(panel.limit, _y(index))
        for index, panel in enumerate(panels, start=1)
        if panel.limit is not None
    ]
    titled = all(panel.title for panel in panels)
    room = NARROW_RIGHT if titled else NARROW_LABEL
    return plot(data, axes, Annotations(wide, narrow, _right(panels), narrow_right=room), limits)


def _right(panels: Sequence[Panel]) -> int:
    """Pixels for the longest label; those of most figures fit in `RIGHT`, which then is the same
    whatever they say.
    """
    longest = max((len(mark.text) for panel in panels for mark in panel.marks), default=0)
    return max(RIGHT, BESIDE + ceil(LETTER * longest))


def _domains(panels: Sequence[Panel], pixels: int) -> list[list[float]]:
    titles = [TITLE if panel.title else 6 for panel in panels]
    room = (pixels - sum(titles)) / sum(panel.weight for panel in panels)
    top, found = float(pixels), []
    for panel, title in zip(panels, titles, strict=True):
        high = top - title
        top = high - room * panel.weight
        found.append([round(max(top, 0) / pixels, 4), round(high / pixels, 4)])
    return found


def _y(index: int) -> str:
    return "y" if index == 1 else f"y{index}"


def _title(text: str, top: float) -> Plot:
    chosen = {"xanchor": "left", "xshift": 0, "yref": "paper", "yanchor": "bottom", "x": 0}
    return {**annotation(text, "$ink", y=top, shift=4), **chosen}


def _told(panel: Panel) -> str:
    """On a small screen the labels follow the title, as many as fit on one line."""
    title, said = panel.short or panel.title.partition(",")[0], ""
    for mark in panel.marks:
        longer = f"{said}, {mark.text}" if said else f"{title}: {mark.text}"
        if len(longer) > NARROW_LETTERS:
            break
        said = longer
    return said or title


def _limit(value: float, y: str) -> Plot:
    dashed = {"color": "$ink-3", "width": 1, "dash": "dash"}
    place = {"xref": "paper", "x0": 0, "x1": 1, "yref": y, "y0": value, "y1": value}
    return {"type": "line", "layer": "below", "line": dashed, **place}


NAMED_FROM, NARROW_FROM = 0.1, 0.24
"""A field narrower than this part of the axis, also on a small screen, has no room for its name."""


def add_warmup(drawn: Plot, track: Sequence[TrialSegment]) -> None:
    """Grey fields up to the top of the first panel; the name below the first."""
    layout, narrow = drawn["layout"], drawn["narrow"]
    known = [one for one in track if one.begin_s < one.start_s]
    layout["shapes"] += _fields(known, layout["yaxis"]["domain"][1])
    first, last = layout["xaxis"]["range"]
    for place, least in ((layout, NAMED_FROM), (narrow, NARROW_FROM)):
        place["annotations"] += [
            _name(one) for one in known[:1] if one.lead_s >= least * (last - first)
        ]


def _fields(known: Sequence[TrialSegment], top: float) -> list[Plot]:
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


def _name(one: TrialSegment) -> Plot:
    """Where the axis has no ticks: it counts from the window."""
    return annotation(
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

"""Labels at the right end of what they name, in its colour and apart from each other."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from control_plane.analysis.charts.figure import (
    LABEL_GAP,
    Height,
    Labels,
    Plot,
    end_label,
    plot,
    plot_height,
    spread,
)


@dataclass(frozen=True)
class Mark:
    """A label at the right end: `place` in the units of the axis (decades on a log axis).

    Without a `short` text it stands on the wide layout only.
    """

    text: str
    short: str
    colour: str
    place: float


def end_labels(
    marks: Sequence[Mark],
    axis: Plot,
    pixels: float,
    *,
    short: bool,
    gap: float = LABEL_GAP,
    **chosen: Any,
) -> list[Plot]:
    """`axis` is the y axis that is `pixels` high; neighbours are `gap` pixels apart at least."""
    low, high = axis["range"]
    per_unit = pixels / (high - low)
    moved = spread([mark.place * per_unit for mark in marks], gap)
    return [
        end_label(
            mark.short if short else mark.text,
            mark.colour,
            y=float(f"{mark.place:.5g}"),
            shift=round(place - mark.place * per_unit, 1),
            **chosen,
        )
        for mark, place in zip(marks, moved, strict=True)
        if mark.short or not short
    ]


def single(
    data: Sequence[Plot],
    axes: tuple[Plot, Plot],
    marks: Sequence[Mark],
    height: Height,
    notes: Sequence[Plot] = (),
) -> Plot:
    """One plotting area, its axes x and y, with lines that are named at their ends.

    `notes` stand on the wide layout only.
    """
    wide, narrow = (
        end_labels(marks, axes[1], plot_height(height), short=short) for short in (False, True)
    )
    named = dict(zip(("xaxis", "yaxis"), axes, strict=True))
    return plot(data, named, Labels([*wide, *notes], narrow))

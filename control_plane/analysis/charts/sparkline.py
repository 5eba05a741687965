"""The sparkline of the history: percentiles over the median; a flat line is a short tail."""

import math
from dataclasses import dataclass

from control_plane.analysis.charts.figure import FIRST, nines
from control_plane.domain.times_and_percentiles import (
    GREYED,
    PERCENTILES,
    Times,
    cut_off,
    no_answer_text,
)
from control_plane.domain.units import figures

TALLEST = 100
"""The top of the scale: a hundred times the median."""


@dataclass(frozen=True)
class Sparkline:
    """Points in a box of 100 by 100 with y downwards, for the points of an SVG polyline."""

    points: tuple[tuple[float, float], ...]
    label: str

    @property
    def text(self) -> str:
        """Return `0,100 36.2,80`: as an SVG polyline takes it."""
        return " ".join(f"{x:g},{y:g}" for x, y in self.points)


def sparkline(times: Times | None) -> Sparkline:
    """Return percentiles over the median, from p50 to where fewer than 10 samples lie beyond."""
    if times is None or not times.p50:
        return Sparkline((), "not measured")
    known = {
        name: value / times.p50
        for name in PERCENTILES
        if times.support.get(name, 0) >= GREYED and (value := times.percentile(name))
    }
    width = nines(PERCENTILES["p999"]) - FIRST
    points = tuple(
        (round(100 * (nines(PERCENTILES[name]) - FIRST) / width, 2), _y(factor))
        for name, factor in known.items()
    )
    if len(points) < 2:
        return Sparkline((), "too few samples")
    last, factor = list(known.items())[-1]
    name = "p99.9" if last == "p999" else last
    beyond = f"; {no_answer_text(times.unanswered)}" if times.unanswered and cut_off(times) else ""
    return Sparkline(points, f"{name} is {figures(factor, 2)} times p50{beyond}")


def _y(factor: float) -> float:
    height = math.log(max(1.0, factor)) / math.log(TALLEST)
    return round(100 * (1 - min(1.0, height)), 2)

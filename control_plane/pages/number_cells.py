"""Cells of tables of numbers: each with how far it can be trusted, and a ratio below it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from control_plane.domain.result import Summary
from control_plane.domain.times_and_percentiles import (
    AT_LEAST,
    NO_ANSWER,
    PERCENTILES,
    Times,
    bounded,
    lost,
    percentile_level,
)
from control_plane.domain.unanswered import failed_text
from control_plane.domain.units import NONE, count, figures, part_of


@dataclass(frozen=True)
class AxisTick:
    """A tick of an axis that the server draws.

    `at` is the place in per cent from the left.
    """

    at: float
    text: str


def axis_position(value: float, low: float, high: float) -> float:
    """Return a place in per cent from `low` to `high`; values outside stand at the ends."""
    if high <= low:
        return 50.0
    return round(100 * min(1.0, max(0.0, (value - low) / (high - low))), 2)


def round_ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Return round values inside the range, `about` as many of them; `high` above `low`."""
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= 0.999 * rough)
    first, last = math.ceil(low / step), math.floor(high / step)
    return [float(f"{step * number:.6g}") for number in range(first, last + 1)]


def padded_range(values: Sequence[float], least: float = 0.05) -> tuple[float, float]:
    """Return a range with room at both sides, at least `least` of the middle away from it."""
    low, high = min(values), max(values)
    middle = (low + high) / 2
    room = max(0.75 * (high - low), least * middle)
    return max(0.0, middle - room), middle + room


CellLevel = Literal["full", "greyed", "hidden", "void", "alarm"]

TIME_PARTS = ("min", "p50", "mean", "p90", "p95", "p99", "p999", "max")
COLUMN_HEADS = {"p999": "p99.9"}
"""How the columns of times are headed where that is not their name."""

SCALES = {"s": 1.0, "ms": 1e3, "µs": 1e6}


@dataclass(frozen=True)
class Cell:
    """A cell of a table of numbers, with how far it may be believed.

    `below` is the ratio to the baseline, where there is one, and `below_level` its trust.
    """

    text: str
    level: CellLevel = "full"
    below: str = ""
    below_level: CellLevel = "full"


@dataclass(frozen=True)
class ColumnHead:
    """`term` is the key of the glossary that explains it; most need none."""

    text: str
    unit: str = ""
    term: str = ""


def time_unit(summaries: Sequence[Summary]) -> str:
    """Return one unit for all times of a table, chosen by the shortest median."""
    times = [stream.response_time_s for stream in summaries if stream.response_time_s]
    medians = [part.p50 or part.mean_of_completed for part in times]
    shortest = min(medians, default=0.001)
    if shortest >= 1:
        return "s"
    return "ms" if shortest >= 0.000_1 else "µs"


def time_cell(times: Times | None, part: str, unit: str) -> Cell:
    """Return a time; greyed or hidden by the samples beyond, where `part` is a percentile."""
    if times is None:
        return Cell(NONE, "hidden")
    if lost(times, part):
        return Cell(NO_ANSWER, "hidden")
    level: CellLevel = percentile_level(times, part) if part in PERCENTILES else "full"
    if level == "hidden":
        return Cell(NONE, "hidden")
    sign = AT_LEAST if bounded(times, part) else ""
    return Cell(f"{sign}{figures(getattr(times, part) * SCALES[unit])}", level)


def error_cell(summary: Summary) -> Cell:
    """Return the number, with its share below where it is not zero, and what had no answer."""
    failed, more = sum(summary.errors.values()), failed_text([summary])
    if not failed:
        return Cell("0", below=more)
    part = part_of(failed, summary.completed + failed)
    return Cell(count(failed), "alarm", f"{part}; {more}" if more else part)

"""How far a value of a comparison may be believed, and a ratio of two of them."""

from typing import Literal

from control_plane.analysis.comparison import Comparison, Row, invalid, stream_of
from control_plane.analysis.support import support_level
from control_plane.domain.result import PERCENTILES
from control_plane.domain.run import Run

Trust = Literal["full", "greyed", "void", "hidden"]

WORSE: tuple[Trust, ...] = ("full", "greyed", "void", "hidden")


def trust(run: Run, stream: str, metric: str) -> Trust:
    """Void in an invalid run; a percentile also by the samples beyond it."""
    times, _, part = metric.partition(".")
    known = getattr(stream_of(run, stream), times, None) if part in PERCENTILES else None
    level = support_level(known.support[part]) if known else "full"
    return "void" if level != "hidden" and invalid(run) else level


def ratio_trust(comparison: Comparison, row: Row, run_id: str) -> Trust:
    """That of the worse side."""
    sides = (comparison.run(comparison.baseline), comparison.run(run_id))
    return max((trust(run, row.stream, row.metric) for run in sides), key=WORSE.index)


def shown_ratio(comparison: Comparison, row: Row, run_id: str) -> float | None:
    """None for the baseline itself, and where a side has too few samples to be shown."""
    if run_id == comparison.baseline or ratio_trust(comparison, row, run_id) == "hidden":
        return None
    return row.ratios[run_id]

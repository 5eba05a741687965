"""Which percentile single seconds can bear, by the requests that ended in each."""

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Literal

from control_plane.analysis.charts.trial_axis import SecondSeries, TrialSegment, Values
from control_plane.domain.histogram import Histogram
from control_plane.domain.result import PERCENTILES, Times

FULL, GREYED = 100, 10
"""Samples beyond from which a percentile stands in full, and from which it stands at all."""

Level = Literal["full", "greyed", "hidden"]

TAILS = (("p99", "one in a hundred"), ("p95", "one in twenty"), ("p90", "one in ten"))


def support_level(beyond: int) -> Level:
    """Full from 100 samples beyond, greyed from 10, hidden below."""
    if beyond >= FULL:
        return "full"
    return "greyed" if beyond >= GREYED else "hidden"


def needed_samples(percentile: str) -> int:
    """How many samples the percentile needs before it is shown at all (`p999`: 10,000)."""
    return round(GREYED / (1 - PERCENTILES[percentile]))


def far_percentile(times: Times) -> tuple[str, str] | None:
    """The furthest of p99, p95 and p90 with full support, and how it is said; else None."""
    return next((tail for tail in TAILS if times.support.get(tail[0], 0) >= FULL), None)


def furthest_share(samples: Histogram, beyond: int) -> float:
    """The share up to which at least `beyond` samples lie beyond, 0 where there are too few."""
    return max(0.0, 1 - beyond / samples.total) if samples.total else 0.0


FURTHEST_FIRST = ("p99", "p95")


def supported_values(name: str) -> Callable[[SecondSeries], Values]:
    """Picks a percentile of each second; None where too few samples lie beyond it."""
    needed = needed_samples(name)

    def pick(stretch: SecondSeries) -> Values:
        values: Values = getattr(stretch.seconds, name)
        counts = stretch.seconds.completed
        return [
            value if count >= needed else None for value, count in zip(values, counts, strict=True)
        ]

    return pick


def percentile_values(name: str) -> Callable[[SecondSeries], Values]:
    """Picks p50 of each second as it is, and p95 and p99 as `supported` does."""
    return attrgetter(f"seconds.{name}") if name == "p50" else supported_values(name)


def supported_points(track: Sequence[TrialSegment], name: str) -> list[float]:
    """The percentile in each second of the windows that can bear it."""
    found = [value for one in track for value in supported_values(name)(one.window)]
    return [value for value in found if value]


def furthest_percentile(track: Sequence[TrialSegment]) -> str | None:
    """The furthest of p99 and p95 that half of the seconds or more can bear."""
    return next((name for name in FURTHEST_FIRST if mostly_supported(track, name)), None)


def mostly_supported(track: Sequence[TrialSegment], name: str) -> bool:
    """Whether half of the seconds in which something completed can bear the percentile."""
    full = [count for one in track for count in one.timeline.completed if count]
    return 0 < len(full) <= 2 * sum(count >= needed_samples(name) for count in full)

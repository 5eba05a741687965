"""Which percentiles the number of samples beyond them can bear."""

from typing import Literal

from control_plane.domain.histogram import Histogram
from control_plane.domain.result import PERCENTILES, Times

FULL, GREYED = 100, 10
"""Samples beyond from which a percentile stands in full, and from which it stands at all."""

Level = Literal["full", "greyed", "hidden"]

TAILS = (("p99", "one in a hundred"), ("p95", "one in twenty"), ("p90", "one in ten"))


def support_level(beyond: int) -> Level:
    """Return full from 100 samples beyond, greyed from 10, hidden below."""
    if beyond >= FULL:
        return "full"
    return "greyed" if beyond >= GREYED else "hidden"


def needed_samples(percentile: str) -> int:
    """Return how many samples the percentile needs to be shown at all (`p999`: 10,000)."""
    return round(GREYED / (1 - PERCENTILES[percentile]))


def far_percentile(times: Times) -> tuple[str, str] | None:
    """Return the furthest of p99, p95 and p90 with full support and its share in words, or None."""
    return next((tail for tail in TAILS if times.support.get(tail[0], 0) >= FULL), None)


def furthest_share(samples: Histogram, beyond: int) -> float:
    """Return the share up to which at least `beyond` samples lie beyond; 0 of too few samples."""
    return max(0.0, 1 - beyond / samples.total) if samples.total else 0.0

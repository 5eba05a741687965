"""How far percentiles are trusted."""

import pytest

from control_plane.analysis.summary import times
from control_plane.domain.histogram import EMPTY
from control_plane.domain.times_and_percentiles import (
    far_percentile,
    furthest_share,
    needed_samples,
    support_level,
)
from tests.builders.trials import histogram, known


@pytest.mark.parametrize(
    ("beyond", "level"),
    [(0, "hidden"), (9, "hidden"), (10, "greyed"), (99, "greyed"), (100, "full"), (5_000, "full")],
)
def test_levels(beyond, level):
    assert support_level(beyond) == level


@pytest.mark.parametrize(
    ("percentile", "samples"),
    [("p50", 20), ("p90", 100), ("p95", 200), ("p99", 1_000), ("p999", 10_000)],
)
def test_samples_that_a_percentile_needs(percentile, samples):
    assert needed_samples(percentile) == samples
    assert support_level(
        histogram(*range(1, samples + 1)).beyond(float(f"0.{percentile[1:]}"))
    ) != ("hidden")


@pytest.mark.parametrize(
    ("samples", "expected"),
    [(10_000, "p99"), (9_999, "p95"), (2_000, "p95"), (1_999, "p90"), (1_000, "p90"), (999, None)],
)
def test_the_furthest_percentile_with_full_support(samples, expected):
    found = far_percentile(known(times(histogram(*[1.0] * samples))))
    assert (found and found[0]) == expected


@pytest.mark.parametrize(
    ("samples", "beyond", "share"), [(1_000, 100, 0.9), (1_000, 10, 0.99), (5, 10, 0.0)]
)
def test_how_far_a_curve_reaches(samples, beyond, share):
    assert furthest_share(histogram(*[1.0] * samples), beyond) == pytest.approx(share)


def test_no_samples_reach_nowhere():
    assert furthest_share(EMPTY, 10) == 0.0

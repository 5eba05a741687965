"""The trials of one stream on their axis."""

from collections.abc import Iterable, Sequence

from control_plane.analysis.charts.timeline_series import (
    TrialSegment,
    placed_segments,
    window_starts,
)
from control_plane.domain.result import Timeline
from control_plane.domain.stream_record import Slices


def trial_segments(
    timelines: Iterable[Timeline], slices: Sequence[Slices] = ()
) -> list[TrialSegment]:
    """Return the trials one after the other, the first window at 0."""
    trials = list(timelines)
    return placed_segments(trials, slices, window_starts([trials]))

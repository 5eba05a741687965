"""What is seen from inside the workers, in panels."""

from dataclasses import replace

import pytest

from control_plane.analysis.charts.inside_panels import collection_panel
from control_plane.analysis.charts.trial_axis import trial_segments
from control_plane.domain.result import Timeline, WorkerSeries
from tests.analysis.samples import gauges, known, with_spaces


@pytest.mark.parametrize("workers", [1, 10])
def test_the_mean_of_collection_is_that_of_all_workers_and_of_the_window(workers: int) -> None:
    """Also where more than four are drawn as a band: one of them collects half of the time."""
    watched = tuple(_worker(pid, 0.25 if pid == 0 else 0.0) for pid in range(workers))
    times = (0.5,) * 3
    track = trial_segments([Timeline((1,) * 3, (0,) * 3, times, times, times, 1.0)])
    panel = known(collection_panel(track, [replace(gauges(), workers=watched)]))
    said = {1: "mean 50 %", 10: "mean 5.0 %"}[workers]
    assert with_spaces(panel.marks[0].text) == said


def _worker(pid: int, gc_s: float) -> WorkerSeries:
    nothing = (None,) * 6
    return WorkerSeries(pid, nothing, nothing, nothing, nothing, nothing, (gc_s,) * 6)

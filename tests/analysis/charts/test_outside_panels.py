"""The drift of a window that was not steady."""

import pytest

from control_plane.analysis.charts.outside_panels import trend_lines, trend_marks
from control_plane.analysis.charts.timeline import timeline_chart
from control_plane.analysis.charts.trial_axis import trial_segments
from control_plane.domain.result import Timeline
from tests.analysis.charts.plotted import annotations, checked
from tests.analysis.samples import detail, result, run, second, spread

TRACK = trial_segments([Timeline((1,) * 4, (0,) * 4, (0.1,) * 4, (0.1,) * 4, (0.1,) * 4, 1.0)])


@pytest.mark.parametrize(
    ("drift", "ends"), [(None, None), (0.1, None), (0.4, [0.08, 0.12]), (-3.0, [0.25, 0.005])]
)
def test_a_drift_over_the_limit_is_a_line_through_the_middle(drift, ends):
    lines = trend_lines(TRACK, [drift])
    assert [one["y"] for one in lines] == ([] if ends is None else [pytest.approx(ends)])
    assert bool(trend_marks(TRACK, [drift], 0)) is bool(lines)


def test_the_largest_drift_is_named():
    (mark,) = trend_marks(TRACK * 2, [0.2, -0.5], -1.0)
    assert (mark.text.replace("\N{NO-BREAK SPACE}", " "), mark.place) == ("drift −50 %", -1.0)


@pytest.mark.parametrize(("growth", "drawn"), [(0.0, False), (0.05, True)])
def test_the_timeline_of_an_unsteady_run_shows_it(growth, drawn):
    rows = [second(index, *spread(5 * (1 + growth * index), 200, index)) for index in range(12)]
    figure = timeline_chart(detail(run(), result(*rows)))
    checked(figure)
    assert any("drift +" in text for text in annotations(figure)) is drawn

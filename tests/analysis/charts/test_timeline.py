"""One run over time."""

from dataclasses import replace

import pytest

from control_plane.analysis.charts.timeline import timeline_chart
from control_plane.domain.run import RunDetail
from control_plane.domain.states import State
from tests.analysis.charts.plotted import annotations, checked
from tests.analysis.samples import (
    detail,
    gauges,
    known,
    result,
    run,
    second,
    spec,
    steady,
    with_spaces,
)


def three_trials() -> RunDetail:
    results = [steady(2.0, seconds=4) for _ in range(3)]
    return detail(run(spec=spec(trials=3)), *results)


def texts(figure) -> list[str]:
    return [with_spaces(text) for text in annotations(figure)]


def test_plotly_takes_it():
    checked(timeline_chart(three_trials()))


def test_trials_are_laid_one_after_the_other_with_a_line_between():
    figure = timeline_chart(three_trials())
    assert figure.plot["layout"]["xaxis"]["range"] == [0, 12]
    upright = [one for one in figure.plot["layout"]["shapes"] if one["xref"] == "x"]
    assert [one["x0"] for one in upright] == [4.0, 8.0]


@pytest.mark.parametrize("trial", [1, 3])
def test_one_trial_alone(trial):
    figure = timeline_chart(three_trials(), trial)
    assert figure.plot["layout"]["xaxis"]["range"] == [0, 4]
    assert {row[0] for row in figure.table.rows} == {trial}
    assert len(figure.table.rows) == 4


def test_panels_and_their_labels():
    figure = timeline_chart(three_trials())
    found = texts(figure)
    assert [one for one in found if one in {"Response time", "Throughput"}] == [
        "Response time",
        "Throughput",
    ]
    assert "500 /s" in found
    assert {"target 30 %", "client 80 %"} <= set(found)
    assert len([one for one in found if one.startswith(("p50 2.", "p50 1.", "p95", "p99"))]) == 3


def test_the_labels_of_one_trial_are_its_own():
    slow = detail(run(spec=spec(trials=2)), steady(2.0), steady(200.0, per_second=50))
    assert "500 /s" in texts(timeline_chart(slow, 1))
    assert "50.0 /s" in texts(timeline_chart(slow, 2))
    assert "275 /s" in texts(timeline_chart(slow))


@pytest.mark.parametrize(("kept", "labelled"), [(1, True), (2, False)])
def test_a_run_that_ended_early_has_no_merged_streams(kept, labelled):
    whole = detail(run(spec=spec(trials=3)), *(steady(2.0) for _ in range(kept)))
    cut = replace(whole, run=replace(whole.run, state=State.CANCELLED, streams=()), streams={})
    figure = timeline_chart(cut)
    checked(figure)
    assert ("500 /s" in texts(figure)) is labelled
    assert "500 /s" in texts(timeline_chart(cut, 1))


def test_errors_have_a_line_only_where_there_are_any():
    failing = detail(run(), result(second(0, 1, 2, errors=7), second(1, 1, 2)))
    assert "7 errors" in texts(timeline_chart(failing))
    assert not [one for one in texts(timeline_chart(three_trials())) if "errors" in one]


def test_several_streams_are_told_apart_by_colour():
    small, large = steady(1.0, name="small"), steady(900.0, name="large")
    one = RunDetail(
        run("0000000001", small, large, spec=spec(names=("small", "large"))),
        {"small": small, "large": large},
        {"small": (known(small.timeline),), "large": (known(large.timeline),)},
        (gauges(6),),
    )
    figure = timeline_chart(one)
    checked(figure)
    colours = {trace["line"]["color"] for trace in figure.plot["data"]}
    assert {"$run-1", "$run-6"} <= colours
    assert [text for text in texts(figure) if text.startswith("large p50")]
    assert len(figure.table.rows) == 6


@pytest.mark.parametrize(
    ("medians", "way"), [((2.0, 2.0, 2.0), "stays between"), ((1.0, 9.0, 1.0), "swings between")]
)
def test_the_title_says_how_steady_it_was(medians, way):
    rows = [second(index, *[median] * 50) for index, median in enumerate(medians)]
    assert way in timeline_chart(detail(run(), result(*rows))).title


def test_a_short_run_has_a_plain_title():
    assert timeline_chart(detail(run(), result(second(0, 1.0)))).title == "Over time"


def test_a_run_without_results_or_gauges_draws_nothing():
    empty = RunDetail(run(streams=()), {}, {}, ())
    checked(timeline_chart(empty))
    blind = replace(three_trials(), gauges=())
    figure = timeline_chart(blind)
    checked(figure)
    assert figure.table.rows[0][-2:] == (None, None)


def test_the_table_holds_the_numbers_of_each_second():
    figure = timeline_chart(detail(run(), result(second(0, 1.0, errors=2), second(2, 5.0))))
    assert figure.table.columns[:8] == (
        "trial",
        "second",
        "stream",
        "completed",
        "errors",
        "p50, ms",
        "p95, ms",
        "p99, ms",
    )
    assert figure.table.rows[0] == (1, 0, "items", 1, 2, 1.0, 1.0, 1.0, 30.0, 80.0)
    assert figure.table.rows[1][3:8] == (0, 0, None, None, None)


def test_an_hour_is_still_quick_to_draw():
    rows = [second(index, 1.0) for index in range(3_600)]
    figure = timeline_chart(detail(run(), result(*rows)))
    assert len(figure.table.rows) == 3_600
    assert figure.plot["layout"]["xaxis"]["range"] == [0, 3_600]

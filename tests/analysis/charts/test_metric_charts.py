"""Lines over the metrics."""

import pytest

from control_plane.analysis.charts.metric_charts import (
    metric_bars,
    metric_ratios,
    sparkline,
    stream_names,
    trial_sparkline,
)
from control_plane.analysis.comparison import compare
from control_plane.analysis.summary import times
from control_plane.domain.histogram import EMPTY
from tests.analysis.charts.curves import INVALID
from tests.analysis.charts.plotted import annotations, checked
from tests.builders.trials import histogram, run, spec, steady, summary, trial, with_spaces


def runs():
    return [
        run(name * 10, steady(median), title=name)
        for name, median in zip("abc", (1, 3, 6), strict=True)
    ]


def test_plotly_takes_it():
    checked(metric_ratios(compare(runs(), "a" * 10), "items"))


def test_each_run_is_a_line_and_the_baseline_is_straight():
    figure = metric_ratios(compare(runs(), "b" * 10), "items")
    a, b, c = (trace["y"] for trace in figure.plot["data"])
    assert set(b) == {1.0}
    assert figure.title == "Each metric against B"
    assert a[1] == pytest.approx(1 / 3, rel=0.05)
    assert c[1] == pytest.approx(2, rel=0.05)
    assert annotations(figure, "narrow") == ["A", "B", "C"]


def test_a_missing_value_breaks_the_line():
    blind = run("b" * 10, title="b", streams=(summary(response_time_s=None),))
    figure = metric_ratios(compare([*runs()[::2], blind], "a" * 10), "items")
    checked(figure)
    assert None in figure.plot["data"][2]["y"]


def test_a_metric_that_nobody_has_is_left_out():
    streams = (summary(peak_memory_bytes=None, cpu_s_per_request=None),)
    found = [run(name * 10, title=name, streams=streams) for name in "abc"]
    axis = metric_ratios(compare(found, "a" * 10), "items").plot["layout"]["xaxis"]
    assert axis["ticktext"] == ["throughput", "p50", "p90", "p99", "max"]


def test_no_ratio_at_all():
    found = [run(name * 10, title=name, validity=INVALID) for name in "abc"]
    figure = metric_ratios(compare(found, "a" * 10), "items")
    checked(figure)
    assert figure.plot["data"] == []
    assert "no ratio is known" in figure.label


@pytest.mark.parametrize(("factor", "tick"), [(300.0, "×100"), (0.002, "÷100"), (1.1, "same")])
def test_ticks_turn_below_one(factor, tick):
    found = [
        run("a" * 10, title="a", streams=(summary(throughput_per_s=1_000.0),)),
        run("b" * 10, title="b", streams=(summary(throughput_per_s=1_000.0 * factor),)),
    ]
    axis = metric_ratios(compare(found, "a" * 10), "items").plot["layout"]["yaxis"]
    assert tick in axis["ticktext"]


def test_a_percentile_without_support_is_no_point():
    few = [run(name * 10, steady(2.0, per_second=50), title=name) for name in "ab"]
    axis = metric_ratios(compare(few, "a" * 10), "items").plot["layout"]["xaxis"]
    assert "p90" in axis["ticktext"]
    assert "p99" not in axis["ticktext"]


def test_an_invalid_run_looks_like_one():
    found = [*runs()[:2], run("d" * 10, steady(6), title="d", validity=INVALID)]
    figure = metric_ratios(compare(found, "a" * 10, anyway=True), "items")
    checked(figure)
    assert [trace["opacity"] for trace in figure.plot["data"]] == [1.0, 1.0, 0.4]
    assert annotations(figure)[-1] == "C d, invalid"


def rated(name: str, per_s: float | None, *trials: float, **chosen):
    streams = () if per_s is None else (summary(throughput_per_s=per_s),)
    done = tuple(trial(summary(throughput_per_s=rate_per_s)) for rate_per_s in trials)
    return run(name * 10, title=name, streams=streams, trials=done, **chosen)


def test_bars_are_parts_of_the_largest_trial():
    runs = [rated("a", 100.0, 90.0, 110.0), rated("b", 55.0, 50.0, 60.0)]
    chart = metric_bars(compare(runs, "a" * 10), "items")
    assert [bar.share for bar in chart.bars] == pytest.approx([100 / 110, 0.5])
    assert chart.bars[0].ticks == pytest.approx((90 / 110, 1.0))
    assert [with_spaces(bar.text) for bar in chart.bars] == ["100 /s", "55.0 /s"]
    assert chart.title == "A served most in these runs"


def test_one_trial_has_no_tick():
    chart = metric_bars(compare([rated("a", 100.0, 100.0)], "a" * 10), "items")
    assert (chart.bars[0].ticks, chart.bars[0].share) == ((), 1.0)


def test_a_run_without_a_result_has_no_bar():
    runs = [rated("a", 100.0), rated("b", None)]
    chart = metric_bars(compare(runs, "a" * 10), "items")
    assert (chart.bars[1].value, chart.bars[1].share, chart.bars[1].text) == (None, 0.0, "–")


def test_an_invalid_run_does_not_serve_most():
    runs = [rated("a", 100.0), rated("b", 50.0), rated("c", 900.0, validity=INVALID)]
    chart = metric_bars(compare(runs, "a" * 10), "items")
    assert chart.title == "A served most in these runs"
    assert chart.bars[2].outcome == "invalid"


def test_the_table_has_a_column_for_each_trial():
    runs = [rated("a", 100.0, 90.0, 110.0), rated("b", 55.0)]
    table = metric_bars(compare(runs, "a" * 10), "items").table
    assert table.columns == ("", "throughput, /s", "trial 1, /s", "trial 2, /s")
    assert table.rows == (("A a", 100.0, 90.0, 110.0), ("B b", 55.0, None, None))


def test_streams_with_a_result():
    both = spec(names=("items", "other"))
    found = compare([rated("a", 100.0, spec=both), rated("b", None, spec=both)], "a" * 10)
    assert stream_names(found) == ("items",)


def test_the_trials_of_a_run_are_a_line_around_the_middle_one() -> None:
    line = trial_sparkline((98.0, 100.0, 101.0))
    assert line.points == ((0.0, 60.0), (50.0, 50.0), (100.0, 45.0))
    assert with_spaces(line.label) == "throughput of 3 trials: 98.0 to 101 /s"
    wide = trial_sparkline((50.0, 100.0, 100.0, 150.0))
    assert [y for _, y in wide.points] == [100.0, 50.0, 50.0, 0.0]
    assert not trial_sparkline((100.0,)).points
    assert not trial_sparkline((0.0, 0.0)).points


def test_a_flat_line_is_a_short_tail():
    found = sparkline(times(histogram(*[5.0] * 20_000)))
    assert [x for x, _ in found.points] == pytest.approx([0, 25.9, 37.1, 62.9, 100], abs=0.2)
    assert {y for _, y in found.points} == {100}
    assert found.label == "p99.9 is 1.0 times p50"


@pytest.mark.parametrize(
    ("factor", "height"), [(1.0, 100.0), (10.0, 50.0), (100.0, 0.0), (5_000.0, 0.0)]
)
def test_the_scale_is_a_hundred_times_the_median(factor, height):
    found = sparkline(times(histogram(*[1.0] * 8_000, *[factor] * 2_000)))
    assert found.points[-1][1] == pytest.approx(height, abs=0.1)


@pytest.mark.parametrize(
    ("samples", "points"), [(19, 0), (99, 0), (100, 2), (200, 3), (1_000, 4), (10_000, 5)]
)
def test_it_ends_where_samples_end(samples, points):
    assert len(sparkline(times(histogram(*[1.0] * samples))).points) == points


def test_points_as_an_svg_takes_them():
    assert sparkline(times(histogram(*[5.0] * 100))).text == "0,100 25.9,100"


def test_nothing_measured():
    found = sparkline(times(EMPTY))
    assert (found.points, found.text, found.label) == ((), "", "not measured")

"""Throughput bars."""

import pytest

from control_plane.analysis.charts.throughput_bars import stream_names, throughput_bars
from control_plane.analysis.comparison import compare
from tests.analysis.charts.curves import INVALID
from tests.builders.trials import run, spec, summary, trial, with_spaces


def rated(name: str, per_s: float | None, *trials: float, **chosen):
    streams = () if per_s is None else (summary(throughput_per_s=per_s),)
    done = tuple(trial(summary(throughput_per_s=rate_per_s)) for rate_per_s in trials)
    return run(name * 10, title=name, streams=streams, trials=done, **chosen)


def test_bars_are_parts_of_the_largest_trial():
    runs = [rated("a", 100.0, 90.0, 110.0), rated("b", 55.0, 50.0, 60.0)]
    chart = throughput_bars(compare(runs, "a" * 10), "items")
    assert [bar.share for bar in chart.bars] == pytest.approx([100 / 110, 0.5])
    assert chart.bars[0].ticks == pytest.approx((90 / 110, 1.0))
    assert [with_spaces(bar.text) for bar in chart.bars] == ["100 /s", "55.0 /s"]
    assert chart.title == "A served most in these runs"


def test_one_trial_has_no_tick():
    chart = throughput_bars(compare([rated("a", 100.0, 100.0)], "a" * 10), "items")
    assert (chart.bars[0].ticks, chart.bars[0].share) == ((), 1.0)


def test_a_run_without_a_result_has_no_bar():
    runs = [rated("a", 100.0), rated("b", None)]
    chart = throughput_bars(compare(runs, "a" * 10), "items")
    assert (chart.bars[1].value_per_s, chart.bars[1].share, chart.bars[1].text) == (None, 0.0, "–")


def test_an_invalid_run_does_not_serve_most():
    runs = [rated("a", 100.0), rated("b", 50.0), rated("c", 900.0, validity=INVALID)]
    chart = throughput_bars(compare(runs, "a" * 10), "items")
    assert chart.title == "A served most in these runs"
    assert chart.bars[2].outcome == "invalid"


def test_the_table_has_a_column_for_each_trial():
    runs = [rated("a", 100.0, 90.0, 110.0), rated("b", 55.0)]
    table = throughput_bars(compare(runs, "a" * 10), "items").table
    assert table.columns == ("", "throughput, /s", "trial 1, /s", "trial 2, /s")
    assert table.rows == (("A a", 100.0, 90.0, 110.0), ("B b", 55.0, None, None))


def test_streams_with_a_result():
    both = spec(names=("items", "other"))
    found = compare([rated("a", 100.0, spec=both), rated("b", None, spec=both)], "a" * 10)
    assert stream_names(found) == ("items",)

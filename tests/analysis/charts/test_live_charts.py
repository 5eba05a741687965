"""The charts of a running trial."""

from dataclasses import replace

import pytest

from control_plane.analysis.charts.live_charts import live_charts
from control_plane.analysis.summary import timeline_of, times, warmup_of
from control_plane.domain.histogram import merge
from control_plane.domain.observations import Gauges
from control_plane.domain.result import Progress
from control_plane.domain.run import Live, LiveStream
from tests.analysis.charts.plotted import annotations, checked
from tests.builders.records import Shape
from tests.builders.runs import gauges_of
from tests.builders.trials import gauges, second, spread, with_spaces


def live(seconds: int, measured_s: float, *, silent: int = 0) -> Live:
    rows = [second(index, *spread(625, 160, index)) for index in range(seconds)]
    rows += [second(seconds + index) for index in range(silent)]
    stream = LiveStream(
        name="items",
        completed=160 * seconds,
        errors=0,
        throughput_per_s=160.0 if seconds else None,
        response_time_s=times(merge([row.response for row in rows])),
        timeline=timeline_of(rows, measured_s),
    )
    progress = Progress("running", 3, 5, 0.5, 151.0, None)
    return Live("a" * 10, progress, measured_s, (stream,), gauges(2 * seconds, 0.15, 0.09), ())


def drawn_seconds(view: Live) -> int:
    x = live_charts(view, 60.0)[0].plot["data"][0]["x"]
    return len(x) - 1 if x else 0


@pytest.mark.parametrize("window_s", [None, 60.0])
@pytest.mark.parametrize(("seconds", "measured_s"), [(0, 0.0), (0, 0.4), (1, 1.1), (37, 37.2)])
def test_plotly_takes_them(seconds, measured_s, window_s):
    figures = live_charts(live(seconds, measured_s), window_s)
    assert [figure.name for figure in figures] == ["live-throughput", "live-response", "live-cpu"]
    for figure in figures:
        checked(figure)


@pytest.mark.parametrize(
    ("view", "drawn"),
    [
        (live(3, 3.0), 3),
        (live(3, 3.7), 3),
        (live(3, 4.2), 3),
        (live(3, 4.8), 4),
        (live(3, 5.8), 5),
        (live(3, 4.2, silent=1), 3),
        (live(3, 0.0), 3),
    ],
)
def test_only_full_seconds_are_drawn_and_a_silent_one_after_a_while(view, drawn):
    assert drawn_seconds(view) == drawn


@pytest.mark.parametrize(
    ("measured_s", "window_s", "end_s"), [(5.0, 60.0, 60.0), (5.0, None, 10.0), (37.0, None, 37.0)]
)
def test_the_axis_is_that_of_the_window(measured_s, window_s, end_s):
    figures = live_charts(live(5, measured_s), window_s)
    assert {figure.plot["layout"]["xaxis"]["range"][1] for figure in figures} == {end_s}


def warming(told: int, measured_s: float = 0.0) -> Live:
    """`told` of three seconds before the window."""
    view = live(0, measured_s)
    early = [second(index - 3, *spread(625, 160, index)) for index in range(told)]
    stream = view.streams[0]
    warmup = warmup_of(early, 2.5, expected=3)
    timeline = replace(stream.timeline, warmup=warmup)
    return replace(view, streams=(replace(stream, timeline=timeline),))


@pytest.mark.parametrize(
    ("told", "x"), [(0, []), (1, [-2.5, -2]), (2, [-2.5, -2, -1]), (3, [-2.5, -2, -1, 0])]
)
def test_the_warm_up_is_grey_and_fills_second_by_second(told, x):
    for figure in live_charts(warming(told), 10.0):
        checked(figure)
        layout = figure.plot["layout"]
        (grey,) = [shape for shape in layout["shapes"] if shape["type"] == "rect"]
        assert (grey["x0"], grey["x1"], grey["fillcolor"]) == (-2.5, 0, "$well-2")
        assert layout["xaxis"]["range"] == [-2.5, 10]
        assert "warm-up" not in annotations(figure)
    for figure in live_charts(warming(told), 5.0):
        assert "warm-up" in annotations(figure)
    assert live_charts(warming(told), 10.0)[0].plot["data"][0]["x"] == x


def test_values_stand_at_the_lines():
    answers, response, cpu = live_charts(live(37, 37.2), 60.0)
    assert [with_spaces(text) for text in annotations(answers)] == ["160 /s"]
    assert [text[:3] for text in annotations(response)] == ["p50"]
    assert [with_spaces(text) for text in annotations(cpu)] == [
        "target mean 15 %",
        "client mean 9.0 %",
        "1 core",
    ]


def test_what_was_sent_is_drawn_beside_what_was_meant_to_be() -> None:
    view = live(3, 3.9)
    stream = replace(view.streams[0], intended=(200, 200, 200), sent=(200, 150, 160))
    _, _, sent, _ = live_charts(replace(view, streams=(stream,)), 60.0)
    checked(sent)
    intended, out = sent.plot["data"]
    assert (intended["line"]["dash"], intended["y"]) == ("dash", [200, 200, 200, 200])
    assert out["y"] == [200, 150, 160, 160]
    assert [with_spaces(text) for text in annotations(sent)] == ["160 /s"]
    assert sent.table.rows[1] == ("items", 1, 200, 150)


def test_errors_are_drawn():
    view = live(3, 3.2)
    stream = view.streams[0]
    failing = replace(stream, errors=4, timeline=replace(stream.timeline, errors=(0, 4, 0, 0)))
    answers = live_charts(replace(view, streams=(failing,)), 60.0)[0]
    checked(answers)
    assert "4 errors" in annotations(answers)


def test_tables_hold_the_same_seconds():
    answers, _, cpu = live_charts(live(3, 3.0), 60.0)
    assert [row[:3] for row in answers.table.rows] == [
        ("items", 0, 160),
        ("items", 1, 160),
        ("items", 2, 160),
    ]
    assert cpu.table.rows[0] == (0.0, 15.0, 9.0)


def test_nothing_sampled_yet():
    view = replace(live(0, 0.2), gauges=Gauges(0.5, ()))
    for figure in live_charts(view):
        checked(figure)
        assert "nothing yet" in figure.label


@pytest.mark.parametrize(
    ("inside", "third", "said"),
    [
        ({}, "live-lag", "longest 4.00 ms"),
        ({"waiting": 60}, "live-tokens", "60 waiting"),
        ({"blocked": 0.5, "stall_s": 1.0, "waiting": 3}, "live-lag", "longest 1.00 s"),
    ],
)
def test_the_likelier_cause_stands_beside_the_processors(inside, third, said):
    shape = Shape(**inside)
    seen = replace(live(5, 5.2), gauges=gauges_of(shape, 5))
    figures = live_charts(seen, 60.0)
    assert [figure.name for figure in figures][2:] == ["live-cpu", third]
    assert said in [with_spaces(text) for text in annotations(figures[3])]
    checked(figures[3])
    assert annotations(figures[3], "narrow")
    assert len(figures[3].table.rows) == 10

"""Timelines of several runs on the same axes."""

from dataclasses import replace

import pytest

from control_plane.analysis.charts.compared_timelines import (
    TimelineView,
    run_timelines,
    run_timelines_legend,
)
from control_plane.analysis.charts.curve import FADED
from control_plane.analysis.run_labels import label_runs
from control_plane.domain.result import Cause, Validity
from control_plane.domain.run import RunDetail
from control_plane.domain.spec import Target, UrlTarget
from tests.analysis.charts.plotted import annotations, checked
from tests.builders.records import Shape
from tests.builders.runs import detail_of, items
from tests.builders.trials import (
    detail,
    gauges,
    result,
    run,
    second,
    spec,
    spread,
    steady,
    with_spaces,
)


def figures(*details: RunDetail, trial: int = 1):
    labels = label_runs([each.run for each in details])
    return run_timelines(details, labels, "items", TimelineView(trial))


def of(name: str, median: float, seconds: int, **chosen) -> RunDetail:
    return detail(run(name * 10, title=name, **chosen), steady(median, seconds=seconds))


def test_plotly_takes_them():
    for figure in figures(of("a", 1.0, 5), of("b", 9.0, 2)):
        checked(figure)


def test_all_have_the_same_axes():
    long, short = figures(of("a", 1.0, 5), of("b", 9.0, 2))
    for axis in ("xaxis", "yaxis"):
        assert long.plot["layout"][axis]["range"] == short.plot["layout"][axis]["range"]
    assert long.plot["layout"]["xaxis"]["range"] == [0, 5]
    assert max(short.plot["data"][-2]["x"]) == 2


def test_titles_name_run_and_work():
    first, second = figures(of("a", 1.0, 5), of("b", 9.0, 2))
    assert with_spaces(first.title) == "A a: 2,500 requests in 5.00 s"
    assert (first.name, second.name) == ("timeline-a", "timeline-b")


def of_rates(*rates: int) -> tuple[RunDetail, ...]:
    """A run for each of so many requests a second."""
    return tuple(
        detail(run(f"{at}" * 10, title=f"{rate}"), steady(1.0, rate, 5))
        for at, rate in enumerate(rates)
    )


def test_p50_to_p99_is_an_area():
    for figure in figures(*of_rates(1_000, 1_200, 1_500)):
        lower, upper, _ = figure.plot["data"]
        assert (upper["fill"], "fill" in lower) == ("tonexty", False)
        assert lower["x"] == upper["x"]
        assert all(high >= low for low, high in zip(lower["y"], upper["y"], strict=True))


def test_the_area_has_the_gaps_of_its_lines():
    counts = (1_000, 1_000, 50, 1_000, 1_000)
    seconds = [second(index, *spread(1.0, many, index)) for index, many in enumerate(counts)]
    runs = [detail(run(f"{at}" * 10, title=f"{at}"), result(*seconds)) for at in range(3)]
    for figure in figures(*runs):
        area, lower, upper, _ = figure.plot["data"]
        assert area["fill"] == "toself"
        assert [area["x"][at] for at in (0, 3, 8, 9, 12, -1)] == [0, 2, None, 3, 5, None]
        assert None in upper["y"]
        assert set(area["y"]) <= {*lower["y"], *upper["y"]}


@pytest.mark.parametrize(
    ("rates", "ends", "words"),
    [
        ((50, 50), [["p50"]] * 2, "p50 of each second: too few samples for more."),
        ((1_000,) * 3, [["p50", "p99"]] * 3, "p50 to p99 of each second."),
        (
            (1_000, 300, 50),
            [["p50", "p99"], ["p50", "p95"], ["p50"]],
            "p50 to p95 or p99 of each second, as its samples allow.",
        ),
    ],
)
def test_no_percentile_is_drawn_further_than_the_seconds_have_samples_for(rates, ends, words):
    drawn = figures(*of_rates(*rates))
    said = [[text for text in annotations(figure) if text.startswith("p")] for figure in drawn]
    assert said == ends
    assert run_timelines_legend(drawn).endswith(words)


def test_the_area_ends_where_a_second_has_too_few_samples():
    rows = [second(at, *spread(1.0, many, at)) for at, many in enumerate((1_500, 500, 1_500))]
    sparse = detail(run("s" * 10, title="sparse"), result(*rows))
    figure = figures(sparse, *of_rates(1_000, 1_000))[0]
    checked(figure)
    area, _, upper, *_ = figure.plot["data"]
    assert [x for x in area["x"] if x is not None] == [0, 1, 1, 0, 2, 3, 3, 2]
    known = [x for x, y in zip(upper["x"], upper["y"], strict=True) if y is not None]
    assert known == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("client", "text", "colour"),
    [(0.79, "client CPU 79 %", "$ink-3"), (1.0, "client CPU 100 %, the limit", "$cause")],
)
def test_a_strip_at_its_limit_is_warm(client, text, colour):
    only = replace(of("a", 1.0, 3), gauges=(gauges(6, client=client),))
    (figure,) = figures(only)
    labels = {with_spaces(label["text"]): label for label in figure.plot["layout"]["annotations"]}
    assert labels[text]["font"]["color"] == colour


def test_the_limit_of_a_target_is_that_of_its_workers():
    chosen = replace(spec(), target=Target(workers=4))
    only = replace(of("a", 1.0, 3, spec=chosen), gauges=(gauges(6, target=2.0),))
    (figure,) = figures(only)
    strips = figure.plot["data"][-1]
    assert (strips["z"][1], strips["full"][1]) == ([200, 200, 200], 400)
    assert "target CPU 200 %" in with_spaces(figure.label)
    assert "limit" not in figure.label


def test_a_run_without_that_trial_is_left_out():
    empty = RunDetail(run("b" * 10, title="b", streams=()), {}, {}, ())
    assert [figure.name for figure in figures(of("a", 1.0, 5), empty)] == ["timeline-a"]
    assert figures(of("a", 1.0, 5), trial=2) == ()
    assert figures() == ()


def test_a_run_that_nobody_watched_has_no_strips():
    (figure,) = figures(replace(of("a", 1.0, 3), gauges=()))
    checked(figure)
    assert annotations(figure) == ["p50", "p95"]
    assert figure.table.columns == ("second", "completed", "p50, ms", "p99, ms")


def test_a_server_whose_workers_are_unknown_has_no_limit():
    chosen = replace(spec(), target=UrlTarget("http://127.0.0.1:9000"))
    only = replace(of("a", 1.0, 3, spec=chosen), gauges=(gauges(6, target=1.0),))
    (figure,) = figures(only)
    assert "target CPU 100 %" in with_spaces(figure.label)
    assert "the limit" not in figure.label


def test_an_invalid_run_is_called_so():
    (figure,) = figures(of("a", 1.0, 5, validity=Validity("invalid")))
    assert with_spaces(figure.title) == "A a, invalid: 2,500 requests in 5.00 s"
    assert {trace["opacity"] for trace in figure.plot["data"]} == {FADED}
    ends = {label["text"]: label["font"]["color"] for label in figure.plot["layout"]["annotations"]}
    assert (ends["p50"], ends["p95"]) == ("$ink-3", "$ink-3")


@pytest.mark.parametrize(
    ("inside", "said", "colour"),
    [
        ({}, "loop lag up to 4.00 ms", "$ink-3"),
        ({"blocked": 0.5, "stall_s": 1.0}, "loop lag up to 1.00 s, blocked", "$cause"),
    ],
)  # fmt: skip
def test_the_third_strip_is_the_lag_of_the_loop(inside, said, colour):
    only = detail_of(items(stop={"duration_s": 6}), Shape(rate_per_s=50, **inside))
    (figure,) = figures(only)
    checked(figure)
    (label,) = [
        label
        for label in figure.plot["layout"]["annotations"]
        if with_spaces(label["text"]).startswith(said)
    ]
    assert label["font"]["color"] == colour
    assert figure.table.columns[-1] == "longest loop lag, ms"


@pytest.mark.parametrize("found", [None, False])
def test_a_strip_is_no_more_certain_than_the_cause(found):
    only = detail_of(items(stop={"duration_s": 6}), Shape(rate_per_s=50, blocked=0.5, stall_s=1.0))
    judged = replace(only.run, causes=(Cause("loop_blocked", "", {}, found),))
    (figure,) = figures(replace(only, run=judged))
    labels = {
        label["text"]: label["font"]["color"] for label in figure.plot["layout"]["annotations"]
    }
    (lag,) = [text for text in labels if text.startswith("loop lag")]
    assert (with_spaces(lag), labels[lag]) == ("loop lag up to 1.00 s", "$ink-3")


@pytest.mark.parametrize(("runs", "kinds"), [(1, 2), (2, 2), (3, 1)])
def test_one_or_two_runs_are_heat_maps(runs, kinds):
    shape = Shape(rate_per_s=50)
    details = [detail_of(items(stop={"duration_s": 3}), shape, f"{at}" * 10) for at in range(runs)]
    words = run_timelines_legend(figures(*details))
    for figure in figures(*details):
        checked(figure)
        heats = [trace for trace in figure.plot["data"] if trace["type"] == "heatmap"]
        assert ("Fuller blue" in words) == (kinds == 2)
        assert len(heats) == kinds
        assert figure.height == ("h220" if kinds == 2 else "h140")

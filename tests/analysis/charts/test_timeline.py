"""One run over time."""

from dataclasses import replace

import pytest

from control_plane.analysis.causes import diagnose
from control_plane.analysis.causes.evidence import Evidence
from control_plane.analysis.charts.figure import Figure
from control_plane.analysis.charts.panels import NARROW_LETTERS
from control_plane.analysis.charts.timeline import timeline_chart
from control_plane.domain.observations import Stall
from control_plane.domain.result import Cause, WarmUp
from control_plane.domain.run import RunDetail, State
from control_plane.domain.spec import Target
from control_plane.domain.units import share
from tests.analysis.charts.plotted import annotations, checked
from tests.builders.records import Shape
from tests.builders.runs import detail_of, items
from tests.builders.trials import (
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

TITLES = (
    "Response time",
    "Throughput",
    "Event-loop lag",
    "Thread-pool tokens",
    "CPU, share of one core",
    "Memory of each process",
    "Garbage collection, share of time",
    "Requests in flight, each worker, looked at every 500 ms",
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
    upright = [shape for shape in figure.plot["layout"]["shapes"] if shape["xref"] == "x"]
    assert [shape["x0"] for shape in upright] == [4.0, 8.0]


@pytest.mark.parametrize("trial", [1, 3])
def test_one_trial_alone(trial):
    figure = timeline_chart(three_trials(), trial)
    assert figure.plot["layout"]["xaxis"]["range"] == [0, 4]
    assert {row[0] for row in figure.table.rows} == {trial}
    assert len(figure.table.rows) == 4


def test_panels_and_their_labels():
    figure = timeline_chart(three_trials())
    found = texts(figure)
    assert [text for text in found if text in {"Response time", "Throughput"}] == [
        "Response time",
        "Throughput",
    ]
    assert "500 /s" in found
    assert {"target mean 30 %", "client mean 80 %"} <= set(found)
    assert [text[:3] for text in found if text[0] == "p"] == ["p50", "p95"]


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
    assert not [text for text in texts(timeline_chart(three_trials())) if "errors" in text]


def test_several_streams_are_told_apart_by_colour():
    small, large = steady(1.0, name="small"), steady(900.0, name="large")
    detail = RunDetail(
        run("0000000001", small, large, spec=spec(names=("small", "large"))),
        {"small": small, "large": large},
        {"small": (known(small.timeline),), "large": (known(large.timeline),)},
        (gauges(6),),
    )
    figure = timeline_chart(detail)
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


@pytest.mark.parametrize(
    ("per_second", "start"),
    [
        (1_000, "p99 stays"),
        (999, "p95 stays"),
        (20, "p50 stays"),
        (19, "Response times between 2."),
    ],
)
def test_the_title_goes_as_far_as_the_seconds_have_samples(per_second, start):
    rows = [second(index, *[2.0] * per_second) for index in range(3)]
    title = timeline_chart(detail(run(), result(*rows))).title
    assert with_spaces(title).startswith(start)


def test_the_p99_of_a_few_requests_is_neither_drawn_nor_named():
    figure = timeline_chart(detail(run(), result(*[second(at, *[2.0] * 50) for at in range(4)])))
    assert not [text for text in texts(figure) if text.startswith(("p95", "p99"))]


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
    assert figure.table.columns[:9] == (
        "trial",
        "second",
        "stream",
        "completed",
        "errors",
        "p50, ms",
        "p95, ms",
        "p99, ms",
        "mean answer, B",
    )
    assert figure.table.rows[0] == (1, 0, "items", 1, 2, 1.0, 1.0, 1.0, 0.0, 30.0, 80.0, 50.0, 50.0)
    assert figure.table.rows[1][3:8] == (0, 0, None, None, None)


def with_sizes(*sizes: float | None, completed: int = 50) -> RunDetail:
    found = detail(run(), result(*(second(index, *[1.0] * completed) for index in range(4))))
    (timeline,) = found.timelines["items"]
    return replace(found, timelines={"items": (replace(timeline, body_bytes=sizes),)})


def test_the_size_of_answers_is_drawn_where_it_changes():
    figure = timeline_chart(with_sizes(20_000, 20_100, None, 27))
    checked(figure)
    assert "Mean size of an answer" in texts(figure)
    assert "27 B to 20.1 kB" in texts(figure)
    (drawn,) = (trace for trace in figure.plot["data"] if "kB" in trace.get("hovertemplate", ""))
    assert max(value or 0 for value in drawn["y"]) == 20.1
    assert [row[8] for row in figure.table.rows] == [20_000, 20_100, None, 27]


@pytest.mark.parametrize(
    "found",
    [
        with_sizes(20_000, 20_100, None, 19_000),
        with_sizes(100, 5, 100, 5, completed=3),
        with_sizes(0, 0, 0, 0),
        with_sizes(None, None, None, None),
        with_sizes(),
    ],
)
def test_no_size_of_answers_is_drawn_where_it_hardly_changes(found: RunDetail) -> None:
    assert "Mean size of an answer" not in texts(timeline_chart(found))


def test_an_hour_is_still_quick_to_draw():
    rows = [second(index, 1.0) for index in range(3_600)]
    figure = timeline_chart(detail(run(), result(*rows)))
    assert len(figure.table.rows) == 3_600
    assert figure.plot["layout"]["xaxis"]["range"] == [0, 3_600]


def watched(trial: int | None = None, **inside) -> Figure:
    shape = Shape(rate_per_s=50, **inside)
    return timeline_chart(detail_of(items(stop={"duration_s": 6}, trials=2), shape), trial)


def test_each_panel_that_has_data_is_drawn():
    figure = watched()
    checked(figure)
    assert [text for text in texts(figure) if text in TITLES] == list(TITLES)
    assert "heatmap" in {trace["type"] for trace in figure.plot["data"]}
    assert {"longest loop lag, ms", "tokens waiting", "in flight"} <= set(figure.table.columns)


@pytest.mark.parametrize(
    ("inside", "said"),
    [
        ({"blocked": 0.5, "stall_s": 1.0}, {"longest 1.00 s", "none busy", "limit 40"}),
        ({"waiting": 60}, {"40 busy", "60 waiting", "limit 40"}),
    ],
)
def test_a_cause_is_warm_through_all_panels(inside, said):
    figure = watched(1, **inside)
    assert said <= set(texts(figure))
    warm = [shape for shape in figure.plot["layout"]["shapes"] if shape["type"] == "path"]
    assert [shape.get("fillcolor") for shape in warm] == ["$cause/0.1", None]
    assert warm[1]["line"]["color"] == "$cause"


@pytest.mark.parametrize(("found", "said"), [(None, True), (False, False)])
def test_a_chart_is_no_more_certain_than_the_cause(found, said):
    shape = Shape(rate_per_s=50, blocked=0.5, stall_s=1.0)
    seen = detail_of(items(stop={"duration_s": 6}), shape)
    judged = replace(seen.run, causes=(Cause("loop_blocked", "", {}, found),))
    figure = timeline_chart(replace(seen, run=judged))
    assert any("not decided" in text for text in texts(figure)) == said
    assert not any("blocked" in text for text in texts(figure))
    assert "$cause" not in str(figure.plot)


def test_a_quiet_server_has_no_warm_bands():
    figure = watched()
    assert [shape for shape in figure.plot["layout"]["shapes"] if shape["type"] == "path"] == []
    assert "$cause" not in str(figure.plot)


def test_on_a_small_screen_the_labels_stand_in_the_titles():
    figure = watched(1)
    narrow = annotations(figure, "narrow")
    assert "Thread-pool tokens: none busy, limit 40" in [with_spaces(text) for text in narrow]
    assert max(map(len, narrow)) <= NARROW_LETTERS


@pytest.mark.parametrize(
    ("workers", "target", "title"),
    [
        (1, 0.99, "CPU: target mean 99 %, client mean 100 %, 1 core"),
        (4, 4.0, "CPU: target mean 400 %, client mean 100 %, 4 cores"),
    ],
)
def test_on_a_small_screen_the_title_says_how_many_cores_the_target_has(workers, target, title):
    chosen = replace(spec(), target=Target(workers=workers))
    loaded = replace(
        detail(run(spec=chosen), steady(2.0, seconds=3)),
        gauges=(gauges(target=target, client=1.0),),
    )
    narrow = annotations(timeline_chart(loaded), "narrow")
    assert title in [with_spaces(text) for text in narrow]


def test_a_warm_up_is_grey_and_named_before_the_window():
    whole = detail(run(), steady(2.0, seconds=4))
    (line,) = whole.timelines["items"]
    times = (0.002, 0.002)
    early = WarmUp((9, 9), (0, 0), times, times, times, 1.5)
    figure = timeline_chart(replace(whole, timelines={"items": (replace(line, warmup=early),)}))
    checked(figure)
    layout = figure.plot["layout"]
    (field,) = [shape for shape in layout["shapes"] if shape["type"] == "rect"]
    assert (field["x0"], field["x1"], layout["xaxis"]["range"]) == (-1.5, 0, [-1.5, 4])
    assert "warm-up" in annotations(figure)
    assert [row[1] for row in figure.table.rows] == [-2, -1, 0, 1, 2, 3]
    assert figure.table.rows[0][3:6] == (9, 0, 2.0)


def test_the_share_of_a_blocked_loop_is_that_of_its_cause():
    """Also where stalls begin before the window or end after it."""
    asked = items(stop={"duration_s": 6}, trials=1)
    only = detail_of(asked, Shape(rate_per_s=50, blocked=0.5, stall_s=1.0))
    (seen,) = only.gauges
    (worker,) = seen.workers
    held = [Stall(worker.pid, at_s, 2.5, ("shop.py:1 wait",)) for at_s in (-2.0, 1.0, 5.0)]
    lasted = replace(worker, stalls=len(held), stalled_s=sum(stall.duration_s for stall in held))
    over = (replace(seen, workers=(lasted,), stalls=tuple(held)),)
    run = only.run
    judged = diagnose(Evidence(run.spec, run.trials, run.streams, over, known(run.validity)))
    (cause,) = [cause for cause in judged if cause.cause == "loop_blocked"]
    of_window = float(cause.evidence["blocked_share"] or 0)
    assert of_window == pytest.approx(4.0 / 6, abs=0.02)
    drawn = timeline_chart(replace(only, run=replace(run, causes=judged), gauges=over))
    assert with_spaces(f"blocked {share(of_window)}") in texts(drawn)

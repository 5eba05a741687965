"""A trend: its points, its steps as people left them, one alarm for each, what changed around."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from control_plane.analysis.charts.preview_picture import BOTTOM_END, TOP_END, drawn_trend
from control_plane.analysis.charts.trend_chart import trend_chart
from control_plane.analysis.prose.experiment_and_trend_json import trend_document
from control_plane.analysis.prose.markdown_and_junit import trend_markdown
from control_plane.analysis.trend import Trend, changed_mark, trend_of
from control_plane.domain.errors import InvalidInput
from control_plane.domain.trend_runs import (
    Blocks,
    StepChange,
    StepMark,
    TrendAxis,
    TrendBaseline,
    TrendKey,
    TrendRun,
    TrendRuns,
)
from tests.builders.runs import ENVIRONMENT, items

NOW = datetime(2026, 11, 1, tzinfo=UTC)
WOBBLE = (0.0, 0.01, -0.01, 0.005, -0.005)
KEY = TrendKey("0" * 16, "", "response_time_s.p50")


def values(*levels: tuple[int, float]) -> list[float]:
    points = [level for count, level in levels for _ in range(count)]
    return [level * (1 + WOBBLE[n % len(WOBBLE)]) for n, level in enumerate(points)]


def trend(
    numbers: Sequence[float | None],
    marks: Sequence[StepMark] = (),
    facts: Sequence[Mapping[str, Any]] = (),
    blocks: Sequence[Blocks] = (),
    key: TrendKey = KEY,
    axis: TrendAxis = "time",
    margin: float = 0.03,
) -> Trend:
    runs = tuple(
        TrendRun(
            seq=10 * n,
            id=f"{n:010}",
            at=NOW + timedelta(days=n),
            outcome="valid",
            environment={**ENVIRONMENT, **(facts[n] if facts else {})},
            value=number,
            blocks=blocks[n] if blocks else (),
        )
        for n, number in enumerate(numbers)
    )
    baselines = (TrendBaseline("1" * 16, "release 2.3", len(runs)),)
    found = TrendRuns(key, items(), "nightly", runs, tuple(marks), baselines, ("bench",), 0)
    return trend_of(found, axis=axis, margin=margin)


def mark(found: int | None, place: int | None, **more: Any) -> StepMark:
    return StepMark("a" * 10, found, place, NOW, made_by="me", **more)


SLOWER = values((20, 0.010), (15, 0.012))


def test_a_step_says_between_which_runs_how_much_and_whether_that_is_worse() -> None:
    found = trend(SLOWER)
    (step,) = found.steps
    assert (step.at, step.verdict, step.origin) == (20, "worse", "found")
    assert step.change == pytest.approx(0.2, abs=0.01)
    assert found.sentence == "p50 response time rose by 20\N{NO-BREAK SPACE}%, which is worse"
    assert found.alarm == step
    told = trend_document(found)
    assert told["alarm"]["run"] == told["points"][20]["run"] == f"{20:010}"
    assert told["alarm"]["after"] <= f"{19:010}" < told["alarm"]["before"]
    chart = trend_chart(found)
    (field,) = [shape for shape in chart.plot["layout"]["shapes"] if shape["type"] == "rect"]
    assert field["fillcolor"].startswith("$bad")
    assert len(chart.table.rows) == len(SLOWER)


def test_who_reads_no_page_is_told_of_suspect_runs() -> None:
    runs = trend(SLOWER).runs
    doubted = tuple(replace(run, outcome="suspect") for run in runs.runs)
    whole = trend_of(replace(runs, runs=doubted), axis="time", margin=0.03)
    single = trend_of(replace(runs, runs=(*doubted[:1], *runs.runs[1:])), axis="time", margin=0.03)
    told = trend_document(whole)["sentence"]
    assert told.endswith("which is worse; 35 of 35 runs are suspect")
    assert trend_document(single)["sentence"].endswith("; 1 of 35 runs is suspect")
    assert "; 35 of 35 runs are suspect**" in trend_markdown(trend_document(whole), "http://here/a")
    assert "35 points, 35 of them suspect" in trend_chart(whole).label


def test_where_suspect_runs_are_left_out_the_sentence_says_how_to_take_them() -> None:
    left = "15 suspect runs left out, which --suspect counts, too"
    empty = trend_of(replace(trend([]).runs, doubted=15), axis="time", margin=0.03)
    found = trend_document(empty)
    assert found["sentence"] == f"0 points of p50 response time: a trend needs 10; {left}"
    assert trend_markdown(found, "http://here/trends/a").replace("\\", "").count(left) == 1
    steps = trend_of(replace(trend(SLOWER).runs, doubted=15), axis="time", margin=0.03)
    assert trend_document(steps)["sentence"].endswith(f"which is worse; {left}")


def test_less_than_the_margin_raises_no_alarm_and_quicker_is_better() -> None:
    small = trend(values((20, 1.0), (20, 1.02)))
    assert small.steps[0].verdict == "within margin"
    assert small.alarm is None
    assert "within the margin of 3.0" in small.sentence
    assert trend(values((20, 1.0), (20, 1.02)), margin=0.0).alarm
    quicker = trend(values((20, 1.0), (20, 0.8)))
    assert (quicker.steps[0].verdict, quicker.alarm) == ("better", None)
    rate = replace(KEY, metric="throughput_per_s")
    assert trend(values((20, 1.0), (20, 0.8)), key=rate).steps[0].verdict == "worse"


def test_a_rejected_rise_makes_no_rise_of_the_fall_behind_it() -> None:
    """The mean of both levels beside it lies below that of the end."""
    found = trend(values((20, 1.0), (10, 30.0), (20, 10.0)), [mark(200, None)])
    assert [step.at for step in found.rejected] == [20]
    (fall,) = found.steps
    assert (fall.at, fall.verdict, found.alarm) == (30, "better", None)
    assert fall.change == pytest.approx(-2 / 3, abs=0.05)
    assert [begin for begin, _ in found.levels] == [0, 20, 30]
    (_, line) = trend_chart(found).plot["data"]
    assert [height for height in line["y"] if height][-3] == pytest.approx(30, rel=0.05)


@pytest.mark.parametrize("at", [17, 22, 25])
def test_an_added_step_takes_the_place_of_the_rejected_one_beside_it(at: int) -> None:
    marks = [mark(200, None), replace(mark(None, 10 * at), id="b" * 10)]
    found = trend(values((20, 1.0), (20, 2.0)), marks)
    assert [step.at for step in found.rejected] == [20]
    (added,) = found.steps
    assert (added.at, added.origin, added.verdict) == (at, "added", "worse")
    assert added.change == pytest.approx(0.8, abs=0.15)
    assert [begin for begin, _ in found.levels] == [0, at]


def test_an_added_step_beside_a_found_one_replaces_no_rejected_one() -> None:
    """The fall would be told as a rise again."""
    marks = [mark(200, None), replace(mark(None, 250), id="b" * 10)]
    found = trend(values((20, 1.0), (5, 30.0), (20, 10.0)), marks)
    assert [(step.at, step.origin, step.verdict) for step in found.steps] == [
        (25, "added", "better"),
        (25, "found", "better"),
    ]
    assert [begin for begin, _ in found.levels] == [0, 20, 25]


def test_fewer_than_ten_points_are_no_trend() -> None:
    found = trend([*values((4, 1.0), (5, 9.0)), None])
    assert (found.steps, found.enough, found.without_number) == ((), False, 1)
    assert found.sentence == "9 points of p50 response time: a trend needs 10"
    empty = trend([])
    assert (empty.points, empty.steps) == ((), ())


@pytest.mark.parametrize("later", [0, 30])
def test_what_people_do_to_steps_stays_when_runs_come_later(later: int) -> None:
    numbers = [*SLOWER, *values((later, 0.012))]
    rejected = trend(numbers, [mark(200, None)])
    assert (rejected.steps, rejected.alarm) == ((), None)
    assert [step.at for step in rejected.rejected] == [20]
    moved = trend(numbers, [mark(200, 180)])
    assert [(step.at, step.first, step.last, step.origin) for step in moved.steps] == [
        (18, 18, 18, "moved")
    ]
    noted = trend(numbers, [mark(200, 200, note="the pool")])
    assert [(step.at, step.mark.note) for step in noted.steps if step.mark] == [(20, "the pool")]
    added = trend(numbers, [mark(None, 100)])
    assert [(step.at, step.origin) for step in added.steps] == [(10, "added"), (20, "found")]
    both = trend(numbers, [mark(None, 200, note="kept")])
    assert [(step.at, step.origin) for step in both.steps] == [(20, "added"), (20, "found")]
    assert both.alarm
    # The run of a step may be deleted since: the step stands before the next one.
    assert [step.at for step in trend(numbers, [mark(None, 95)]).steps] == [10, 20]


def test_an_added_step_hides_none_that_was_found() -> None:
    hidden = trend(SLOWER, [mark(None, 300)])
    assert [step.origin for step in hidden.steps] == ["found", "added"]
    assert hidden.alarm == hidden.newest == hidden.steps[0]
    assert hidden.sentence == trend(SLOWER).sentence
    told = trend(SLOWER, [mark(None, 300), replace(mark(200, 200, told_at=NOW), id="b" * 10)])
    assert told.alarm is None
    moved = trend(SLOWER, [mark(None, 300), replace(mark(200, 180), id="b" * 10)])
    assert moved.alarm == moved.steps[0]
    alone = trend(SLOWER, [mark(None, 300), replace(mark(200, None), id="b" * 10)])
    assert alone.newest == alone.steps[0]
    assert (alone.alarm, alone.sentence.endswith(": added by hand")) == (None, True)


def test_a_step_that_is_found_a_little_further_is_the_same_and_told_once() -> None:
    assert trend(SLOWER, [mark(180, 180, told_at=NOW)]).alarm is None
    (step,) = trend(SLOWER, [mark(180, 180, told_at=NOW)]).steps
    assert step.mark
    nobody = replace(mark(50, 50, told_at=NOW), made_by="")
    far = trend(SLOWER, [nobody])
    assert far.alarm
    # What was only told leaves nothing where it is no longer found.
    assert [step.at for step in far.steps] == [20]


def test_ratios_to_a_baseline_have_intervals_and_need_three_blocks() -> None:
    pairs = tuple((0.010 * w, 0.012 * w) for w in (1.0, 1.02, 0.99, 1.01))
    odd: Blocks = ((0.01, 0.012), (0.01, None), (0.01, 0.012))
    key = replace(KEY, baseline="1" * 16)
    found = trend([0.012] * 12, blocks=[pairs] * 10 + [pairs[:2], odd], key=key)
    assert (len(found.points), found.without_number) == (10, 2)
    point = found.points[0]
    assert point.value == pytest.approx(1.2)
    assert point.low is not None
    assert point.high is not None
    assert point.low < point.value < point.high
    assert found.sentence == "No step in p50 response time against release 2.3 over 10 runs"


def test_by_commit_runs_of_one_stand_together() -> None:
    commits = ["a" * 40] * 10 + ["b" * 40] * 10 + ["a" * 40] * 2
    numbers = values((10, 1.0), (10, 1.5), (2, 1.0))
    found = trend(numbers, facts=[{"commit": commit} for commit in commits], axis="commit")
    assert [point.commit.commit[0] for point in found.points if point.commit] == [
        *"a" * 12,
        *"b" * 10,
    ]
    (step,) = found.steps
    assert [commit.text for commit in found.commits(step)] == ["a" * 10, "b" * 10]
    assert trend_chart(found).plot["layout"]["xaxis"]["ticktext"] == ["a" * 7, "b" * 7]


def test_changes_around_the_application_stand_between_runs() -> None:
    facts = [{"kernel": "6.1.0" if n < 6 else "6.1.9", "load_before": n / 7} for n in range(12)]
    found = trend(values((12, 1.0)), facts=facts)
    (change,) = found.changes
    assert (change.at, [each.field for each in change.differences]) == (6, ["kernel"])
    assert trend_document(found)["changes"][0]["differences"] == [
        {"field": "kernel", "values": ["6.1.0", "6.1.9"]}
    ]
    lines = [shape["x0"] for shape in trend_chart(found).plot["layout"]["shapes"]]
    assert lines == ["2026-11-07 00:00:00"]


@pytest.mark.parametrize(
    ("ratio", "spread", "texts"),
    [
        (1.2, 0.04, ["×1.10", "×1.15", "×1.20", "×1.25", "×1.30"]),
        (7.445, 0.0001, [f"×7.{end}" for end in range(436, 456, 2)]),
        (30.0, 5.0, ["×20", "×25", "×30", "×35", "×40", "×45"]),
    ],
)
def test_ticks_of_ratios_are_told_apart_and_are_what_they_say(
    ratio: float, spread: float, texts: list[str]
) -> None:
    axis = ratios(ratio, spread)["layout"]["yaxis"]
    assert axis["ticktext"] == texts
    assert [float(text.removeprefix("×")) for text in texts] == axis["tickvals"]


def test_the_picture_of_ratios_has_their_intervals() -> None:
    plot = ratios(1.2, 0.1)
    bars = [line for line in drawn_trend(plot).lines if line.points[0][0] == line.points[1][0]]
    low, high = plot["layout"]["yaxis"]["range"]
    heights = [abs(bar.points[1][1] - bar.points[0][1]) for bar in bars]
    marks = plot["data"][0]["error_y"]
    told = [sum(ends) for ends in zip(marks["array"], marks["arrayminus"], strict=True)]
    scale = (BOTTOM_END - TOP_END) / (high - low)
    assert heights == pytest.approx([each * scale for each in told], abs=0.2)
    assert min(heights) > 20
    raw = drawn_trend(trend_chart(trend(SLOWER)).plot)
    assert all(line.points[0][1] == line.points[1][1] for line in raw.lines)


def test_the_picture_says_how_much_each_step_is_where_there_is_room() -> None:
    found = trend(values((20, 0.010), (15, 0.012), (15, 0.018)))
    told = [label.text for label in drawn_trend(trend_chart(found).plot).labels]
    assert len(found.steps) == 2
    assert sorted(text[0] for text in told) == ["+", "+", "1"]
    near = trend(values((90, 0.010), (15, 0.012), (90, 0.018)))
    assert len(near.steps) == 2
    assert len(drawn_trend(trend_chart(near).plot).labels) == 2


def ratios(ratio: float, spread: float) -> dict[str, Any]:
    """Return the chart of twelve ratios, whose blocks lie so far apart."""
    pairs = tuple((0.010, 0.010 * (ratio + spread * way)) for way in (-1, 0, 1))
    key = replace(KEY, baseline="1" * 16)
    return trend_chart(trend([0.012] * 12, blocks=[pairs] * 12, key=key)).plot


@pytest.mark.parametrize("last", [0.0, 0.02], ids=["none failed", "some failed"])
def test_no_tick_is_below_zero_where_nothing_can_be(last: float) -> None:
    shown = trend([0.0] * 20 + [last] * 20, key=replace(KEY, metric="error_share"))
    assert trend_chart(shown).plot["layout"]["yaxis"]["tickvals"][0] == 0


def test_shares_of_errors_have_differences_and_no_ratio() -> None:
    found = trend([0.0] * 20 + [0.02] * 20, key=replace(KEY, metric="error_share"))
    (step,) = found.steps
    assert step.change == pytest.approx(0.02)
    assert step.verdict == "worse"
    assert found.sentence == "Errors rose by 2.0 percentage points, which is worse"


def test_what_is_done_to_a_step_is_kept_where_it_was_found() -> None:
    later, found = NOW + timedelta(days=60), trend(SLOWER)
    run, to = found.points[20].run, found.points[27].run
    for change, place in (
        (StepChange("reject", run.id), None),
        (StepChange("note", run.id, note="a\r\nb"), run.seq),
        (StepChange("move", run.id, to=to.id), to.seq),
    ):
        kept = changed_mark(found, change, later)
        assert (kept.found, kept.place, kept.changed_at) == (run.seq, place, later)
        assert kept.note == change.note.replace("\r", "")
    added = changed_mark(found, StepChange("add", to=to.id), later)
    assert (added.found, added.place) == (None, to.seq)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (StepChange("reject", "0000000019"), "run"),
        (StepChange("move", "0000000020", to="0000000000"), "to"),
        (StepChange("add", to="0000000020"), "to"),
        (StepChange("forget", "0000000020"), "do"),
        (StepChange("paint", "0000000020"), "do"),
    ],
)
def test_what_cannot_be_done_to_a_step_is_told_at_its_field(change: StepChange, field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        changed_mark(trend(SLOWER), change, NOW)
    assert [each.field for each in refused.value.fields] == [field]

"""Runs and streams as curves, and the two clocks of their requests."""

import math
from dataclasses import replace

import numpy as np
import pytest

from control_plane.analysis.charts.curve import (
    BOTH_NOTE,
    CLOSED_NOTE,
    FIRST_BYTE_NOTE,
    PERIODIC_NOTE,
    SCHEDULED_NOTE,
    curves_of_runs,
    curves_of_streams,
    nines,
    shares,
    time_base_note,
    times_differ,
    with_other_clocks,
)
from control_plane.analysis.charts.percentiles import percentile_chart
from control_plane.analysis.run_labels import label_runs
from control_plane.domain.load_models import AnyLoad, Burst, Closed, Open, Periodic
from control_plane.domain.run import RunDetail
from control_plane.domain.spec import Spec
from tests.analysis.charts.curves import INVALID, measured
from tests.analysis.charts.plotted import annotations, checked
from tests.builders.records import Shape
from tests.builders.runs import detail_of, items
from tests.builders.trials import result, run, second, spec, with_spaces


def test_runs_without_the_stream_or_without_samples_are_left_out():
    full, empty = measured("a", 1.0), measured("b")
    other = RunDetail(run("c"), {}, {}, ())
    details = [other, full, empty]
    (found,) = curves_of_runs(details, label_runs([each.run for each in details]), "items")
    assert (found.id, found.short, found.colour) == ("a", "B", "$run-2")


def test_an_invalid_run_is_faint_and_says_so():
    details = [measured("a", 1.0, validity=INVALID)]
    (found,) = curves_of_runs(details, label_runs([each.run for each in details]), "items")
    assert (found.believed, found.text) == (False, "A a, invalid")
    assert found.opacity < 1


def test_long_names_are_cut_but_never_the_doubt():
    streams = {"n": result(second(0, 1.0), name="n")}
    (short,) = curves_of_streams(RunDetail(run(spec=spec()), streams, {}, ()))
    plain = replace(short, name="a name of 20 letters")
    assert (plain.text, plain.short_text) == ("a name of 20 letters", "a name of 20 le…")
    assert replace(plain, believed=False).short_text == "a name…, invalid"
    clock = replace(plain, name="response time", believed=False, paired=True)
    assert clock.text == "response time"


def test_streams_of_one_run_have_colours_of_their_own():
    streams = {name: result(second(0, 1.0), name=name) for name in ("small", "large")}
    found = curves_of_streams(RunDetail(run(spec=spec()), streams, {}, ()))
    assert [(curve.name, curve.colour) for curve in found] == [
        ("small", "$run-1"),
        ("large", "$run-6"),
    ]


def loaded(*loads: AnyLoad) -> Spec:
    whole = spec(names=tuple(f"s{at}" for at in range(len(loads))))
    streams = tuple(
        replace(stream, load=load)
        for stream, load in zip(whole.workload.streams, loads, strict=True)
    )
    return replace(whole, workload=replace(whole.workload, streams=streams))


def open_run(queued_s: float) -> RunDetail:
    return detail_of(
        items(stop={"duration_s": 3}), Shape(rate_per_s=4_000, median_s=0.01, queued_s=queued_s)
    )


@pytest.mark.parametrize(("queued_s", "both"), [(0.0, False), (0.00001, False), (0.05, True)])
def test_both_times_are_drawn_where_requests_waited_to_be_sent(queued_s, both):
    detail = open_run(queued_s)
    assert times_differ(detail.streams["items"]) is both
    curves = with_other_clocks(curves_of_streams(detail), detail)
    assert [curve.clock for curve in curves] == ["response", "service"][: 1 + both]


def test_both_curves_are_named_and_the_title_says_what_lies_between():
    detail = open_run(0.05)
    figure = percentile_chart(with_other_clocks(curves_of_streams(detail), detail))
    checked(figure)
    assert {"response time", "service time"} <= {
        text.removeprefix("items ") for text in annotations(figure)
    }
    assert with_spaces(figure.title).startswith("Waiting to be sent adds 5")
    assert [row[0] for row in figure.table.rows] == ["response time", "service time"]
    hovered = {
        trace["hovertemplate"].replace("%{fullData.name}", trace["name"]).partition(" %")[0]
        for trace in figure.plot["data"]
        if "name" in trace
    }
    assert hovered == {"items response time", "service"}


@pytest.mark.parametrize(
    ("share", "clocks"),
    [(0.2, ["response", "first byte"]), (0.98, ["response"]), (None, ["response"])],
)
def test_the_first_byte_is_drawn_where_answers_begin_early(share, clocks):
    detail = detail_of(
        items(stop={"duration_s": 3}), Shape(rate_per_s=4_000, first_byte_share=share)
    )
    curves = with_other_clocks(curves_of_streams(detail), detail)
    assert [curve.clock for curve in curves] == clocks
    figure = percentile_chart(curves)
    checked(figure)
    assert ("first byte" in annotations(figure)) is ("first byte" in clocks)
    said = FIRST_BYTE_NOTE in time_base_note(detail.run.spec, detail.streams.values())
    assert said is ("first byte" in clocks)


@pytest.mark.parametrize(
    ("loads", "queued_s", "said"),
    [
        ((Open("open", 100),), 0.05, [BOTH_NOTE]),
        ((Burst("burst", 4),), 0.0, [SCHEDULED_NOTE]),
        ((Closed(),), 0.0, [CLOSED_NOTE]),
        ((Periodic("periodic", 0.1), Periodic("periodic", 1)), 0.0, [PERIODIC_NOTE]),
        ((Closed(), Open("open", 100)), 0.05, [BOTH_NOTE, CLOSED_NOTE]),
    ],
)
def test_words_follow_the_load_models(loads, queued_s, said):
    results = list(open_run(queued_s).streams.values())
    assert time_base_note(loaded(*loads), results) == " ".join(said)


@pytest.mark.parametrize(
    ("share", "place"), [(0.5, 0.30103), (0.9, 1.0), (0.99, 2.0), (0.999, 3.0), (0.9999, 4.0)]
)
def test_percentiles_stand_at_their_nines(share, place):
    assert nines(share) == pytest.approx(place)
    assert shares(np.array([place]))[0] == pytest.approx(share)


def test_the_largest_sample_has_no_place():
    assert nines(1.0) == math.inf

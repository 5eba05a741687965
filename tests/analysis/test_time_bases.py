"""Two clocks: when both are drawn, and what a load model cannot show."""

from dataclasses import replace

import pytest

from control_plane.analysis.charts.curve import curves_of_streams, with_service
from control_plane.analysis.charts.percentiles import percentile_chart
from control_plane.analysis.time_bases import (
    BOTH,
    CLOSED,
    PERIODIC,
    SCHEDULED,
    time_base_note,
    times_differ,
)
from control_plane.domain.load_models import AnyLoad, Burst, Closed, Open, Periodic
from control_plane.domain.run import RunDetail
from control_plane.domain.spec import Spec
from tests.analysis.charts.plotted import annotations, checked
from tests.analysis.samples import spec, with_spaces
from tests.builders import detail_of, items
from tests.synthetic import Shape


def loaded(*loads: AnyLoad) -> Spec:
    whole = spec(names=tuple(f"s{at}" for at in range(len(loads))))
    streams = tuple(
        replace(one, load=load) for one, load in zip(whole.workload.streams, loads, strict=True)
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
    curves = with_service(curves_of_streams(detail), detail)
    assert [one.clock for one in curves] == ["response", "service"][: 1 + both]


def test_both_curves_are_named_and_the_title_says_what_lies_between():
    detail = open_run(0.05)
    figure = percentile_chart(with_service(curves_of_streams(detail), detail))
    checked(figure)
    assert {"response time", "service time"} <= {
        one.removeprefix("items ") for one in annotations(figure)
    }
    assert with_spaces(figure.title).startswith("Waiting to be sent adds 5")
    assert [row[0] for row in figure.table.rows] == ["response time", "service time"]


@pytest.mark.parametrize(
    ("loads", "queued_s", "said"),
    [
        ((Open("open", 100),), 0.05, [BOTH]),
        ((Burst("burst", 4),), 0.0, [SCHEDULED]),
        ((Closed(),), 0.0, [CLOSED]),
        ((Periodic("periodic", 0.1), Periodic("periodic", 1)), 0.0, [PERIODIC]),
        ((Closed(), Open("open", 100)), 0.05, [BOTH, CLOSED]),
    ],
)
def test_words_follow_the_load_models(loads, queued_s, said):
    results = list(open_run(queued_s).streams.values())
    assert time_base_note(loaded(*loads), results) == " ".join(said)

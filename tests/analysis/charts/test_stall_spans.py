"""When the server could not go on."""

import pytest

from control_plane.analysis.charts.timeline_series import (
    merged_spans,
    span_bands,
    stall_spans,
)
from control_plane.domain.limits import BLOCKED_LOOP_S
from control_plane.domain.observations import Gauges, Stall, WorkerSeries
from control_plane.domain.result import Cause, Timeline
from tests.builders.segments import trial_segments

NONE = (None,) * 4


def worker(**chosen) -> WorkerSeries:
    empty = dict.fromkeys(("tokens_busy", "tokens_waiting", "in_flight", "completed", "gc_s"), NONE)
    return WorkerSeries(**{"pid": 7, "loop_lag_s": NONE, **empty, **chosen})


def track(trials: int = 1):
    times = (0.5, 0.5)
    return trial_segments([Timeline((1, 1), (0, 0), times, times, times, 1.0)] * trials)


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({}, []),
        ({"loop_lag_s": (0.0, BLOCKED_LOOP_S, 0.3, None)}, [(0.5, 1.5)]),
        ({"tokens_busy": (4, 4, 3, 4), "tokens_waiting": (1, 0, 1, 2), "tokens_total": 4},
         [(0.0, 0.5), (1.5, 2.0)]),
        ({"tokens_busy": (4,) * 4, "tokens_waiting": (1,) * 4}, []),
    ],
)  # fmt: skip
def test_samples_at_a_limit(chosen, expected):
    assert stall_spans(track(), [Gauges(0.5, (), (worker(**chosen),))]) == expected


def test_a_stall_is_known_better_than_the_sample_that_shows_it():
    lag = worker(loop_lag_s=(0.3, 0.0, 0.0, 0.2))
    stall = Stall(7, 0.1, 0.3, ())
    found = stall_spans(track(), [Gauges(0.5, (), (lag,), (stall,))])
    assert found == [(0.1, pytest.approx(0.4)), (1.5, 2.0)]


def test_a_stall_ends_with_its_trial_and_lies_in_it():
    gauges = Gauges(0.5, (), (), (Stall(7, 1.5, 9.0, ()),))
    assert stall_spans(track(2), [Gauges(0.5, ()), gauges]) == [(3.5, 4.0)]


@pytest.mark.parametrize(
    ("causes", "expected"),
    [
        ((), [(0.1, 0.4), (1.0, 1.5)]),
        ((Cause("loop_blocked", "", {}), Cause("pool_exhausted", "", {}, found=False)),
         [(0.1, 0.4)]),
        ((Cause("pool_exhausted", "", {}),), [(1.0, 1.5)]),
        ((Cause("server_cpu", "", {}),), []),
    ],
)  # fmt: skip
def test_what_was_ruled_out_is_not_warm(causes, expected):
    full = worker(tokens_busy=(0, 0, 4, 0), tokens_waiting=(0, 0, 1, 0), tokens_total=4)
    gauges = Gauges(0.5, (), (full,), (Stall(7, 0.1, 0.3, ()),))
    found = stall_spans(track(), [gauges], causes)
    assert [list(map(float, span)) for span in found] == [pytest.approx(span) for span in expected]


def test_a_stall_is_warm_as_it_counted_for_its_cause():
    gauges = Gauges(0.5, (), (worker(),), (Stall(7, 0.1, 0.15, ()), Stall(7, 0.5, 0.4, ())))
    blocked = Cause("loop_blocked", "", {"floor_s": 0.2})
    assert stall_spans(track(), [gauges], [blocked]) == [(0.5, 0.9)]


def test_spans_that_touch_become_one():
    assert merged_spans([(2, 3), (0, 1), (0.5, 2), (5, 6)], 0) == [(0, 3), (5, 6)]
    assert merged_spans([(0, 1), (1.5, 2)], 0.5) == [(0, 2)]


def test_bands_have_an_edge_on_top():
    band, edge = span_bands([(1.0, 2.0)], 10, 0.9)
    assert band["path"] == "M1.000,0V0.9000H2.000V0Z"
    assert (edge["path"], edge["line"]["width"]) == ("M1.000,0.9000H2.000", 3)
    assert span_bands([], 10, 0.9) == []

"""From records to summaries: counts, times, merging, the seconds of a window."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_plane.analysis.summary import (
    mean_with_waiting_s,
    merge,
    summarize,
    timeline,
    timeline_of,
    times,
)
from control_plane.domain.histogram import EMPTY, Histogram
from control_plane.domain.result import Censored, Timeline
from control_plane.domain.run import StreamResult
from tests.builders.runs import ASYNC, trial_of, two_streams
from tests.builders.trials import histogram, known, record, result, second, spec, summary

S = 1_000_000_000


def merged(*results: StreamResult) -> StreamResult:
    """One stream over its trials."""
    (found,) = merge([[result] for result in results], 30.0)
    return found


def test_requests_are_completed_failed_and_in_flight():
    found = result(second(0, 1, 2, 3, errors=2), in_flight_ns=(S, 3 * S), intended=8, sent=7)
    summary = found.summary
    assert (summary.requests, summary.completed, summary.errors) == (7, 3, {"reset": 2})
    assert summary.censored == Censored(2, 2.0, 3.0, 2, unanswered=2, unanswered_age_s=2.0)
    assert (summary.intended, summary.sent, summary.not_sent) == (8, 7, 1)
    assert summary.error_share == pytest.approx(0.4)


def test_throughput_counts_completed_requests_over_the_window():
    found = result(second(0, 1, 1, errors=5), second(1, 1), duration_s=1.5)
    assert found.summary.throughput_per_s == 2.0
    assert found.summary.duration_s == 1.5


def test_answers_after_the_window_are_no_throughput():
    """Of the five that completed, three were late; one more was meant to start before."""
    late = result(second(0, 10, 20, 30, 40, 50), answered=3, late=3)
    assert late.summary.completed == 5
    assert late.summary.throughput_per_s == 3 / late.summary.duration_s
    assert late.timeline is not None
    assert late.timeline.completed[-1] == 5 - 3
    assert merged(late, late).summary.throughput_per_s == late.summary.throughput_per_s


def test_both_clocks_are_kept_apart():
    service, response = histogram(1, 2), histogram(101, 102)
    row = second(0)
    found = result(type(row)(0, 0, service, response))
    assert known(found.summary.service_time_s).max == pytest.approx(0.002)
    assert known(found.summary.response_time_s).max == pytest.approx(0.102)


def test_nothing_completed():
    found = result(second(0, errors=3)).summary
    assert (found.service_time_s, found.response_time_s) == (None, None)
    assert (found.throughput_per_s, found.error_share) == (0.0, 1.0)
    assert found.cpu_s_per_request is None


def test_an_empty_record_has_no_numbers_that_look_measured():
    found = result(duration_s=1.0).summary
    assert (found.requests, found.error_share, found.throughput_per_s) == (0, None, 0.0)
    assert found.censored == Censored(0, None, None, 0, unanswered=0)
    assert result(duration_ns=0).summary.throughput_per_s == 0.0


def test_error_classes_that_did_not_happen_are_left_out():
    found = result(second(0, 1), errors={"timeout": 0, "reset": 1})
    assert found.summary.errors == {"reset": 1}


@pytest.mark.parametrize(
    ("cpu_s", "by_all", "expected"),
    [(1.0, None, 0.25), (1.0, 10, 0.1), (None, None, None), (None, 10, None), (1.0, 0, None)],
)
def test_processor_time_is_shared_by_all_completed_requests(cpu_s, by_all, expected):
    found = summarize(
        record(second(0, 1, 1, 1, 1)),
        spec(),
        target_cpu_s=cpu_s,
        target_peak_memory_bytes=None,
        completed_by_all=by_all,
    )
    assert found.summary.cpu_s_per_request == expected
    assert found.summary.peak_memory_bytes is None


@pytest.mark.parametrize("lag", [None, EMPTY])
def test_no_send_lag_without_a_schedule(lag):
    assert result(second(0, 1), send_lag=lag).summary.send_lag_s is None


def test_send_lag_where_a_schedule_set_the_start():
    found = known(result(second(0, 1), send_lag=histogram(1, 1, 5)).summary.send_lag_s)
    assert (found.p50, found.p99, found.max) == pytest.approx((0.001, 0.005, 0.005), rel=1e-3)


@given(st.lists(st.floats(0.001, 10_000), min_size=1, max_size=500))
def test_times_are_nearest_rank_with_their_support(values_ms):
    found = known(times(histogram(*values_ms)))
    for name, share in (("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99), ("p999", 0.999)):
        expected = np.quantile(values_ms, share, method="inverted_cdf") / 1e3
        assert getattr(found, name) == pytest.approx(expected, rel=1e-3, abs=2e-9)
    beyond = len(values_ms) - np.ceil(round(0.99 * len(values_ms), 6))
    assert found.support["p99"] == beyond
    assert found.min <= known(found.p50) <= known(found.p99) <= known(found.p999) <= found.max
    assert found.mean == pytest.approx(np.mean(values_ms) / 1e3, rel=1e-3, abs=2e-9)


def test_no_samples_no_times():
    assert times(EMPTY) is None


def test_merging_adds_counts_durations_and_histograms():
    first = result(second(0, 1, 2, errors=1), duration_s=1.0, in_flight_ns=(S,))
    other = result(second(0, 3, 4, 5), duration_s=2.0, in_flight_ns=(2 * S, 3 * S), cpu_s=4.0)
    both = merged(first, other)
    found = both.summary
    assert (found.requests, found.completed, found.errors) == (9, 5, {"reset": 1})
    assert found.duration_s == 3.0
    assert found.throughput_per_s == pytest.approx(5 / 3)
    assert found.error_share == pytest.approx(1 / 6)
    assert found.censored == Censored(3, 2.0, 3.0, 3, unanswered=3, unanswered_age_s=2.0)
    assert found.statuses == {"200": 5}
    assert (found.bytes_sent, found.bytes_received) == (500, 1_000)
    assert found.cpu_s_per_request == pytest.approx(1.0)
    assert both.response.total == 5
    assert (both.timeline, both.seconds) == (None, None)


def test_percentiles_are_read_from_the_merged_histogram():
    quick = result(second(0, *[1.0] * 99))
    slow = result(second(0, *[100.0] * 1))
    found = known(merged(quick, slow).summary.response_time_s)
    assert found.p50 == pytest.approx(0.001, rel=1e-3)
    assert found.p99 == pytest.approx(0.001, rel=1e-3)
    assert found.max == pytest.approx(0.1, rel=1e-3)


@given(st.lists(st.lists(st.floats(0.01, 5_000), max_size=40), min_size=1, max_size=5))
def test_merging_trials_is_as_if_they_had_been_one(parts):
    rows = [second(index, *part) for index, part in enumerate(parts)]
    separate = merged(*(result(row, duration_s=1.0) for row in rows)).summary
    together = result(*rows).summary
    assert separate.response_time_s == together.response_time_s
    assert separate.throughput_per_s == pytest.approx(together.throughput_per_s)


def test_merging_one_trial_changes_no_number():
    single = result(second(0, 1, 2, 3), in_flight_ns=(S,), send_lag=histogram(1, 2))
    assert merged(single).summary == single.summary


def test_peaks_are_the_largest_and_missing_ones_are_passed_over():
    known, unknown = result(second(0, 1)), result(second(0, 1), cpu_s=None)
    blind = type(unknown)(
        summary(peak_memory_bytes=None, cpu_s_per_request=None), unknown.service, unknown.response
    )
    found = merged(known, blind).summary
    assert found.peak_memory_bytes == 61_000_000
    assert found.cpu_s_per_request is None
    assert merged(blind, blind).summary.peak_memory_bytes is None


def test_send_lags_are_added_and_not_averaged():
    parts = [result(second(0, 1), send_lag=histogram(*lags)) for lags in ((1, 1, 1), (9,))]
    lag = known(merged(*parts).summary.send_lag_s)
    assert (lag.p50, lag.p99, lag.max) == pytest.approx((0.001, 0.009, 0.009), rel=1e-3)
    assert merged(parts[0], result(second(0, 1))).summary.send_lag_s is None


def test_each_second_of_the_window_has_its_place():
    found = timeline(record(second(0, 1, 1), second(2, 5, errors=1), duration_s=3.5))
    assert found.completed == (2, 0, 1, 0)
    assert found.errors == (0, 0, 1, 0)
    assert found.p50[0] == pytest.approx(0.001, rel=1e-3)
    assert (found.p99[1], found.p99[3]) == (None, None)
    assert found.last_s == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("measured_s", "length", "last_s"),
    [(0.0, 3, 1.0), (2.4, 3, 0.4), (3.0, 3, 1.0), (3.2, 4, 0.2), (5.0, 5, 1.0)],
)
def test_a_running_window_shows_what_it_knows(measured_s, length, last_s):
    found = timeline_of([second(0, 1), second(2, 1)], measured_s)
    assert len(found.completed) == length
    assert found.last_s == pytest.approx(last_s)


def test_no_seconds_no_timeline():
    assert timeline_of([], 0.0) == Timeline((), (), (), (), (), 1.0)


@pytest.mark.parametrize(
    ("censored", "expected"),
    [(Censored(), None), (Censored(500, 4.0, 9.0), 1.75), (Censored(1, 1.0, 1.0), 1.0)],
)
def test_what_those_still_waiting_would_add(censored, expected):
    times = result(second(0, *[1_000.0] * 1_500)).summary.response_time_s
    found = summary(completed=1_500, response_time_s=times, censored=censored)
    assert mean_with_waiting_s(found) == (expected and pytest.approx(expected, rel=1e-3))


def test_the_mean_when_nothing_completed_is_the_age():
    found = summary(completed=0, response_time_s=None, censored=Censored(3, 7.0, 9.0))
    assert mean_with_waiting_s(found) == pytest.approx(7.0)


def test_a_huge_window_does_not_overflow():
    late = Histogram.of(np.full(1_000, 2**42, np.int64))
    row = second(0)
    found = merged(*(result(type(row)(0, 0, late, late)) for _ in range(3)))
    assert known(found.summary.response_time_s).mean == pytest.approx(2**42 / 1e9)


def test_all_streams_of_a_run_share_one_cpu_per_request():
    trials = [
        trial_of(two_streams(), replace(ASYNC, target_cpu=cpu), at)
        for at, cpu in ((0, 0.2), (1, 0.9))
    ]
    small, large = (each.summary for each in merge([each.streams for each in trials], 30.0))
    spent_s = sum(known(each.trial.target.cpu_s) for each in trials)
    assert small.cpu_s_per_request == large.cpu_s_per_request
    assert small.cpu_s_per_request == pytest.approx(spent_s / (small.completed + large.completed))


def test_a_warm_up_changes_no_number_of_its_window() -> None:
    rows = [second(0, 1.0, 2.0), second(1, 3.0)]
    early = (second(-2, 9.0, errors=1), second(-1, 5.0, 5.0))
    plain = result(*rows)
    warmed = result(*rows, warmup=early, warmup_s=1.5)
    assert warmed.summary == plain.summary
    assert warmed.timeline is not None
    assert replace(warmed.timeline, warmup=None) == plain.timeline
    warmup = warmed.timeline.warmup
    assert warmup is not None
    assert (warmup.completed, warmup.errors, warmup.length_s) == ((1, 2), (1, 0), 1.5)
    assert warmup.p50 == pytest.approx((0.009, 0.005), rel=0.001)

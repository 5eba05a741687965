"""Samples in, seconds and totals out, compared with what a list of samples says."""

import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_plane.domain.histogram import HIGHEST_NS, LOWEST_ROUNDED, Histogram, merge
from control_plane.domain.stream_record import Second, WindowTotals
from control_plane.load.clock import SECOND_NS
from control_plane.load.outcome import Outcome, failure, response_outcome
from control_plane.load.window_stats import HistogramBuilder, WindowStats
from control_plane.load.worker_protocol import LoadTraits

GOOD, BAD = response_outcome(200, None, 3, 17), failure("reset", 3, 17)
WRONG = response_outcome(500, None, 3, 17)
OPENED = 10 * SECOND_NS
CLOSED = LoadTraits(users=2_000)
SCHEDULED = replace(CLOSED, is_scheduled=True)


@dataclass(frozen=True)
class Sample:
    """Times in nanoseconds from the window's begin."""

    start: int
    end: int
    waited: int = 0
    ended: Outcome = GOOD


SAMPLES = st.lists(
    st.builds(
        lambda start, length, waited, good: Sample(
            start, start + length, waited, GOOD if good else BAD
        ),
        st.integers(-2 * SECOND_NS, 5 * SECOND_NS),
        st.integers(1, 3 * SECOND_NS),
        st.integers(0, SECOND_NS),
        st.booleans(),
    ),
    max_size=80,
)


def feed(stats: WindowStats, samples: list[Sample]) -> None:
    for user, sample in enumerate(samples):
        stats.buffer.begin(user, OPENED + sample.start - sample.waited, OPENED + sample.start)
        stats.buffer.end(user, OPENED + sample.end, sample.ended)


def finished(stats: WindowStats, closes_ns: int | None = None) -> tuple[WindowTotals, list[Second]]:
    totals = stats.close(closes_ns)
    length = -(-(totals.closed_ns - OPENED) // SECOND_NS)
    return totals, [stats.take(index) for index in range(length)]


@given(SAMPLES)
def test_the_parts_are_the_whole(samples: list[Sample]) -> None:
    """Without an end of its own the window is what ended after its begin."""
    stats = WindowStats(SCHEDULED)
    stats.open(OPENED)
    feed(stats, samples)
    totals, seconds = finished(stats)
    inside = [sample for sample in samples if sample.end > 0]
    completed = [sample for sample in inside if sample.ended == GOOD]
    service = merge([second.service for second in seconds])
    response = merge([second.response for second in seconds])
    assert totals.ended == len(inside)
    assert service.total == response.total == len(completed)
    assert service.sum_ns == sum(sample.end - sample.start for sample in completed)
    assert response.sum_ns == sum(sample.end - sample.start + sample.waited for sample in completed)
    assert sum(second.errors for second in seconds) == len(inside) - len(completed)
    assert totals.closed_ns == OPENED + max((sample.end for sample in inside), default=0)
    assert totals.in_system_ns == sum(sample.end - max(sample.start, 0) for sample in inside)
    assert totals.bytes_received == 17 * len(inside)
    assert totals.bytes_sent == 3 * len(inside)


@given(SAMPLES, st.booleans())
def test_seconds_before_the_window_count_in_nothing_else(samples: list[Sample], by: bool) -> None:
    plain, early = (WindowStats(replace(SCHEDULED, is_open=by)) for _ in range(2))
    plain.open(OPENED, OPENED + SECOND_NS)
    early.open(OPENED, OPENED + SECOND_NS, early=2)
    feed(plain, samples)
    feed(early, samples)
    for index in (-2, -1):
        before = [
            sample
            for sample in samples
            if index * SECOND_NS < sample.end <= (index + 1) * SECOND_NS
        ]
        found = early.take(index)
        assert (found.index, found.errors + found.completed) == (index, len(before))
    expected, seconds = finished(plain, OPENED + SECOND_NS)
    totals, same = finished(early, OPENED + SECOND_NS)
    assert replace(totals, send_lag=None) == replace(expected, send_lag=None)
    assert [second.completed for second in same] == [second.completed for second in seconds]


@given(SAMPLES, st.integers(1, 4 * SECOND_NS), st.integers(1, 2 * SECOND_NS))
def test_users_are_away_while_they_think_and_until_they_send(
    samples: list[Sample], end: int, think: int
) -> None:
    stats = WindowStats(replace(CLOSED, think_ns=think))
    stats.open(OPENED, OPENED + end)
    feed(stats, samples)
    totals, _ = finished(stats, OPENED + end)
    gaps = [(sample.end, sample.end + think) for sample in samples]
    gaps += [(sample.start - sample.waited, sample.start) for sample in samples]
    assert totals.away_ns == sum(max(0, min(high, end) - max(low, 0)) for low, high in gaps)


@given(SAMPLES, st.integers(1, 4 * SECOND_NS))
def test_a_window_with_an_end_leaves_the_rest_in_flight(samples: list[Sample], end: int) -> None:
    """What ends later was in flight, if it had begun; its time inside the window counts."""
    stats = WindowStats(SCHEDULED)
    stats.open(OPENED, OPENED + end)
    feed(stats, samples)
    totals, seconds = finished(stats, OPENED + end)
    inside = [sample for sample in samples if 0 < sample.end <= end]
    late = [sample for sample in samples if sample.end > end and sample.start < end]
    assert (
        sum(second.completed + second.errors for second in seconds) == totals.ended == len(inside)
    )
    assert sorted(totals.in_flight_ns) == sorted(
        end - sample.start + sample.waited for sample in late
    )
    assert totals.in_system_ns == sum(
        min(sample.end, end) - max(sample.start, 0) for sample in inside + late
    )


@given(SAMPLES, st.integers(1, 4 * SECOND_NS))
def test_responses_of_an_open_load_are_told_apart_by_when_they_came(
    samples: list[Sample], end: int
) -> None:
    stats = WindowStats(replace(SCHEDULED, is_open=True))
    stats.open(OPENED, OPENED + end)
    feed(stats, samples)
    totals = stats.close(OPENED + end, OPENED + 5 * SECOND_NS)
    good = [sample for sample in samples if sample.ended == GOOD]
    assert totals.answered == len([sample for sample in good if 0 < sample.end <= end])
    late = [
        sample for sample in good if sample.end > end and 0 <= sample.start - sample.waited < end
    ]
    assert totals.late == len(late)


@pytest.mark.parametrize("think_ns", [0, 50])
def test_requests_that_never_ended_are_in_flight(think_ns: int) -> None:
    stats = WindowStats(replace(CLOSED, think_ns=think_ns))
    stats.open(OPENED, OPENED + SECOND_NS)
    stats.buffer.begin(1, OPENED - 500, OPENED - 500)
    stats.buffer.begin(2, OPENED + 300, OPENED + 400)
    stats.buffer.begin(3, OPENED + SECOND_NS, OPENED + SECOND_NS)
    totals = stats.close(OPENED + SECOND_NS)
    assert sorted(totals.in_flight_ns) == [SECOND_NS - 400, SECOND_NS + 500]
    assert totals.in_system_ns == SECOND_NS + SECOND_NS - 400


@pytest.mark.parametrize(
    ("took", "ended", "answered"), [(109, GOOD, True), (111, GOOD, False), (109, BAD, False)]
)
def test_what_is_answered_right_after_the_window_is_told_where_it_took_hardly_longer(
    took: int, ended: Outcome, answered: bool
) -> None:
    stats = WindowStats(CLOSED)
    stats.open(OPENED, OPENED + SECOND_NS)
    feed(stats, [Sample(0, 100)])
    assert not stats.outlasting()
    stats.buffer.begin(1, OPENED, OPENED + SECOND_NS - 105)
    assert stats.outlasting()
    stats.buffer.end(1, OPENED + SECOND_NS - 105 + took, ended)
    assert not stats.outlasting()
    stats.buffer.begin(2, OPENED, OPENED)
    totals = stats.close(OPENED + SECOND_NS)
    assert (totals.in_flight_ns, totals.in_flight_answered) == (
        (105, SECOND_NS),
        (answered, False),
    )


def test_first_bytes_are_those_of_all_answers_that_began() -> None:
    """While each comes in one moment with its end, they are counted once, as service times."""
    stats = WindowStats(CLOSED)
    stats.open(OPENED, OPENED + 3 * SECOND_NS)
    feed(stats, [Sample(0, 300)] * 2)
    assert (first := stats.take(0)).first_byte is first.service
    late = failure("timeout", 3)
    for heard, ended in ((100, GOOD), (0, GOOD), (200, late), (0, late), (50, WRONG)):
        stats.buffer.begin(7, OPENED + SECOND_NS, OPENED + SECOND_NS)
        if heard:
            stats.buffer.hear(7, OPENED + SECOND_NS + heard)
        stats.buffer.end(7, OPENED + SECOND_NS + 500, ended)
    stats.buffer.begin(8, OPENED + SECOND_NS + 1, OPENED + SECOND_NS + 1)
    stats.buffer.hear(8, OPENED + SECOND_NS + 600)
    totals = stats.close(OPENED + 2 * SECOND_NS)
    second = stats.take(1)
    assert second.first_byte is not None
    assert (second.first_byte.total, second.service.total) == (4, 2)
    assert (second.first_byte.minimum_ns, second.first_byte.maximum_ns) == (50, 500)
    assert (totals.begun_timeouts, totals.in_flight_begun) == (1, (True,))


def test_nothing_counts_before_the_window_and_after_its_end() -> None:
    stats = WindowStats(LoadTraits(users=5_000))
    feed(stats, [Sample(-900, -100)] * 3)
    stats.open(OPENED)
    feed(stats, [Sample(100, 200)] * 5)
    totals = stats.close()
    feed(stats, [Sample(300, 400)] * 5_000)
    assert totals.ended == stats.take(0).completed == 5


def test_each_sample_belongs_to_the_second_of_its_end() -> None:
    stats = WindowStats(CLOSED)
    stats.open(OPENED)
    ends = [1, SECOND_NS, SECOND_NS + 1, 2 * SECOND_NS, 3 * SECOND_NS + 5]
    feed(stats, [Sample(0, end) for end in ends])
    _, seconds = finished(stats)
    assert [second.completed for second in seconds] == [2, 2, 0, 1]
    assert [second.index for second in seconds] == [0, 1, 2, 3]


def test_a_straggler_counts_in_the_next_second() -> None:
    stats = WindowStats(CLOSED)
    stats.open(OPENED)
    feed(stats, [Sample(0, 100)])
    first = stats.take(0)
    feed(stats, [Sample(0, 900), Sample(0, SECOND_NS + 50)])
    _, seconds = finished(stats)
    assert first.completed == 1
    assert [second.completed for second in seconds] == [0, 2]


def test_without_a_schedule_both_times_are_one() -> None:
    stats = WindowStats(CLOSED)
    stats.open(OPENED)
    feed(stats, [Sample(0, 100)])
    second = stats.take(0)
    assert second.service is second.response


def test_threads_lose_nothing() -> None:
    stats = WindowStats(CLOSED)
    stats.open(OPENED)

    def user(number: int) -> None:
        for turn in range(3_000):
            stats.buffer.begin(number, OPENED + turn, OPENED + turn)
            stats.buffer.end(number, OPENED + turn + 7, GOOD if turn % 3 else BAD)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(user, range(8)))
    totals, (second,) = finished(stats)
    assert totals.ended == 24_000
    assert totals.errors == {"reset": 8_000}
    assert totals.statuses == {"200": 16_000}
    assert second.service.sum_ns == 16_000 * 7


@pytest.mark.parametrize("scheduled", [False, True])
def test_memory_does_not_grow_with_requests(scheduled: bool) -> None:
    stats = WindowStats(replace(CLOSED, is_scheduled=scheduled))
    stats.open(OPENED)
    tracemalloc.start()
    try:
        peaks = []
        for second in range(3):
            tracemalloc.reset_peak()
            for number in range(20_000):
                now = OPENED + second * SECOND_NS + number * 10_000 + 1
                stats.buffer.begin(0, now - 900_000, now - 800_000)
                stats.buffer.end(0, now, GOOD)
            stats.take(second)
            peaks.append(tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()
    assert peaks[2] - peaks[0] < 100_000
    assert peaks[2] < 4_000_000


DURATIONS = st.lists(st.integers(0, 2 * HIGHEST_NS), max_size=60) | st.lists(
    st.integers(LOWEST_ROUNDED, HIGHEST_NS), max_size=60
)


@given(st.lists(DURATIONS, max_size=5))
def test_parts_make_the_same_histogram_as_the_whole(parts: list[list[int]]) -> None:
    builder = HistogramBuilder()
    for part in parts:
        builder.add(np.array(part, np.int64))
    whole = Histogram.of(np.array(list(chain.from_iterable(parts)), np.int64))
    found = builder.histogram()
    assert found.indices.tolist() == whole.indices.tolist()
    assert found.counts.tolist() == whole.counts.tolist()
    assert (found.minimum_ns, found.maximum_ns) == (whole.minimum_ns, whole.maximum_ns)
    assert found.sum_ns == whole.sum_ns


def test_what_went_out_before_each_second_is_counted_once() -> None:
    """Whether it ended in that second, in a later one, or not at all."""
    open_load = replace(SCHEDULED, is_open=True)
    stats = WindowStats(open_load)
    stats.open(OPENED, OPENED + 4 * SECOND_NS)
    half = SECOND_NS // 2
    samples = [Sample(half, half + 1), Sample(half, 5 * half), Sample(3 * half, 3 * half + 1)]
    feed(stats, samples)
    stats.buffer.begin(7, OPENED + half, OPENED + half)
    stats.buffer.begin(8, OPENED - half, OPENED + half)
    seconds = [OPENED + place * SECOND_NS for place in range(1, 5)]
    assert [stats.sent_before(at_ns) for at_ns in seconds] == [3, 4, 4, 4]
    totals = stats.close(OPENED + 4 * SECOND_NS)
    assert stats.sent_before(OPENED + 4 * SECOND_NS) == totals.sent == 4

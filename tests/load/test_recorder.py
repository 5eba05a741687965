"""Samples in, seconds and totals out, compared with what a list of samples says."""

import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_plane.domain.histogram import merge
from control_plane.domain.stream_record import Second, WindowTotals
from control_plane.load.outcome import Outcome, failure, response_outcome
from control_plane.load.recorder import SECOND_NS, Recorder

GOOD, BAD = response_outcome(200, None, 3, 17), failure("reset", 3, 17)
OPENED = 10 * SECOND_NS


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


def feed(recorder: Recorder, samples: list[Sample]) -> None:
    for user, one in enumerate(samples):
        recorder.begin(user, OPENED + one.start - one.waited, OPENED + one.start)
        recorder.end(user, OPENED + one.end, one.ended)


def finished(recorder: Recorder, closes_ns: int | None = None) -> tuple[WindowTotals, list[Second]]:
    totals = recorder.close(closes_ns)
    length = -(-(totals.closed_ns - OPENED) // SECOND_NS)
    return totals, [recorder.take(index) for index in range(length)]


@given(SAMPLES)
def test_the_parts_are_the_whole(samples: list[Sample]) -> None:
    """Without an end of its own the window is what ended after its begin."""
    recorder = Recorder(users=2_000, scheduled=True)
    recorder.open(OPENED)
    feed(recorder, samples)
    totals, seconds = finished(recorder)
    inside = [one for one in samples if one.end > 0]
    completed = [one for one in inside if one.ended == GOOD]
    service = merge([one.service for one in seconds])
    response = merge([one.response for one in seconds])
    assert totals.ended == len(inside)
    assert service.total == response.total == len(completed)
    assert service.sum_ns == sum(one.end - one.start for one in completed)
    assert response.sum_ns == sum(one.end - one.start + one.waited for one in completed)
    assert sum(one.errors for one in seconds) == len(inside) - len(completed)
    assert totals.closed_ns == OPENED + max((one.end for one in inside), default=0)
    assert totals.in_system_ns == sum(one.end - max(one.start, 0) for one in inside)
    assert totals.bytes_received == 17 * len(inside)
    assert totals.bytes_sent == 3 * len(inside)


@given(SAMPLES, st.booleans())
def test_seconds_before_the_window_count_in_nothing_else(samples: list[Sample], by: bool) -> None:
    plain, early = (Recorder(users=2_000, scheduled=True, by_start=by) for _ in range(2))
    plain.open(OPENED, OPENED + SECOND_NS)
    early.open(OPENED, OPENED + SECOND_NS, early=2)
    feed(plain, samples)
    feed(early, samples)
    for index in (-2, -1):
        before = [one for one in samples if index * SECOND_NS < one.end <= (index + 1) * SECOND_NS]
        found = early.take(index)
        assert (found.index, found.errors + found.completed) == (index, len(before))
    expected, seconds = finished(plain, OPENED + SECOND_NS)
    totals, same = finished(early, OPENED + SECOND_NS)
    assert replace(totals, send_lag=None) == replace(expected, send_lag=None)
    assert [one.completed for one in same] == [one.completed for one in seconds]


@given(SAMPLES, st.integers(1, 4 * SECOND_NS), st.integers(1, 2 * SECOND_NS))
def test_users_are_away_while_they_think_and_until_they_send(
    samples: list[Sample], end: int, think: int
) -> None:
    recorder = Recorder(users=80, scheduled=False, think_ns=think)
    recorder.open(OPENED, OPENED + end)
    feed(recorder, samples)
    totals, _ = finished(recorder, OPENED + end)
    gaps = [(one.end, one.end + think) for one in samples]
    gaps += [(one.start - one.waited, one.start) for one in samples]
    assert totals.away_ns == sum(max(0, min(high, end) - max(low, 0)) for low, high in gaps)


@given(SAMPLES, st.integers(1, 4 * SECOND_NS))
def test_a_window_with_an_end_leaves_the_rest_in_flight(samples: list[Sample], end: int) -> None:
    """What ends later was in flight, if it had begun; its time inside the window counts."""
    recorder = Recorder(users=2_000, scheduled=True)
    recorder.open(OPENED, OPENED + end)
    feed(recorder, samples)
    totals, seconds = finished(recorder, OPENED + end)
    inside = [one for one in samples if 0 < one.end <= end]
    late = [one for one in samples if one.end > end and one.start < end]
    assert sum(one.completed + one.errors for one in seconds) == totals.ended == len(inside)
    assert sorted(totals.in_flight_ns) == sorted(end - one.start + one.waited for one in late)
    assert totals.in_system_ns == sum(
        min(one.end, end) - max(one.start, 0) for one in inside + late
    )


@given(SAMPLES, st.integers(1, 4 * SECOND_NS))
def test_answers_of_an_open_load_are_told_apart_by_when_they_came(
    samples: list[Sample], end: int
) -> None:
    recorder = Recorder(users=2_000, scheduled=True, by_start=True)
    recorder.open(OPENED, OPENED + end)
    feed(recorder, samples)
    totals = recorder.close(OPENED + end, OPENED + 5 * SECOND_NS)
    good = [one for one in samples if one.ended == GOOD]
    assert totals.answered == len([one for one in good if 0 < one.end <= end])
    late = [one for one in good if one.end > end and 0 <= one.start - one.waited < end]
    assert totals.late == len(late)


@pytest.mark.parametrize("think_ns", [0, 50])
def test_requests_that_never_ended_are_in_flight(think_ns: int) -> None:
    recorder = Recorder(users=2_000, scheduled=False, think_ns=think_ns)
    recorder.open(OPENED, OPENED + SECOND_NS)
    recorder.begin(1, OPENED - 500, OPENED - 500)
    recorder.begin(2, OPENED + 300, OPENED + 400)
    recorder.begin(3, OPENED + SECOND_NS, OPENED + SECOND_NS)
    totals = recorder.close(OPENED + SECOND_NS)
    assert sorted(totals.in_flight_ns) == [SECOND_NS - 400, SECOND_NS + 500]
    assert totals.in_system_ns == SECOND_NS + SECOND_NS - 400


def test_nothing_counts_before_the_window_and_after_its_end() -> None:
    recorder = Recorder(users=5_000, scheduled=False)
    feed(recorder, [Sample(-900, -100)] * 3)
    recorder.open(OPENED)
    feed(recorder, [Sample(100, 200)] * 5)
    totals = recorder.close()
    feed(recorder, [Sample(300, 400)] * 5_000)
    assert totals.ended == recorder.take(0).completed == 5


def test_each_sample_belongs_to_the_second_of_its_end() -> None:
    recorder = Recorder(users=2_000, scheduled=False)
    recorder.open(OPENED)
    ends = [1, SECOND_NS, SECOND_NS + 1, 2 * SECOND_NS, 3 * SECOND_NS + 5]
    feed(recorder, [Sample(0, end) for end in ends])
    _, seconds = finished(recorder)
    assert [one.completed for one in seconds] == [2, 2, 0, 1]
    assert [one.index for one in seconds] == [0, 1, 2, 3]


def test_a_straggler_counts_in_the_next_second() -> None:
    recorder = Recorder(users=2_000, scheduled=False)
    recorder.open(OPENED)
    feed(recorder, [Sample(0, 100)])
    first = recorder.take(0)
    feed(recorder, [Sample(0, 900), Sample(0, SECOND_NS + 50)])
    _, seconds = finished(recorder)
    assert first.completed == 1
    assert [one.completed for one in seconds] == [0, 2]


def test_without_a_schedule_both_times_are_one() -> None:
    recorder = Recorder(users=2_000, scheduled=False)
    recorder.open(OPENED)
    feed(recorder, [Sample(0, 100)])
    second = recorder.take(0)
    assert second.service is second.response


def test_requests_in_flight_are_seen_with_their_start() -> None:
    recorder = Recorder(users=2_000, scheduled=True)
    recorder.begin(4, 100, 150)
    recorder.begin(5, 100, 160)
    recorder.end(4, 200, GOOD)
    assert recorder.starts() == {5: 160}
    recorder.end(5, 300, GOOD, 300)
    assert recorder.starts() == {5: 300}


def test_threads_lose_nothing() -> None:
    recorder = Recorder(users=2_000, scheduled=False)
    recorder.open(OPENED)

    def user(number: int) -> None:
        for turn in range(3_000):
            recorder.begin(number, OPENED + turn, OPENED + turn)
            recorder.end(number, OPENED + turn + 7, GOOD if turn % 3 else BAD)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(user, range(8)))
    totals, (second,) = finished(recorder)
    assert totals.ended == 24_000
    assert totals.errors == {"reset": 8_000}
    assert totals.statuses == {"200": 16_000}
    assert second.service.sum_ns == 16_000 * 7


@pytest.mark.parametrize("scheduled", [False, True])
def test_memory_does_not_grow_with_requests(scheduled: bool) -> None:
    recorder = Recorder(users=2_000, scheduled=scheduled)
    recorder.open(OPENED)
    tracemalloc.start()
    try:
        peaks = []
        for second in range(3):
            tracemalloc.reset_peak()
            for number in range(60_000):
                now = OPENED + second * SECOND_NS + number * 10_000 + 1
                recorder.begin(0, now - 900_000, now - 800_000)
                recorder.end(0, now, GOOD)
            recorder.take(second)
            peaks.append(tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()
    assert peaks[2] - peaks[0] < 100_000
    assert peaks[2] < 4_000_000

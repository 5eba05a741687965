"""Requests without an answer: which count, how long they were waited for, and what they take."""

from dataclasses import replace
from typing import Any

import pytest

from control_plane.analysis.summary import merge, summarize
from control_plane.domain.limits import Limits
from control_plane.domain.result import BegunAnswers, Censored, Summary
from control_plane.domain.spec import Spec
from control_plane.domain.spec_json import read_spec
from control_plane.domain.stream_record import UNANSWERED_CLASSES
from control_plane.domain.times_and_percentiles import (
    Times,
    furthest_known,
    no_answer_text,
    written_time,
)
from control_plane.domain.unanswered import as_told_now, unanswered_of, with_unanswered
from tests.builders.trials import histogram, known, record, result, second

S = 1_000_000_000
CLOSED = {"model": "closed", "concurrency": 16}
OPEN = {"model": "open", "rate_per_s": 100}


def stored(completed: int = 1_000, censored: Censored | None = None, **counts: Any) -> Summary:
    """As a version wrote it that did not look."""
    summary = result(second(0, *[5.0] * completed)).summary
    times = Times(0.005, 0.005, 0.005, 0.005, 0.005, 0.005, 0.005, 0.005, {"p50": 500})
    changed = {"not_sent": 0, "errors": {}, **counts}
    return replace(
        summary,
        censored=censored or Censored(),
        service_time_s=times,
        response_time_s=times,
        bytes_received_per_request=None,
        **changed,
    )


def spec_of(load: dict[str, Any]) -> Spec:
    stream = {"name": "items", "requests": [{"path": "/"}], "load": load, "stop": {"duration_s": 5}}
    return read_spec({"workload": {"streams": [stream]}, "timeout_s": 2}, Limits())


@pytest.mark.parametrize(
    ("failed", "last"), [(1, "p99.9"), (2, "p99"), (11, "p95"), (60, "p90"), (2_000, None)]
)
def test_percentiles_reach_as_far_as_the_answers(failed: int, last: str | None) -> None:
    found = with_unanswered(stored(errors={"timeout": failed}), 2.0)
    times = known(found.response_time_s)
    assert furthest_known(times) == last
    assert times.max == 2.0
    assert times.mean == pytest.approx((1_000 * 0.005 + failed * 2.0) / (1_000 + failed))
    assert (times.completed_mean, times.longest_completed) == (0.005, 0.005)
    assert times.at_least == ("mean", "max")


@pytest.mark.parametrize("name", ["status", "redirect", "body_too_large"])
def test_a_wrong_answer_is_one(name: str) -> None:
    times = known(with_unanswered(stored(errors={name: 500}), 2.0).response_time_s)
    assert (known(times.unanswered).count, times.at_least) == (0, ())
    assert times.p999 == 0.005


@pytest.mark.parametrize("name", sorted(UNANSWERED_CLASSES - {"timeout"}))
def test_those_of_unknown_wait_are_in_the_share_alone(name: str) -> None:
    times = known(with_unanswered(stored(errors={name: 20}), 2.0).response_time_s)
    assert (known(times.unanswered).count, known(times.unanswered).waited) == (20, 0)
    assert (times.p99, times.mean, times.max) == (None, 0.005, 0.005)
    assert no_answer_text(known(times.unanswered)).startswith("no answer for 2.0")


def test_the_service_clock_leaves_out_how_late_it_was_sent() -> None:
    summary = stored(censored=Censored(2, 3.0, 4.0, unanswered=2, unanswered_age_s=3.0))
    assert unanswered_of(summary, 30.0, lag_s=1.0).mean_wait_s == 2.0
    assert unanswered_of(summary, 30.0, lag_s=1.0).max_wait_s == 3.0
    assert unanswered_of(summary, 30.0, lag_s=9.0).mean_wait_s == 0.0


def test_in_a_closed_window_only_those_count_that_outlasted_every_completed_one() -> None:
    ages = (S // 1_000, S // 500, 3 * S)
    found = result(second(0, *[5.0] * 100), in_flight_ns=ages).summary
    assert found.censored.unanswered == 1
    assert known(known(found.response_time_s).unanswered).max_wait_s == pytest.approx(3.0)
    came = (False, False, True)
    after = result(second(0, *[5.0] * 100), in_flight_ns=ages, in_flight_answered=came).summary
    assert (after.censored.count, after.censored.unanswered) == (3, 0)
    every = result(second(0, *[5.0] * 100), in_flight_ns=ages, answered=100).summary
    assert every.censored.unanswered == 3


def test_on_the_first_byte_only_requests_count_of_which_no_answer_began() -> None:
    """Of four timeouts one, of two errors with an answer none, of three in flight the old one."""
    ages = (S // 1_000, 2 * S, 3 * S)
    found = summarize(
        record(
            replace(second(0, *[5.0] * 100, errors=6), first_byte=histogram(*[1.0] * 105)),
            errors={"timeout": 4, "status": 2},
            in_flight_ns=ages,
            in_flight_begun=(False, True, False),
            begun_timeouts=3,
        ),
        spec_of(CLOSED),
        target_cpu_s=None,
        target_peak_memory_bytes=None,
    )
    assert found.summary.begun == BegunAnswers(105, 3, 1)
    times = known(found.summary.first_byte_time_s)
    assert (known(times.unanswered).count, known(times.unanswered).waited) == (2, 1)
    assert known(times.unanswered).share == pytest.approx(2 / 107)
    assert (times.p95, times.p99) == (0.001, None)
    assert times.max == pytest.approx(2.0)
    assert known(known(found.summary.response_time_s).unanswered).count == 6
    twice = merge([[found], [found]], 2.0)[0].summary
    assert twice.begun == BegunAnswers(210, 6, 2)
    assert known(known(twice.first_byte_time_s).unanswered).count == 4
    unmeasured = merge([[found], [result(second(0, 5.0))]], 2.0)[0].summary
    assert (unmeasured.begun, unmeasured.first_byte_time_s) == (None, None)


@pytest.mark.parametrize(
    ("censored", "load", "count"),
    [
        (Censored(16, 0.002, 0.004, 0), CLOSED, 0),
        (Censored(16, 0.002, 0.04, 0), CLOSED, 1),
        (Censored(16, 2.0, 6.0, 12), CLOSED, 12),
        (Censored(16, 0.002, 0.004, 0), OPEN, 16),
        (Censored(), CLOSED, 0),
    ],
)
def test_of_runs_of_before_counts_what_is_known(
    censored: Censored, load: dict[str, Any], count: int
) -> None:
    told = as_told_now(stored(censored=censored), spec_of(load))
    assert known(known(told.response_time_s).unanswered).count == count
    assert as_told_now(told, spec_of(load)) == told
    assert told.bytes_received_per_request == 200


def test_numbers_say_what_they_are() -> None:
    times = known(with_unanswered(stored(errors={"timeout": 8}), 2.0).response_time_s)
    texts = [written_time(times, name) for name in ("p50", "p999", "max")]
    assert [text.replace("\N{NO-BREAK SPACE}", " ") for text in texts] == [
        "5.00 ms",
        "no answer",
        "≥ 2.00 s",
    ]
    text = no_answer_text(known(times.unanswered)).replace("\N{NO-BREAK SPACE}", " ")
    assert text == "no answer within 2.00 s for 0.79 %"
    few = known(with_unanswered(stored(completed=2, errors={"timeout": 1}), 2.0).response_time_s)
    text = no_answer_text(known(few.unanswered)).replace("\N{NO-BREAK SPACE}", " ")
    assert text == "no answer within 2.00 s for 1 of 3"

"""Drift of the window against lines with a known slope, and its gate around the limit."""

from dataclasses import replace

import numpy as np
import pytest
import scipy
from hypothesis import given, settings
from hypothesis import strategies as st

from control_plane.analysis.validity.steadiness import (
    drift_share,
    least_waiting,
    silent_s,
    theil_sen,
)
from control_plane.domain.load_models import Burst, Closed, Open
from control_plane.domain.spec import RequestClass, Stop, Stream
from tests.builders.trials import known, reason_of, record, second, summary, trial, with_spaces


def window(medians_ms: list[float], per_second: int = 20):
    return [second(index, *[median_ms] * per_second) for index, median_ms in enumerate(medians_ms)]


@pytest.mark.parametrize(
    ("medians_ms", "expected"),
    [
        ([10.0] * 8, 0.0),
        ([10 + index for index in range(10)], 10 / 14.5),
        ([20 - index for index in range(10)], -10 / 15.5),
        # One bad second moves nothing.
        ([10.0] * 9 + [500.0], 0.0),
        ([10.0, *[500.0] * 2, *[10.0] * 7], 0.0),
    ],
)
def test_drift(medians_ms, expected):
    found = drift_share(window(medians_ms), float(len(medians_ms)))
    assert known(found) == pytest.approx(expected, abs=0.01)


def test_short_or_thin_windows_have_no_drift():
    assert drift_share(window([10.0] * 7), 7.0) is None
    assert drift_share(window([10.0] * 20, per_second=9), 20.0) is None
    # The eighth second is not whole.
    assert drift_share(window([10.0] * 8), 7.5) is None


def test_an_hour_is_thinned_out_and_keeps_its_slope():
    medians = list(np.linspace(10, 20, 3_600))
    assert known(drift_share(window(medians, 10), 3_600.0)) == pytest.approx(10 / 15, rel=0.01)


@settings(max_examples=40)
@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=40))
def test_the_slope_is_that_of_scipy(values):
    x = np.arange(len(values), dtype=np.float64)
    expected = scipy.stats.theilslopes(values, x)[0]
    assert theil_sen(x, np.array(values)) == pytest.approx(expected, rel=1e-9, abs=1e-6)


@pytest.mark.parametrize(
    ("drift", "level"),
    [(0.0, "ok"), (0.1, "ok"), (-0.1, "ok"), (0.11, "suspect"), (-0.3, "suspect")],
)
def test_not_steady(drift, level):
    found = known(reason_of("not_steady", [trial(summary(drift_share=drift))]))
    assert (found.level, found.value) == (level, abs(drift))


def test_not_steady_names_the_worst():
    trials = [trial(summary(drift_share=0.02)), trial(summary(drift_share=-0.3), block=1)]
    assert with_spaces(known(reason_of("not_steady", trials)).text) == (
        "The median response time fell by 30 % over the window in trial 2 (limit 10 %): use a "
        "longer warm-up, or ask what fills up or warms up."
    )


def test_short_windows_are_not_judged():
    assert reason_of("not_steady", [trial(summary())]) is None


@pytest.mark.parametrize(
    ("seconds", "waiting_s", "silence_s"),
    [
        ([second(0, 5), second(1, 5)], [4.0], 3.5),
        ([second(0, 5), second(1, 5), second(4, 5)], [4.0], 0.5),
        # Nobody asked before the last 0.2 s.
        ([second(0, 5), second(1, 5)], [0.2], 0.2),
        ([second(0, 5), second(1, 5)], [], 0.0),
        # An error with a status is an answer, one without is none.
        ([second(0, 5), second(3, errors=4)], [4.0], 1.5),
        ([second(0, 5), replace(second(3, errors=4), unanswered=4)], [0.2], 4.5),
        ([], [5.5], 5.5),
    ],
)
def test_the_silence_at_the_end(seconds, waiting_s, silence_s):
    ages_ns = tuple(round(age_s * 1e9) for age_s in waiting_s)
    assert silent_s(record(*seconds, duration_s=5.5, in_flight_ns=ages_ns)) == silence_s


@pytest.mark.parametrize(
    ("load", "stop", "least"),
    [
        (Closed(concurrency=4), Stop(duration_s=2.0), 1),
        # The last one of a number of requests says nothing of those that nobody sent.
        (Closed(), Stop(requests=100), 2),
        (Closed(concurrency=4), Stop(requests=100), 4),
        (Closed(concurrency=64), Stop(requests=10), 10),
        (Open(model="open", rate_per_s=400.0), Stop(requests=1_200), 120),
        (Burst(model="burst", connections=8), Stop(requests=100), 8),
    ],
)
def test_so_many_must_have_waited_at_the_end(load, stop, least):
    stream = Stream((RequestClass(),), load, stop)
    assert least_waiting(stream) == least
    given_up = replace(second(3, errors=3), unanswered=3)
    silence_s = silent_s(record(second(0, 5), given_up, duration_s=4.0), least)
    assert silence_s == (3.0 if least <= 3 else 0.0)


@pytest.mark.parametrize(
    ("silence_s", "longest_s", "level"),
    [
        (0.0, 0.01, "ok"),
        (1.0, 0.01, "ok"),
        (1.1, 0.01, "suspect"),
        (2.6, 0.01, "invalid"),
        (2.6, 1.3, "ok"),
        (9.0, 4.4, "invalid"),
    ],
)
def test_stuck(silence_s, longest_s, level):
    times = replace(known(summary().response_time_s), max=longest_s)
    stream = summary(duration_s=10.0, silent_s=silence_s, response_time_s=times)
    assert known(reason_of("stuck", [trial(stream)])).level == level


def test_stuck_compares_with_what_other_trials_took():
    """The trial that hung may have ended before its first slow request."""
    times = known(summary().response_time_s)
    slow = summary(response_time_s=replace(times, max=2.0))
    hung = summary(duration_s=10.0, silent_s=3.5, response_time_s=replace(times, max=0.01))
    assert known(reason_of("stuck", [trial(hung), trial(slow, block=1)])).level == "ok"
    found = known(reason_of("stuck", [trial(summary(silent_s=0.0)), trial(hung, block=1)]))
    assert with_spaces(found.text).startswith(
        "Nobody was answered in the last 3.50 s of the window of 10.0 s in trial 2, though no "
    )

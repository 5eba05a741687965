"""How long runs are said to take."""

import pytest

from control_plane.analysis.duration_estimate import START_S, Phases, phases, seconds
from control_plane.domain.client_strategies import STRATEGIES
from control_plane.domain.load_models import AnyLoad, Burst, Closed, Open, Periodic, RateStep
from control_plane.domain.spec import (
    RequestClass,
    Spec,
    Stop,
    Stream,
    UrlTarget,
    Workload,
)
from tests.builders.trials import spec, with_spaces


def of(*streams: tuple[AnyLoad, Stop, float]) -> Spec:
    return Spec(
        workload=Workload(
            tuple(
                Stream((RequestClass(),), load, stop, name=str(index), start_after_s=after_s)
                for index, (load, stop, after_s) in enumerate(streams)
            )
        )
    )


def test_a_window_of_a_given_length():
    assert phases(spec(duration_s=5.0), None) == Phases(START_S, 1.0, 5.0)


def test_a_window_by_requests_uses_the_last_rate_seen():
    assert phases(spec(), 10_000).measure_s == pytest.approx(2.4999)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_window_by_requests_falls_back_on_the_usual_rate(strategy):
    found = phases(spec(strategy, 1), None).measure_s
    assert found == pytest.approx(24_999 / STRATEGIES[strategy].usual_per_s)


@pytest.mark.parametrize(
    ("load", "expected"),
    [
        (Closed(concurrency=10, think_time_s=1.0), 10.0),
        (Closed(concurrency=10, think_time_s=0.000_1), 0.1),
        (Burst("burst", 100), 0.1),
        (Open("open", 20.0), 5.0),
        (Open("open", 100_000.0), 0.1),
        (Open("open", (RateStep(100, 0.5), RateStep(10, 1))), 5.5),
        (Open("open", (RateStep(1_000, 0.05), RateStep(5_000, 1))), 0.1),
        (Open("open", (RateStep(1, 30), RateStep(10, 1))), 37.0),
        (Periodic("periodic", 1.0, 4), 24.0),
        (Periodic("periodic", 1.0, 200), 0.1),
    ],
)
def test_the_load_model_may_set_the_pace(load, expected):
    assert phases(of((load, Stop(requests=100), 0.0)), 1_000).measure_s == pytest.approx(expected)


def test_the_longest_stream_counts_from_its_own_start():
    streams = ((Closed(), Stop(duration_s=5.0), 0.0), (Closed(), Stop(duration_s=2.0), 4.0))
    assert phases(of(*streams), None).measure_s == 6.0


def test_the_ramp_comes_before_the_warm_up():
    assert phases(of((Closed(ramp_up_s=3.0), Stop(duration_s=5.0), 0.0)), None).warmup_s == 4.0


def test_a_running_target_needs_no_start():
    found = phases(spec(target=UrlTarget("http://127.0.0.1:9000"), duration_s=5.0), None)
    assert found.start_s < START_S


def test_trials_follow_each_other():
    found = spec(duration_s=5.0, trials=3)
    assert seconds(found, None) == pytest.approx(3 * (START_S + 1.0 + 5.0))


@pytest.mark.parametrize(
    ("plan", "text"),
    [
        (Phases(1.2, 1.0, 5.0), "start 1.2 s, warm-up 1 s, measure 5 s"),
        (Phases(1.2, 0.0, 15.6), "start 1.2 s, measure 16 s"),
        (Phases(1.2, 1.0, 3_600.0), "start 1.2 s, warm-up 1 s, measure 3,600 s"),
    ],
)
def test_the_plan_in_words(plan, text):
    assert with_spaces(plan.text) == text

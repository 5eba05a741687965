"""Progress of a job, with a clock that the test turns."""

from dataclasses import replace

import numpy as np
import pytest

from control_plane.domain.client_strategies import STRATEGIES
from control_plane.domain.histogram import Histogram
from control_plane.domain.load_models import AnyLoad, Burst, Closed, Open, Periodic, RateStep
from control_plane.domain.run import LastRun, State
from control_plane.domain.spec import RequestClass, Spec, Stop, Stream, UrlTarget, Workload
from control_plane.domain.stream_record import Second
from control_plane.jobs.progress_and_expected_time import (
    REACH_S,
    START_S,
    LiveRun,
    Phases,
    expected_phases,
    expected_seconds,
)
from control_plane.pages.run.run_numbers import time_tile
from tests.builders.trials import spec, with_spaces

PHASES = Phases(start_s=1, warmup_s=2, measure_s=7)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def stream(stop: Stop) -> Stream:
    return Stream(requests=(RequestClass(),), load=Closed(), stop=stop, name="items")


def second(index: int, completed: int, errors: int = 0) -> Second:
    samples = Histogram.of(np.full(completed, 2_000_000, np.int64))
    return Second(index, errors, samples, samples)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.mark.parametrize(
    ("trial", "phase", "spent_s", "left_s"),
    [
        (1, State.STARTING, 0, 20),
        (1, State.STARTING, 5, 19),
        (1, State.WARMING, 0.5, 18.5),
        (1, State.RUNNING, 3, 14),
        (2, State.RUNNING, 3, 4),
        (2, State.RUNNING, 9, 0),
        (2, State.FINALIZING, 0, 0),
    ],
)
def test_time_left_by_duration(
    clock: Clock, trial: int, phase: State, spent_s: float, left_s: float
) -> None:
    live_run = LiveRun("x", [stream(Stop(duration_s=7.0))], 2, PHASES, clock)
    live_run.begin_trial(trial)
    live_run.enter(phase)
    clock.now += spent_s
    progress = live_run.progress()
    assert progress.remaining_s == pytest.approx(left_s)
    assert progress.share == pytest.approx(1 - left_s / 20)
    assert (progress.phase, progress.trial, progress.trials) == (phase.value, trial, 2)


def test_time_left_by_requests_follows_the_pace(clock: Clock) -> None:
    live_run = LiveRun("x", [stream(Stop(requests=1_000))], 1, PHASES, clock)
    live_run.enter(State.RUNNING)
    assert live_run.progress().remaining_s == pytest.approx(7)
    live_run.streams["items"].add(second(0, 90, errors=10))
    live_run.streams["items"].add(second(1, 100))
    clock.now += 2.5
    assert live_run.progress().remaining_s == pytest.approx(7.5)


def test_the_live_view_covers_the_window_so_far(clock: Clock) -> None:
    live_run = LiveRun("x", [stream(Stop(duration_s=7.0))], 1, PHASES, clock)
    live_run.enter(State.RUNNING)
    live_run.streams["items"].add(second(0, 100))
    live_run.streams["items"].add(second(1, 50, errors=1))
    clock.now += 2
    (items,) = live_run.live().streams
    assert (items.completed, items.errors, items.throughput_per_s) == (150, 1, 75)
    assert items.response_time_s is not None
    assert items.response_time_s.p50 == pytest.approx(0.002)
    assert items.timeline.completed == (100, 50)


def test_what_was_sent_of_what_was_meant_to_be_is_told_of_an_open_load(clock: Clock) -> None:
    arriving = replace(stream(Stop(duration_s=7.0)), load=Open("open", 100))
    live_run = LiveRun("x", [arriving], 1, PHASES, clock)
    live_run.enter(State.RUNNING)
    assert live_run.live().streams[0].intended == ()
    for index, intended, sent in ((0, 60, 60), (0, 40, 30), (2, 100, 100)):
        live_run.streams["items"].add(replace(second(index, 1), intended=intended, sent=sent))
    (items,) = live_run.live().streams
    assert (items.intended, items.sent) == ((100, 0, 100), (90, 0, 100))
    by_users = LiveRun("x", [stream(Stop(duration_s=7.0))], 1, PHASES, clock)
    assert by_users.live().streams[0].intended is None


def test_the_deadline_is_told_with_what_has_no_answer(clock: Clock) -> None:
    live_run = LiveRun("x", [stream(Stop(duration_s=7.0))], 1, PHASES, clock)
    live_run.deadline_s = 2.0
    live_run.enter(State.RUNNING)
    live_run.streams["items"].add(replace(second(0, 98, errors=2), unanswered=2, timeouts=2))
    clock.now += 1
    (items,) = live_run.live().streams
    tile = time_tile(items.response_time_s, "p99")
    assert with_spaces(tile.note) == "no answer within 2.00 s for 2.0 %"


def test_a_new_trial_begins_empty(clock: Clock) -> None:
    live_run = LiveRun("x", [stream(Stop(duration_s=7.0))], 2, PHASES, clock)
    live_run.streams["items"].add(second(0, 100))
    live_run.log = lambda: ("of the first trial",)
    live_run.begin_trial(2)
    assert live_run.live().streams[0].completed == 0
    assert (live_run.live().log, live_run.live().gauges.processes) == ((), ())


def test_processes_of_one_stream_add_to_the_same_seconds(clock: Clock) -> None:
    live_run = LiveRun("id", [stream(Stop(requests=100))], 1, PHASES, clock)
    for told in (second(0, 3), second(0, 4, 1), second(1, 5), second(2, 1), second(1, 6)):
        live_run.streams["items"].add(told)
    seconds = live_run.streams["items"].seconds
    assert [(merged.index, merged.completed, merged.errors) for merged in seconds] == [
        (0, 7, 1),
        (1, 11, 0),
        (2, 1, 0),
    ]
    assert live_run.streams["items"].ended == 20


def test_the_warm_up_is_kept_apart(clock: Clock) -> None:
    live_run = LiveRun("x", [stream(Stop(duration_s=7.0))], 1, PHASES, clock)
    for told, values, to_come in (
        (None, (), 2),
        (second(-2, 30), (30,), 1),
        (second(-1, 40), (30, 40), 0),
    ):
        if told:
            live_run.streams["items"].add(told)
        (items,) = live_run.live().streams
        warmup = items.timeline.warmup
        assert warmup is not None
        assert (warmup.completed, warmup.to_come, warmup.length_s) == (values, to_come, 2)
        assert (items.completed, items.timeline.completed) == (0, ())


def test_a_window_by_requests_has_another_load_before_it(clock: Clock) -> None:
    live_run = LiveRun("x", [stream(Stop(requests=100))], 1, PHASES, clock)
    assert live_run.live().streams[0].timeline.warmup is None


def test_streams_are_expected_where_they_will_stand(clock: Clock) -> None:
    slow = Closed(concurrency=10, ramp_up_s=1.5)
    declared = [
        replace(stream(Stop(duration_s=7.0)), name="late", start_after_s=3.0),
        replace(stream(Stop(duration_s=7.0)), name="slow", load=slow),
    ]
    late, ramped = LiveRun("x", declared, 1, PHASES, clock).live().streams
    assert (late.timeline.opens_s, ramped.timeline.opens_s) == (1.5, 0)
    lengths = [live.timeline.warmup.length_s for live in (late, ramped) if live.timeline.warmup]
    assert lengths == [0.5, 2]


def test_after_the_window_open_answers_are_awaited(clock: Clock) -> None:
    live_run = LiveRun("x", [stream(Stop(duration_s=7.0))], 1, PHASES, clock)
    live_run.enter(State.RUNNING)
    items = live_run.streams["items"]
    items.waiting[1] = 12
    clock.now += 7
    assert (live_run.live().awaited, live_run.live().measured_s) == (0, 7)
    items.waiting[2] = 3
    live_run.close_window()
    clock.now += 5
    assert (live_run.live().awaited, live_run.live().measured_s) == (15, 7)
    items.waiting.clear()
    assert live_run.live().awaited == 0
    live_run.begin_trial(2)
    live_run.enter(State.RUNNING)
    clock.now += 1
    assert live_run.live().measured_s == 1


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
    assert expected_phases(spec(duration_s=5.0)) == Phases(START_S, 1.0, 5.0)


def test_a_window_by_requests_uses_the_last_rate_seen():
    assert expected_phases(spec(), LastRun(10_000)).measure_s == pytest.approx(2.4999)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_window_by_requests_falls_back_on_the_usual_rate(strategy):
    found = expected_phases(spec(strategy, 1)).measure_s
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
    assert expected_phases(
        of((load, Stop(requests=100), 0.0)), LastRun(1_000)
    ).measure_s == pytest.approx(expected)


def test_the_longest_stream_counts_from_its_own_start():
    streams = ((Closed(), Stop(duration_s=5.0), 0.0), (Closed(), Stop(duration_s=2.0), 4.0))
    assert expected_phases(of(*streams)).measure_s == 6.0


def test_the_ramp_comes_before_the_warm_up():
    assert expected_phases(of((Closed(ramp_up_s=3.0), Stop(duration_s=5.0), 0.0))).warmup_s == 4.0


def test_a_running_target_needs_no_start():
    found = expected_phases(spec(target=UrlTarget("http://127.0.0.1:9000"), duration_s=5.0))
    assert found.start_s < START_S


def test_a_target_is_expected_to_start_as_it_did_last():
    found = [expected_phases(spec(), LastRun(ready_s=ready_s)).start_s for ready_s in (8.0, 0.2)]
    assert found == [8.0 + REACH_S, 0.2 + REACH_S]


def test_trials_follow_each_other():
    found = spec(duration_s=5.0, trials=3)
    assert expected_seconds(found) == pytest.approx(3 * (START_S + 1.0 + 5.0))


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

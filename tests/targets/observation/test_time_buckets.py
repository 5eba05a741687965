"""Heartbeats on the time axis of a window: tables, no clock."""

from typing import Any

from control_plane.targets.inside.looplab_probe.ring import Beat
from control_plane.targets.observation.probe_reader import TimeBuckets

MS = 1_000_000
HALF_S = 500 * MS
OPENED = 10_000 * MS


def beat(at_ms: float, lag_ms: float = 0, **changes: Any) -> Beat:
    """`at_ms` counts from the window's opening."""
    at_ns = OPENED + round(at_ms * MS)
    return Beat(at_ns, round(lag_ms * MS), 0, 0, 0, 40, 0, 0, 0)._replace(**changes)


def slots(*beats: Beat) -> TimeBuckets:
    made = TimeBuckets(OPENED, HALF_S)
    for item in beats:
        made.add(item)
    return made


def test_a_stall_shows_in_each_interval_that_it_touches() -> None:
    series = slots(beat(580), beat(3_100, lag_ms=2_500)).series(7, 8)
    assert series.loop_lag_s == (None, 0.4, 0.9, 1.4, 1.9, 2.4, 2.5, None)
    assert series.pid == 7


def test_a_stall_that_lasts_shows_before_it_ends() -> None:
    made = slots(beat(-30), beat(80))
    made.add_overdue(OPENED + 1_250 * MS, 0, 0)
    assert made.series(7, 3).loop_lag_s == (0.4, 0.9, 1.15)
    made.add(beat(1_300, lag_ms=1_200))
    assert made.series(7, 3).loop_lag_s == (0.4, 0.9, 1.2)


def test_a_beat_that_is_not_due_yet_is_no_lag() -> None:
    made = slots(beat(480))
    made.add_overdue(OPENED + 510 * MS, 0, 0)
    assert made.series(7, 2).loop_lag_s == (0, 0.01)


def test_counts_belong_to_the_window_and_stay_while_nothing_beats() -> None:
    made = slots(
        beat(-20, completed=100, gc_ns=5 * MS, in_flight=3),
        beat(100, completed=110, gc_ns=6 * MS, in_flight=4),
        beat(490, completed=130, gc_ns=9 * MS, in_flight=5),
        beat(1_600, completed=131, gc_ns=9 * MS, in_flight=1, lag_ms=1_090),
    )
    series = made.series(7, 4)
    assert series.completed == (30, 0, 0, 1)
    assert series.in_flight == (5, 5, 5, 1)
    assert series.gc_s == (0.004, 0, 0, 0)


def test_what_a_loop_answers_before_its_next_beat_is_counted_when_it_is_seen() -> None:
    made = slots(beat(-10, completed=100), beat(20, completed=101, in_flight=1))
    for at_ms, begun, answered in ((501, 121, 102), (1_002, 121, 104), (1_503, 122, 105)):
        made.add_overdue(OPENED + at_ms * MS, begun, answered)
    assert made.series(7, 3).completed == (2, 2, 1)
    assert made.series(7, 3).in_flight == (19, 17, 17)
    made.add(beat(1_700, lag_ms=1_660, completed=107, in_flight=15))
    assert made.series(7, 4).completed == (2, 2, 1, 2)
    assert made.series(7, 4).in_flight[-1] == 15


def test_tokens_are_means_of_their_interval() -> None:
    made = slots(
        beat(100, tokens_busy=40, tokens_waiting=10),
        beat(200, tokens_busy=39, tokens_waiting=0),
        beat(300, tokens_busy=40, tokens_waiting=2),
        beat(1_100, tokens_busy=1, lag_ms=780),
    )
    series = made.series(7, 3)
    assert (series.tokens_total, series.tokens_busy) == (40, (40, 40, 1))
    assert series.tokens_waiting == (4, 2, 0)


def test_without_a_pool_there_are_no_tokens() -> None:
    series = slots(beat(100, tokens_total=-1, tokens_busy=-1, tokens_waiting=-1)).series(7, 1)
    assert (series.tokens_total, series.tokens_busy, series.tokens_waiting) == (
        None,
        (None,),
        (None,),
    )


def test_a_worker_that_came_late_is_counted_from_its_birth() -> None:
    series = slots(beat(1_100, completed=5), beat(1_200, completed=9)).series(7, 4)
    assert series.completed == (None, None, 9, None)


def test_a_worker_that_went_before_is_not_seen() -> None:
    made = slots(beat(-100))
    made.add_overdue(0, 0, 0)
    assert not made.seen


def test_a_lag_longer_than_the_life_of_its_worker_ends_where_that_began() -> None:
    series = slots(beat(1_600), beat(1_620, lag_ms=1e9)).series(7, 4)
    assert series.loop_lag_s == (None, None, None, 0.02)

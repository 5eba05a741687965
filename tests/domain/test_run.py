"""Which changes of state are allowed."""

from itertools import pairwise

import pytest

from control_plane.domain.run import ACTIVE, TERMINAL, State, allowed

PATH = ("queued", "starting", "warming", "running", "finalizing", "finished")


def test_one_trial_from_queue_to_end():
    states = [State(name) for name in PATH]
    assert all(allowed(before, after) for before, after in pairwise(states))


@pytest.mark.parametrize("before", [State.RUNNING, State.FINALIZING])
def test_the_next_trial_starts_again(before):
    assert allowed(before, State.STARTING)


@pytest.mark.parametrize("before", sorted(TERMINAL))
@pytest.mark.parametrize("after", list(State))
def test_nothing_leaves_a_terminal_state(before, after):
    assert not allowed(before, after)


@pytest.mark.parametrize("before", sorted(ACTIVE))
@pytest.mark.parametrize("after", ["failed", "cancelled", "interrupted", "paused"])
def test_every_active_state_may_be_abandoned(before, after):
    assert allowed(before, State(after))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("queued", "failed"),
        ("queued", "finished"),
        ("queued", "running"),
        ("starting", "finished"),
        ("warming", "finished"),
        ("running", "finished"),
        ("running", "warming"),
        ("running", "queued"),
        ("finalizing", "running"),
        ("paused", "starting"),
    ],
)
def test_changes_that_are_refused(before, after):
    assert not allowed(State(before), State(after))


def test_each_state_waits_is_active_or_is_terminal():
    assert {State.QUEUED, State.PAUSED, *ACTIVE, *TERMINAL} == set(State)
    assert not ACTIVE & TERMINAL
    assert State.RUNNING.active
    assert State.FAILED.terminal
    assert not State.QUEUED.active
    assert State.QUEUED.waiting
    assert not State.PAUSED.waiting

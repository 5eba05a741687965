"""Runs that take no part, and what they leave untouched."""

from dataclasses import replace

import pytest

from control_plane.analysis.comparison import compare
from control_plane.analysis.prose.caveats import ended_text, nothing_compared
from control_plane.analysis.prose.comparison_sentences import caveats, shared_cause
from control_plane.analysis.prose.sentence import plain_text
from control_plane.domain.run import State
from tests.builders.trials import run, spec

FAILED = run("c", state=State.FAILED, spec=spec(names=("reads",)), streams=())


def test_names_of_a_run_without_a_result_say_nothing_of_the_others():
    found = compare([run("a"), run("b"), FAILED], "a")
    assert str(shared_cause(found)).startswith("No field differs as far as is known")
    assert "requests are compared" not in plain_text(caveats(found))


def test_a_run_under_way_is_waited_for_whatever_another_streams_are_called():
    waiting = replace(run("b"), state=State.RUNNING, streams=())
    found = compare([run("a"), waiting, replace(FAILED, spec=spec(names=("small", "large")))], "a")
    assert plain_text(nothing_compared(found)) == "Not compared: no other run has finished."


@pytest.mark.parametrize(
    ("state", "reason", "words"),
    [
        (State.FAILED, "exit code 3.", "failed: exit code 3"),
        (State.FAILED, None, "failed: no reason is known"),
        (State.CANCELLED, "cancelled in trial 2 of 3", "cancelled in trial 2 of 3"),
    ],
)
def test_how_a_run_ended(state, reason, words):
    assert ended_text(state, reason) == words

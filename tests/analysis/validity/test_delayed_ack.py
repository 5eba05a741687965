"""The gate on acknowledgements that come late, by a table around its limits."""

from dataclasses import replace

import pytest

from control_plane.analysis.validity.judged_run import judge
from control_plane.domain.spec import Target, UrlTarget
from tests.builders.trials import known, reason_of, spec, summary, trial, with_spaces


def checked(slower_s: float | None):
    only = trial(summary())
    return replace(only, target=replace(only.target, delayed_ack_s=slower_s))


@pytest.mark.parametrize(
    ("slower_s", "level"),
    [(-0.2, "ok"), (0.0, "ok"), (0.029, "ok"), (0.03, "suspect"), (0.05, "suspect"), (0.2, "ok")],
)
def test_delayed_ack(slower_s, level):
    assert known(reason_of("delayed_ack", [checked(slower_s)])).level == level


@pytest.mark.parametrize(
    ("target", "remedy"),
    [
        (Target(loop="asyncio", workers=2), "Use uvloop, or one worker without reload."),
        (Target("bundled", "hypercorn", loop="asyncio", http=None), "Use uvloop."),
        (Target("own", "command", loop=None, http=None), "or set TCP_NODELAY."),
        (UrlTarget("http://127.0.0.1:1"), "or set TCP_NODELAY."),
    ],
)
def test_the_advice_on_delayed_acks_fits_the_server(target, remedy):
    asked = replace(spec(), target=target)
    found = judge([checked(0.044)], [summary()], asked)
    texts = {reason.gate: reason.text for reason in found.judged}
    assert texts["delayed_ack"].endswith(remedy)


def test_delayed_ack_names_trial_cause_and_remedy():
    found = known(reason_of("delayed_ack", [checked(0.001), checked(0.044), checked(0.3)]))
    assert "44.0 ms longer in trial 2" in with_spaces(found.text)
    assert "set TCP_NODELAY" in found.text
    assert "uvloop" not in found.text


def test_without_the_self_check_delayed_ack_is_not_judged():
    assert reason_of("delayed_ack", [checked(None)]) is None

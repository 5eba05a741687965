"""What is offered to be measured anew once an experiment is over."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from control_plane.analysis.deciding.judged_experiment import JudgedExperiment, judge_experiment
from control_plane.domain.experiment import Experiment, ExperimentArm, ExperimentDesign
from control_plane.domain.run import Run
from control_plane.jobs.confirmations import Confirmation, offered_confirmation
from tests.builders.trials import run, summary, trial

BLOCKS, MOST = 4, 99
OFF = ((0, 0, 0, 0), (0.02, -0.03, 0.04, -0.02), (-0.03, 0.02, -0.01, 0.03))


def arm(place: int, factor: float) -> Run:
    """Return a run whose blocks vary by some per cent, unlike those of its neighbours."""
    trials = [
        trial(replace(summary(), throughput_per_s=1_000 * factor * (1 + off)), block=block)
        for block, off in enumerate(OFF[place % 3])
    ]
    return run(f"000000000{place}", trials=tuple(trials))


def judged(*factors: float, deleted: int | None = None) -> JudgedExperiment:
    names = [f"arm {place}" for place in range(len(factors))]
    arms = [ExperimentArm(name, f"000000000{place}") for place, name in enumerate(names)]
    design, at = ExperimentDesign(blocks=BLOCKS), datetime(2026, 11, 30, tzinfo=UTC)
    runs = [None if place == deleted else arm(place, each) for place, each in enumerate(factors)]
    return judge_experiment(Experiment("0000000001", "Which?", design, tuple(arms), at), runs)


MANY = (1.0, 3.0, 5.0, 1.0, 1.0, 1.0)


def test_open_verdicts_ask_for_so_many_blocks_that_they_are_settled() -> None:
    found = judged(1.0, 1.01)
    more = found.primary[0].verdict.more_blocks
    assert more
    assert offered_confirmation(found, MOST) == Confirmation(
        ("arm 0", "arm 1"), -(-(BLOCKS + more) // 2) * 2 if BLOCKS + more < MOST else 98, None
    )
    assert offered_confirmation(found, 7) == Confirmation(("arm 0", "arm 1"), 6, None)


def test_the_winner_of_many_arms_is_confirmed_with_the_baseline_alone() -> None:
    assert offered_confirmation(judged(*MANY, 1.0), MOST) == Confirmation(
        ("arm 0", "arm 2"), BLOCKS, "arm 2"
    )


@pytest.mark.parametrize(
    ("factors", "deleted"),
    [((1.0, 3.0), None), ((3.0, 1.0), None), ((1.0, 1.01), 0), ((1.0, 1.01), 1)],
    ids=["better", "worse", "no baseline", "no contender"],
)
def test_what_is_settled_or_gone_is_not_offered(
    factors: tuple[float, ...], deleted: int | None
) -> None:
    assert offered_confirmation(judged(*factors, deleted=deleted), MOST) is None

"""Documents of experiments: what is refused, and at which field."""

from collections import Counter
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest

from control_plane.domain.api_documents import laid_over
from control_plane.domain.errors import InvalidInput
from control_plane.domain.experiment import (
    BlockOutcome,
    Experiment,
    ExperimentArm,
    ExperimentBlock,
    ExperimentDesign,
    read_experiment,
    rounded_blocks,
    trial_order,
    williams_rows,
)

ARMS = [{"name": "a", "spec": {}}, {"name": "b", "spec": {"seed": 1}}]


def experiment(**changes: Any) -> dict[str, Any]:
    return {"question": "Which?", "arms": ARMS, **changes}


def test_what_is_left_out_has_a_default() -> None:
    found = read_experiment(experiment())
    assert (found.metric, found.margin, found.blocks) == ("throughput_per_s", 0.03, 10)
    assert [guardrail.metric for guardrail in found.guardrails] == [
        "response_time_s.p99",
        "peak_memory_bytes",
    ]
    assert found.design.blocks == 10


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"question": " "}, "question", "must not be empty"),
        ({"arms": ARMS[:1]}, "arms", "give 2 to 64"),
        ({"arms": [{"name": f"{n}", "spec": {}} for n in range(65)]}, "arms", "give 2 to 64"),
        ({"arms": [ARMS[0], ARMS[0]]}, "arms.1.name", "Another arm is called a"),
        ({"arms": [ARMS[0], {"name": "b"}]}, "arms.1.spec", "missing"),
        ({"arms": {"a": 1}}, "arms", "not a list"),
        ({"metric": "speed"}, "metric", "no metric"),
        ({"metric": "bytes_received_per_request"}, "metric", "better or worse"),
        ({"guardrails": [{"metric": "x"}]}, "guardrails.0.metric", "no metric"),
        ({"metric": "error_share"}, "metric", "no ratio"),
        ({"guardrails": [{"metric": "throughput_per_s"}]}, "guardrails.0.metric", "named twice"),
        (
            {"guardrails": [{"metric": "duration_s", "margin": -3}]},
            "guardrails.0.margin",
            "below",
        ),
        ({"seed": -1}, "seed", "below"),
        ({"objectives": [{"metric": "x", "at_most": 1}]}, "objectives.0.metric", "no metric"),
        ({"objectives": [{"metric": "duration_s"}]}, "objectives.0", "at_most or at_least"),
        (
            {"objectives": [{"metric": "duration_s", "at_most": 1, "arm": "c"}]},
            "objectives.0.arm",
            "no arm c",
        ),
        ({"predictions": [{"text": "t", "arm": "c", "about": 1}]}, "predictions.0.arm", "no arm"),
        ({"predictions": [{"text": "t", "arm": "a", "about": 1}]}, "predictions.0.arm", "baseline"),
        ({"predictions": [{"text": "t", "arm": "b"}]}, "predictions.0", "Give one of"),
        (
            {"predictions": [{"text": "t", "arm": "b", "about": 1, "metric": "x"}]},
            "predictions.0.metric",
            "no metric",
        ),
        (
            {"predictions": [{"text": "t", "arm": "b", "low": 3, "high": 2}]},
            "predictions.0.low",
            "above high",
        ),
        ({"margin": -0.1}, "margin", "below"),
        ({"blocks": 2}, "blocks", "below"),
        ({"blocks": 100}, "blocks", "above"),
        ({"rule": "peek"}, "rule", "precision"),
        ({"blocks": 4.5}, "blocks", "not a whole number"),
        ({"margin": "3 %"}, "margin", "not a number"),
        ({"colour": 1}, "colour", "no such field"),
    ],
)
def test_what_is_wrong_is_told_at_its_field(
    changes: dict[str, Any], field: str, message: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_experiment(experiment(**changes))
    (wrong,) = refused.value.fields
    assert wrong.field == field
    assert message in wrong.message


def test_an_arm_lies_over_what_all_have_in_common() -> None:
    base = {"client": {"strategy": "raw", "loop": "uvloop"}, "workload": {"streams": [1, 2]}}
    found = laid_over(base, {"client": {"loop": "asyncio"}, "workload": {"streams": [3]}})
    assert found["client"] == {"strategy": "raw", "loop": "asyncio"}
    assert found["workload"] == {"streams": [3]}
    assert base["client"] == {"strategy": "raw", "loop": "uvloop"}


@pytest.mark.parametrize("arms", range(2, 9))
def test_a_williams_design_is_balanced(arms: int) -> None:
    rows = williams_rows(arms)
    assert len(rows) == (arms if arms % 2 == 0 else 2 * arms)
    assert all(sorted(row) == list(range(arms)) for row in rows)
    places = Counter((place, arm) for row in rows for place, arm in enumerate(row))
    followers = Counter(pair for row in rows for pair in pairwise(row))
    assert set(places.values()) == {len(rows) // arms}
    assert len(followers) == arms * (arms - 1)
    assert set(followers.values()) == {len(rows) // arms}


def test_two_arms_take_turns_in_going_first() -> None:
    firsts = [block[0] for block in trial_order(2, 6, seed=1)]
    assert firsts in ([0, 1, 0, 1, 0, 1], [1, 0, 1, 0, 1, 0])
    assert {tuple(trial_order(2, 6, seed=seed)) for seed in range(20)} == {
        tuple(trial_order(2, 6, seed=seed)) for seed in (0, 1, 2, 3)
    }


@pytest.mark.parametrize("arms", [3, 4, 5])
def test_as_many_blocks_as_arms_are_a_whole_square(arms: int) -> None:
    for seed in range(20):
        order = trial_order(arms, arms, seed)
        assert len({(place, arm) for row in order for place, arm in enumerate(row)}) == arms**2


def test_the_seed_draws_labels_and_start_and_more_blocks_begin_alike() -> None:
    assert trial_order(5, 4, seed=7) == trial_order(5, 10, seed=7)[:4]
    assert len({trial_order(5, 4, seed=seed) for seed in range(50)}) > 40


@pytest.mark.parametrize(
    ("arms", "asked", "blocks"),
    [(1, 3, 3), (2, 3, 4), (2, 10, 10), (5, 10, 10), (6, 10, 12), (7, 10, 10),
     (2, 99, 98), (3, 99, 99), (6, 98, 96), (2, 101, 102)],
)  # fmt: skip
def test_blocks_are_rounded_up_to_whole_squares(arms: int, asked: int, blocks: int) -> None:
    assert rounded_blocks(arms, asked) == blocks
    assert (blocks % arms == 0) == (arms < 7)


def test_what_is_spoiled_is_measured_again_at_the_end_once_and_a_few_blocks_only() -> None:
    def after(*outcomes: tuple[int, BlockOutcome], blocks: int = 4) -> Experiment:
        begun = (
            ExperimentBlock(number, row, 1, outcome)
            for number, (row, outcome) in enumerate(outcomes)
        )
        design = ExperimentDesign(blocks=blocks)
        arms = tuple(ExperimentArm(name, None) for name in "AB")
        handed_in_at = datetime(2026, 11, 30, tzinfo=UTC)
        return Experiment("0000000001", "?", design, arms, handed_in_at, tuple(begun))

    assert after().next_row == 0
    assert after((0, "spoiled"), (1, "discarded")).next_row == 1
    done: list[tuple[int, BlockOutcome]] = [(1, "complete"), (2, "complete"), (3, "complete")]
    assert after((0, "spoiled"), *done).next_row == 0
    assert after((0, "spoiled"), *done, (0, "complete")).next_row is None
    assert after().may_set_aside(0)
    assert not after((0, "spoiled")).may_set_aside(0)
    assert not after((0, "spoiled")).may_set_aside(1)
    assert after((0, "spoiled"), blocks=10).may_set_aside(1)
    assert after((0, "spoiled"), blocks=10).spoiled == {0}

"""Every arm stands at each place, and follows each other one, equally often."""

from collections import Counter
from itertools import pairwise

import pytest

from control_plane.analysis.deciding.trial_order import (
    is_whole,
    rounded_blocks,
    trial_order,
    williams_rows,
)


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
    [(1, 3, 3), (2, 3, 4), (2, 10, 10), (5, 10, 10), (6, 10, 12), (7, 10, 10)],
)
def test_blocks_are_rounded_up_to_whole_squares(arms: int, asked: int, blocks: int) -> None:
    assert rounded_blocks(arms, asked) == blocks
    assert is_whole(arms, blocks) == (arms < 7)

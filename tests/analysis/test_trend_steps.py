"""Steps of a series are where they were put, and nowhere else."""

import numpy as np
import pytest

from control_plane.analysis.trend_steps import LEAST_SIDE, find_steps

SERIES, POINTS = 40, 60


def noisy(seed: int, *levels: tuple[int, float]) -> tuple[float, ...]:
    """So many points at each level, with a noise of 1."""
    chance = np.random.default_rng(seed)
    return tuple(
        level + float(chance.standard_normal()) for count, level in levels for _ in range(count)
    )


def test_clear_steps_are_found_where_they_are() -> None:
    found = find_steps(noisy(1, (40, 0), (30, 8), (90, -2)))
    assert [step.at for step in found] == [40, 70]
    assert all(step.first <= step.at <= step.last and step.p_value < 1e-9 for step in found)


@pytest.mark.parametrize("newest", range(1, 9))
def test_a_step_stays_when_a_larger_one_follows(newest: int) -> None:
    found = find_steps(noisy(2, (22, 0), (18, 6), (newest, -40)))
    assert found[0].at == 22
    assert [step.at for step in found[1:]] == [40] or newest < LEAST_SIDE


def test_a_step_of_twice_the_noise_is_found_and_none_where_there_is_none() -> None:
    places = np.random.default_rng(7).integers(10, 51, SERIES).tolist()
    found = [find_steps(noisy(n, (at, 0), (POINTS - at, 2))) for n, at in enumerate(places)]
    near = [
        any(abs(s.at - at) <= 2 for s in steps) for steps, at in zip(found, places, strict=True)
    ]
    held = [
        any(s.first <= at <= s.last for s in steps) for steps, at in zip(found, places, strict=True)
    ]
    false = [bool(find_steps(noisy(1_000 + n, (POINTS, 0)))) for n in range(SERIES)]
    assert sum(near) >= 0.9 * SERIES
    assert sum(held) >= 0.9 * SERIES
    assert sum(false) <= 0.05 * SERIES


@pytest.mark.parametrize(
    "points",
    [
        (),
        (1.0, 9.0),
        (5.0,) * 40,
        (5.0,) * 20 + (50.0,) + (5.0,) * 20,
        (5.0,) * 22 + (50.0,),
    ],
    ids=["none", "few", "level", "one night", "last night"],
)
def test_what_does_not_last_is_no_step(points: tuple[float, ...]) -> None:
    assert find_steps(points) == ()


@pytest.mark.parametrize("wild", [60, -60], ids=["high", "low"])
def test_a_wild_night_hides_no_step(wild: float) -> None:
    points = noisy(5, (25, 0), (26, 4))
    for at in range(len(points)):
        with_it = (*points[:at], points[at] + wild, *points[at + 1 :])
        (step,) = find_steps(with_it)
        assert abs(step.at - 25) <= LEAST_SIDE, at


@pytest.mark.parametrize("wild", [60, 25, -25])
def test_a_wild_night_hides_no_step_of_a_short_trend(wild: float) -> None:
    """Three points before a step it brought the median there to the other level, and hid it."""
    found = 0
    for seed in range(SERIES):
        points = noisy(seed, (7, 0), (6, 20))
        at = seed % len(points)
        steps = find_steps((*points[:at], points[at] + wild, *points[at + 1 :]))
        found += [abs(step.at - 7) < LEAST_SIDE for step in steps] == [True]
    assert found >= 0.95 * SERIES


def test_two_wild_nights_hide_no_step_of_a_short_trend_and_make_none() -> None:
    """Wherever they are; what is noise alone has no more steps for that."""
    found, false = 0, 0
    for seed in range(SERIES):
        chance = np.random.default_rng(seed)
        wild = np.zeros(13)
        wild[chance.choice(13, 2, replace=False)] = chance.uniform(15, 60, 2)
        steps = find_steps(tuple(noisy(seed, (7, 0), (6, 20)) + wild))
        found += [abs(step.at - 7) < LEAST_SIDE for step in steps] == [True]
        false += bool(find_steps(tuple(noisy(seed, (13, 0)) + wild)))
    assert found >= 0.8 * SERIES
    assert false <= 0.05 * SERIES


@pytest.mark.parametrize(
    ("noise", "apart", "share"),
    [(0.02, 0.3, 0.3), (0.02, 0.3, 0.05), (0.0, 0.02, 0.3)],
    ids=["slow now and then", "seldom slow", "errors now and then"],
)
def test_what_comes_and_goes_is_no_step(noise: float, apart: float, share: float) -> None:
    chance, false = np.random.default_rng(11), 0
    for _ in range(3 * SERIES):
        points = noise * chance.standard_normal(POINTS) + apart * (chance.random(POINTS) < share)
        false += bool(find_steps(tuple(points.tolist())))
    assert false <= 0.1 * 3 * SERIES


def test_numbers_without_noise_have_steps_unless_they_are_too_coarse_for_them() -> None:
    points = (1.0,) * 20 + (1.001,) * 20
    (step,) = find_steps(points)
    assert (step.at, step.first, step.last) == (20, 20, 20)
    assert step.p_value < 1e-100
    assert find_steps(points, 0.01) == ()


def test_a_long_series_is_looked_at_in_windows() -> None:
    levels = [(45, 4.0 * (part % 2)) for part in range(8)]
    found = [step.at for step in find_steps(noisy(3, *levels))]
    assert len(found) == 7
    assert all(abs(at - 45 * place) <= 1 for place, at in enumerate(found, start=1))

"""Effects and their intervals: against scipy, and where the rules say which holds."""

from math import exp, log

import numpy as np
import pytest
import scipy

from control_plane.analysis.deciding.critical_values import largest_spread
from control_plane.analysis.deciding.effects import (
    Effect,
    VariancePrior,
    contender_effects,
    log_values,
    paired_effect,
    session_effect,
)
from control_plane.domain.experiment import trial_order

NOISE = np.random.default_rng(4).standard_normal((6, 10)) * 0.03


def effect_of(effect: Effect | None) -> Effect:
    assert effect is not None
    return effect


def test_a_pair_is_the_paired_t_of_scipy() -> None:
    effect = effect_of(paired_effect(NOISE[0], NOISE[1] + 0.1))
    wanted = scipy.stats.ttest_rel(NOISE[1] + 0.1, NOISE[0]).confidence_interval(0.95)
    found = effect.interval(0.05)
    assert (log(found.low), log(found.high)) == pytest.approx((wanted.low, wanted.high), abs=1e-9)
    assert (effect.method, effect.blocks, effect.df) == ("paired", 10, 9)


def test_sessions_are_the_welch_t_of_scipy() -> None:
    sides = NOISE[0, :4], NOISE[1, 6:] * 3 + 0.2
    effect = effect_of(session_effect(*(side.tolist() for side in sides)))
    wanted = scipy.stats.ttest_ind(sides[1], sides[0], equal_var=False).confidence_interval(0.9)
    found = effect.interval(0.1)
    assert (log(found.low), log(found.high)) == pytest.approx((wanted.low, wanted.high), abs=1e-9)
    more = (NOISE[0, :4].tolist(), (NOISE[1] * 3 + 0.2).tolist())
    assert session_effect(*more) == effect
    assert session_effect([0.1, 0.2], [0.1, 0.2, 0.3]) is None
    alike = effect_of(session_effect([0.1] * 3, [0.1] * 3))
    assert alike.interval(0.05).low < 1 < alike.interval(0.05).high


def test_a_block_that_lacks_a_side_leaves_the_pair() -> None:
    values = NOISE[:2].copy()
    values[1, 3] = np.nan
    kept = np.delete(NOISE[:2], 3, axis=1)
    assert paired_effect(*values) == paired_effect(*kept)
    assert paired_effect(*values[:, 2:5]) is None


def test_several_contenders_share_a_variance_and_hold_at_once() -> None:
    effects = [effect_of(effect) for effect in contender_effects(NOISE[:5])]
    assert [(effect.method, effect.family, effect.df) for effect in effects] == [
        ("dunnett", 4, 36)
    ] * 4
    means = NOISE[:5].mean(axis=1)
    left = NOISE[:5] - means[:, None] - NOISE[:5].mean(axis=0) + NOISE[:5].mean()
    error = np.sqrt((left**2).sum() / 36 * 2 / 10)
    assert [effect.log_ratio for effect in effects] == pytest.approx(list(means[1:] - means[0]))
    assert [effect.standard_error for effect in effects] == pytest.approx([error] * 4)
    alone = effect_of(paired_effect(NOISE[0], NOISE[1]))
    assert effects[0].ratio == pytest.approx(alone.ratio)


def test_a_contender_that_lacks_a_block_is_fitted_with_the_others() -> None:
    values = NOISE[:4].copy()
    values[2, 5] = np.nan
    effects = [effect_of(effect) for effect in contender_effects(values)]
    assert [effect.blocks for effect in effects] == [10, 9, 10]
    assert effects[1].standard_error > effects[0].standard_error
    assert {effect.df for effect in effects} == {26}


@pytest.mark.parametrize("why", ["unlike variances", "far apart"])
def test_arms_that_cannot_share_a_variance_have_their_own(why: str) -> None:
    values = NOISE[:4].copy()
    if why == "far apart":
        values[2] += log(3.5)
    else:
        values[2] *= 40
    effects = [effect_of(effect) for effect in contender_effects(values)]
    assert {(effect.method, effect.family) for effect in effects} == {("bonferroni", 3)}
    own = effect_of(paired_effect(values[0], values[2]))
    assert effects[1].interval(0.05) == own.interval(0.05 / 3)


def test_the_control_adds_to_the_variance_and_is_no_contender() -> None:
    *effects, control = contender_effects(NOISE[:4], control=True)
    assert [effect_of(effect).family for effect in effects] == [2, 2]
    assert effect_of(effects[0]).df == 27
    assert control == paired_effect(NOISE[0], NOISE[3])


@pytest.mark.parametrize(("arms", "blocks", "about"), [(5, 5, 57), (5, 10, 10)])
def test_how_far_equal_variances_spread(arms: int, blocks: int, about: float) -> None:
    assert largest_spread(arms, blocks) == pytest.approx(about, rel=0.08)


def test_a_prior_moderates_unless_it_does_not_fit() -> None:
    ratios = NOISE[1, :5]
    own = effect_of(paired_effect(np.zeros(5), ratios))
    prior = VariancePrior(1e-3, 20.0)
    moderated = effect_of(paired_effect(np.zeros(5), ratios, prior))
    variance = (8 * 1e-3 + 4 * ratios.var(ddof=1)) / 12
    assert (moderated.method, moderated.df) == ("moderated", 12)
    assert moderated.standard_error == pytest.approx((variance / 5) ** 0.5)
    assert paired_effect(np.zeros(5), ratios, VariancePrior(1e-6, 20.0)) == own


def test_no_number_is_no_number() -> None:
    found = log_values([[1.0, None, 0.0], [exp(2), float("inf"), 2.0]])
    assert found[0, 0] == 0
    assert found[1, 0] == pytest.approx(2)
    assert np.isnan(found).tolist() == [[False, True, True], [False, True, False]]


def test_trials_that_look_alike_are_as_uncertain_as_numbers_are_coarse() -> None:
    alike = effect_of(paired_effect(np.zeros(3), np.full(3, log(1.04))))
    assert alike.interval(0.05).low < 1.04 < alike.interval(0.05).high
    # At an early look that is not enough for a verdict.
    assert alike.interval(7e-5).low < 1.03
    several = [effect_of(each) for each in contender_effects(np.zeros((3, 3)))]
    assert all(each.standard_error > 0 for each in several)


def test_the_family_is_that_which_was_declared() -> None:
    whole = effect_of(contender_effects(NOISE[:4])[0])
    fewer = effect_of(contender_effects(NOISE[:3], family=3)[0])
    assert fewer.family == whole.family == 3
    alone = effect_of(contender_effects(NOISE[:2], family=3)[0])
    assert (alone.method, alone.family) == ("bonferroni", 3)


def shifted(arms: int, blocks: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise with 0.1 for each place further back, and the places from the middle."""
    order = trial_order(arms, blocks, seed=2)
    places = np.array([[row.index(arm) for row in order] for arm in range(arms)]) - (arms - 1) / 2
    return NOISE[:arms, :blocks] + 0.1 * places, places


@pytest.mark.parametrize(("arms", "blocks"), [(2, 7), (4, 7)])
def test_the_place_in_a_block_is_a_linear_term(arms: int, blocks: int) -> None:
    values, places = shifted(arms, blocks)
    found = [effect_of(effect) for effect in contender_effects(values, places=places)]
    arm, block = np.indices(values.shape).reshape(2, -1)
    model = np.column_stack(
        [*(arm == each for each in range(1, arms)), *(block == each for each in range(blocks)),
         places.ravel()]
    ).astype(float)  # fmt: skip
    solution, (left,), rank, _ = np.linalg.lstsq(model, values.ravel(), rcond=None)
    df = values.size - rank
    errors = np.sqrt(left / df * np.diag(np.linalg.inv(model.T @ model)))
    assert [each.log_ratio for each in found] == pytest.approx(list(solution[: arms - 1]))
    assert [each.df for each in found] == [df] * (arms - 1)
    assert [each.standard_error for each in found] == pytest.approx(list(errors[: arms - 1]))


def test_places_that_cost_too_much_or_are_alike_change_nothing() -> None:
    values, places = shifted(2, 4)
    assert contender_effects(values, places=places) == contender_effects(values)
    few = values[:, :3], places[:, :3]
    assert contender_effects(few[0], places=few[1]) == contender_effects(few[0])
    first = np.tile([[-0.5], [0.5]], 7)
    assert contender_effects(NOISE[:2, :7], places=first) == contender_effects(NOISE[:2, :7])

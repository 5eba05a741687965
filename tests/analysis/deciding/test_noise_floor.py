"""What earlier experiments say of the noise of the next one."""

from math import exp

import numpy as np
import pytest
import scipy

from control_plane.analysis.deciding.noise_floor import PRIOR_EXPERIMENTS, fit_prior


def test_smyths_moments_find_what_the_variances_came_from() -> None:
    true_df, true_variance = 6.0, 4e-4
    chance = np.random.default_rng(3)
    spread = true_variance * true_df / chance.chisquare(true_df, 4_000)
    seen = spread * chance.chisquare(4, 4_000) / 4
    prior = fit_prior(seen.tolist(), [4.0] * 4_000)
    assert prior is not None
    assert prior.df == pytest.approx(true_df, rel=0.15)
    assert prior.variance == pytest.approx(true_variance, rel=0.05)
    assert (
        fit_prior(seen[: PRIOR_EXPERIMENTS - 1].tolist(), [4.0] * (PRIOR_EXPERIMENTS - 1)) is None
    )
    alike = fit_prior([4e-4] * PRIOR_EXPERIMENTS, [4.0] * PRIOR_EXPERIMENTS)
    assert alike is not None
    assert alike.variance == pytest.approx(4e-4 * 2 / exp(scipy.special.digamma(2)))
    assert alike.df == np.inf

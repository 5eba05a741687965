"""Critical values against published tables, scipy, and themselves on finer steps."""

from math import inf, isinf

import numpy as np
import pytest
import scipy

from control_plane.analysis.deciding.critical_values import (
    dunnett,
    level_at,
    nominal_levels,
    student,
)


@pytest.mark.parametrize("df", [1, 2, 4.5, 30, 1e6])
@pytest.mark.parametrize("level", [0.1, 0.05, 1e-4, 1e-9])
def test_student_is_that_of_scipy(df: float, level: float) -> None:
    assert student(level, df) == pytest.approx(scipy.stats.t.isf(level / 2, df), rel=1e-9)
    assert student(0, df) == inf


@pytest.mark.parametrize(
    ("contenders", "df", "published"),
    [
        (2, 5, 3.03), (3, 5, 3.29), (4, 5, 3.48), (5, 5, 3.62),
        (2, 10, 2.57), (3, 10, 2.76), (4, 10, 2.89), (5, 10, 2.99),
        (2, 20, 2.38), (3, 20, 2.54), (4, 20, 2.65), (5, 20, 2.73),
        (2, inf, 2.21), (3, inf, 2.35), (4, inf, 2.44), (5, inf, 2.51),
    ],
)  # fmt: skip
def test_dunnett_is_that_of_his_table(contenders: int, df: float, published: float) -> None:
    """Two-sided, 5 % (C. W. Dunnett, "New tables for multiple comparisons", 1964)."""
    assert dunnett(contenders, df, 0.05) == pytest.approx(published, abs=0.006)


@pytest.mark.parametrize("contenders", [2, 4, 63])
@pytest.mark.parametrize("df", [2, 9, 252])
@pytest.mark.parametrize("level", [0.1, 0.05, 1e-5])
def test_finer_steps_change_nothing(contenders: int, df: float, level: float) -> None:
    coarse, fine = (dunnett(contenders, df, level, fineness) for fineness in (1, 2))
    assert coarse == pytest.approx(fine, rel=1e-6)


@pytest.mark.parametrize(("contenders", "df"), [(2, 6), (4, 16)])
def test_dunnett_is_that_of_a_simulation(contenders: int, df: int) -> None:
    correlation = np.full((contenders, contenders), 0.5) + 0.5 * np.eye(contenders)
    reach = dunnett(contenders, df, 0.05)
    found = scipy.stats.multivariate_t(shape=correlation, df=df).cdf(
        np.full(contenders, reach), lower_limit=np.full(contenders, -reach), random_state=1
    )
    assert found == pytest.approx(0.95, abs=1e-3)


def test_spending_is_that_of_the_published_boundary() -> None:
    """Five equal looks, 5 % (Lan and DeMets 1983; K. Jennison and B. W. Turnbull, 2000)."""
    levels = nominal_levels((0.2, 0.4, 0.6, 0.8, 1.0), 0.05)
    bounds = [float(scipy.stats.norm.isf(level / 2)) for level in levels]
    assert bounds == pytest.approx([4.8769, 3.3569, 2.6803, 2.2898, 2.0310], abs=2e-4)


def test_one_look_has_all_of_it() -> None:
    assert nominal_levels((1.0,), 0.05) == pytest.approx((0.05,))


def test_levels_grow_and_together_err_as_often_as_declared() -> None:
    maximum, first = 10, 3
    levels = [level_at(block, maximum, first, 0.05) for block in range(1, maximum + 1)]
    assert levels[:2] == [0, 0]
    assert levels[2:] == sorted(levels[2:])
    values = np.random.default_rng(1).standard_normal((100_000, maximum))
    crossed = np.zeros(len(values), bool)
    for block in range(first, maximum + 1):
        seen = values[:, :block]
        t = seen.mean(axis=1) / seen.std(axis=1, ddof=1) * block**0.5
        crossed |= np.abs(t) > student(levels[block - 1], block - 1)
    assert crossed.mean() == pytest.approx(0.05, abs=0.003)


def test_what_cannot_be_spent_yet_is_no_look() -> None:
    assert level_at(3, 100, 3, 0.05) < 1e-30
    assert isinf(student(0.0, 4))

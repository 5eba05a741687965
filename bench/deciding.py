"""How often the product's own verdicts err, by simulation with fixed seeds.

    .venv/bin/python -m bench.deciding [TABLE ...] [--cases 10000]

Each experiment is drawn as logarithms of a metric and goes through the functions that the product
decides with. Every row tells what is wanted, and whether it is reached; the tables are Markdown.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import expm1, inf, log, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from control_plane.analysis.deciding.critical_values import dunnett, student
from control_plane.analysis.deciding.effects import (
    Effect,
    VariancePrior,
    contender_effects,
    largest_ratio,
    session_effect,
)
from control_plane.analysis.deciding.noise_floor import fit_prior
from control_plane.analysis.deciding.verdicts import (
    FIXED,
    decide,
    levels_at_stop,
    levels_of_look,
    precise,
    wilson,
)
from control_plane.domain.experiment import FIRST_LOOK, FIRST_STOP, rounded_blocks, trial_order
from control_plane.domain.metrics_and_objectives import DEFAULT_MARGIN

Floats = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int, int, int], Floats]
NOISE, MEASURED = 0.03, 0.065
"""The standard deviation of a block's log-difference, and its median in docs/results.md."""
TRIAL = NOISE / sqrt(2)
ORDERS = 50
"""So many seeds of orders are gone through."""


@dataclass
class Table:
    """Rows under heads; each ends with what is wanted and whether it is reached."""

    title: str
    heads: str
    missed: int = 0

    def __post_init__(self) -> None:
        columns = self.heads.count("|") + 3
        print(f"\n{self.title}\n\n| {self.heads} | wanted | |\n{'|---' * columns}|", flush=True)

    def row(self, *cells: object, wanted: str = "", reached: bool | None = None) -> None:
        """Print one row; `reached` None: nothing is wanted of it."""
        word = {True: "REACHED", False: "MISSED", None: ""}[reached]
        self.missed += reached is False
        print(f"| {' | '.join(map(str, (*cells, wanted, word)))} |", flush=True)


def even(chance: np.random.Generator, arms: int, blocks: int, seed: int = 0) -> Floats:
    """Normal noise of trials, and blocks that differ ten times as much."""
    del seed
    of_blocks = chance.standard_normal(blocks) * 10 * NOISE
    return chance.standard_normal((arms, blocks)) * TRIAL + of_blocks


def correlated(chance: np.random.Generator, arms: int, blocks: int, seed: int) -> Floats:
    """Consecutive trials correlate by ½, in the order of the trials."""
    trials = chance.standard_normal(arms * blocks)
    for place in range(1, len(trials)):
        trials[place] = trials[place - 1] / 2 + trials[place] * sqrt(0.75)
    return placed(trials, arms, blocks, seed) * TRIAL


def drifting(chance: np.random.Generator, arms: int, blocks: int, seed: int) -> Floats:
    """The machine gets slower by one standard deviation a block, evenly over its trials."""
    drift = placed(np.arange(arms * blocks) / arms, arms, blocks, seed)
    return even(chance, arms, blocks) + drift * TRIAL


def struck(chance: np.random.Generator, arms: int, blocks: int, seed: int) -> Floats:
    """One trial lies five standard deviations off."""
    del seed
    values = even(chance, arms, blocks)
    values[chance.integers(arms), chance.integers(blocks)] += 5 * TRIAL
    return values


def placed(trials: Floats, arms: int, blocks: int, seed: int) -> Floats:
    """Return values in the order of trials as (arms, blocks), by the order of the product."""
    values = np.empty((arms, blocks))
    for block, order in enumerate(trial_order(arms, blocks, seed)):
        values[list(order), block] = trials[block * arms : (block + 1) * arms]
    return values


def places(arms: int, blocks: int, seed: int) -> Floats | None:
    """Return where each trial stood in its block where that counts, as the product does."""
    if blocks % arms == 0:
        return None
    within = np.tile(np.arange(arms) - (arms - 1) / 2, blocks)
    return placed(within, arms, blocks, seed)


def known(effects: Sequence[Effect | None]) -> list[Effect]:
    """Return the effects that there are."""
    return [effect for effect in effects if effect is not None]


@dataclass
class Errors:
    """How many of the experiments erred, in which way."""

    at_maximum: int = 0
    at_any_look: int = 0
    better_or_worse: int = 0


def errors(arms: int, maximum: int, cases: int, seed: int, *, moderated: bool = False) -> Errors:
    """Look at experiments in which nothing differs after each block, as the product does."""
    chance, found = np.random.default_rng(seed), Errors()
    for _ in range(cases):
        size, prior = earlier_sessions(chance) if moderated else (1.0, None)
        values = even(chance, arms, maximum) * size
        fixed = known(contender_effects(values, prior))
        found.at_maximum += any(not effect.interval(FIXED.for_95).holds(1) for effect in fixed)
        excluded = said = False
        for block in range(FIRST_LOOK, maximum + 1):
            levels = levels_of_look(block, maximum)
            for effect in contender_effects(values[:, :block], prior):
                verdict = decide(
                    effect, less_is_better=True, margin=0.0, levels=levels, foresees=False
                )
                excluded |= bool(verdict.within_95 and not verdict.within_95.holds(1))
                said |= verdict.finding in {"better", "worse"}
        found.at_any_look += excluded
        found.better_or_worse += said
    return found


def earlier_sessions(chance: np.random.Generator) -> tuple[float, VariancePrior | None]:
    """Return how noisy this session is, and the prior of twelve before it that differed as much."""
    true = 6 / chance.chisquare(6, 13)
    seen = NOISE**2 * true[1:] * chance.chisquare(9, 12) / 9
    return sqrt(true[0]), fit_prior(seen.tolist(), [9.0] * 12)


def false_alarms(cases: int) -> int:
    """Print how often something is found where nothing differs."""
    table = Table(
        f"{cases:,} experiments without a difference: an interval excludes 1, or a verdict says so",
        "arms | declared maximum | at the maximum | at any look | better or worse, δ = 0",
    )
    designs = [(2, 4), (2, 10), (2, 20), (3, 9), (5, 5), (5, 10), (8, 10)]
    for arms, maximum, moderated in [*((*each, False) for each in designs), (2, 10, True)]:
        found = errors(arms, maximum, cases, arms * 100 + maximum, moderated=moderated)
        counts = (found.at_maximum, found.at_any_look, found.better_or_worse)
        once, any_look, said = (count / cases for count in counts)
        name = f"{arms}, moderated" if moderated else arms
        reached = 0.043 <= once <= 0.057 and any_look <= 0.057 and said <= 0.057
        shares = [f"{share:.2%}" for share in (once, any_look, said)]
        table.row(name, maximum, *shares, wanted="4.3 to 5.7 %; ≤ 5.7 %; ≤ 5.7 %", reached=reached)
    return table.missed


def coverage(cases: int) -> int:
    """Print how often all intervals hold the truth without looks, and how wide they are."""
    table = Table(
        f"Coverage of 95 % intervals without looks, {cases:,} experiments each",
        "noise | arms | blocks | coverage | mean half-width",
    )
    for draw in (even, correlated, drifting, struck):
        least, most = (0.93, 0.97) if draw is even else (0.90, 1.0)
        wanted = "93 to 97 %" if draw is even else "≥ 90 %"
        for arms in (2, 5):
            for blocks in (3, 5, 10, 20):
                held, width = covered(draw, arms, blocks, cases)
                table.row(
                    draw.__name__, arms, blocks, f"{held:.2%}", f"±{width:.1%}",
                    wanted=wanted, reached=least <= held <= most,
                )  # fmt: skip
    return table.missed


def covered(draw: Draw, arms: int, blocks: int, cases: int) -> tuple[float, float]:
    """Return how often all intervals hold 1, and how far they reach on average."""
    chance = np.random.default_rng(arms * 50 + blocks)
    held, width = 0, 0.0
    for case in range(cases):
        seed = case % ORDERS
        values = draw(chance, arms, blocks, seed)
        effects = known(contender_effects(values, places=places(arms, blocks, seed)))
        intervals = [effect.interval(FIXED.for_95) for effect in effects]
        held += all(interval.holds(1) for interval in intervals)
        width += float(np.mean([effect.reach(FIXED.for_95) for effect in effects]))
    return held / cases, expm1(width / cases)


def power(cases: int) -> int:
    """Print how often a true difference is seen, and called worse, and after how many blocks."""
    table = Table(
        f"A contender that differs: by the declared maximum an interval excludes 1, and it is "
        f"called worse; {cases:,} experiments each, margin {DEFAULT_MARGIN:.0%}",
        "noise | arms | maximum | floor | difference | seen | worse | blocks, median of those",
    )
    for noise, arms, asked in product((NOISE, MEASURED), (2, 5), (5, 10)):
        maximum = rounded_blocks(arms, asked)
        floor = expm1(student(0.05, maximum - 1) * noise / sqrt(maximum))
        for difference in (0.01, 0.02, 0.03, 0.05, 0.08, 0.10):
            seen, worse, blocks = found_at(arms, maximum, difference, cases, noise)
            asks = (noise, asked, difference) == (NOISE, 5, 0.10)
            held = (0.9 if arms == 2 else 0.8) if asks else None
            mark = "" if difference > floor else ", below the floor"
            table.row(
                f"{noise:.1%}", arms, maximum, f"±{floor:.1%}", f"{difference:.0%}{mark}",
                f"{seen:.1%}", f"{worse:.1%}", blocks, wanted=f"≥ {held:.0%}" if held else "",
                reached=worse >= held if held else None,
            )  # fmt: skip
    return table.missed


def found_at(
    arms: int, maximum: int, difference: float, cases: int, noise: float
) -> tuple[float, float, str]:
    """Return how often the difference is seen and settled, and after how many blocks half were."""
    chance = np.random.default_rng(arms * 1_000 + maximum)
    looks = [(block, levels_of_look(block, maximum)) for block in range(FIRST_LOOK, maximum + 1)]
    seen, needed = 0, []
    for _ in range(cases):
        values = even(chance, arms, maximum) * (noise / NOISE)
        values[1] += log(1 + difference)
        excluded = False
        for block, levels in looks:
            effect = contender_effects(values[:, :block])[0]
            verdict = decide(effect, less_is_better=True, levels=levels, foresees=False)
            excluded |= bool(verdict.within_95 and not verdict.within_95.holds(1))
            if verdict.finding == "worse":
                needed.append(block)
                break
        seen += excluded
    return seen / cases, len(needed) / cases, f"{np.median(needed):.0f}" if needed else "–"


def precision(cases: int) -> int:
    """Print how often the interval of an experiment that stops by its width holds the truth."""
    table = Table(
        f"Coverage at the stop of the rule `precision`, margin {DEFAULT_MARGIN:.0%}, {cases:,} "
        "experiments each; 94.3 % is 95 % less the chance of 10,000",
        "arms | declared maximum | noise | coverage | blocks, mean",
    )
    for arms, maximum in ((2, 10), (2, 30), (5, 30)):
        for size in (0.4, 0.6, 0.8, 1.0, 1.3, 1.8):
            held, blocks = stopped(arms, maximum, size, cases)
            table.row(
                arms, maximum, f"{size * NOISE:.1%}", f"{held:.2%}", f"{blocks:.1f}",
                wanted="≥ 94.3 %", reached=held >= 0.943,
            )  # fmt: skip
    return table.missed


def stopped(arms: int, maximum: int, size: float, cases: int) -> tuple[float, float]:
    """Return how often all intervals hold 1 at the stop, and after how many blocks that is."""
    chance, levels = np.random.default_rng(maximum), levels_at_stop(maximum)
    held = blocks = 0
    for _ in range(cases):
        values = even(chance, arms, maximum) * size
        for block in range(FIRST_STOP, maximum + 1):
            effects = contender_effects(values[:, :block])
            if precise(effects, block, DEFAULT_MARGIN, levels) or block == maximum:
                held += all(each.interval(levels.for_95).holds(1) for each in known(effects))
                blocks += block
                break
    return held / cases, blocks / cases


def sessions(cases: int) -> int:
    """Print what is said of runs that were not interleaved."""
    table = Table(
        f"Runs that were not interleaved: sessions differ by as much as trials do, {cases:,} each",
        "true ratio | sessions | an interval excludes 1 | better or worse",
    )
    asked = [(1.0, each) for each in ((3, 3), (5, 5), (3, 10))]
    for ratio, counts in (*asked, (1.5, (3, 3)), (1.5, (5, 5))):
        excluded, said = apart(ratio, counts, cases)
        cells = (ratio, f"{counts[0]} and {counts[1]}", f"{excluded:.2%}", f"{said:.2%}")
        if ratio == 1:
            table.row(*cells, wanted="≤ 5 %", reached=max(excluded, said) <= 0.05)
        elif counts == (5, 5):
            table.row(*cells, wanted="≥ 80 %", reached=said >= 0.8)
        else:
            table.row(*cells)
    return table.missed


def apart(ratio: float, counts: tuple[int, int], cases: int) -> tuple[float, float]:
    """Return how often an interval excludes 1, and how often better or worse is said."""
    chance = np.random.default_rng(sum(counts))
    excluded = said = 0
    for _ in range(cases):
        sides = [
            chance.standard_normal(count) * NOISE
            + chance.standard_normal((count, 3)).mean(axis=1) * NOISE
            for count in counts
        ]
        effect = session_effect(sides[0].tolist(), (sides[1] + log(ratio)).tolist())
        verdict = decide(effect, less_is_better=True, foresees=False)
        excluded += bool(verdict.within_95 and not verdict.within_95.holds(1))
        said += verdict.finding in {"better", "worse"}
    return excluded / cases, said / cases


PUBLISHED = {(2, 5): 3.03, (4, 5): 3.48, (3, 10): 2.76, (5, 20): 2.73, (4, inf): 2.44}
"""Two-sided, 5 % (C. W. Dunnett, 1964), by contenders and degrees of freedom."""


def references(cases: int) -> int:
    """Print how far critical values and intervals lie from those of others."""
    del cases
    table = Table("Critical values and intervals against others", "what | largest difference")
    for what, most, off in differences():
        table.row(what, f"{off:.1e}", wanted=f"≤ {most:g}", reached=off <= most)
    dunnett.cache_clear()
    begun = time.perf_counter()
    dunnett(63, 252, 0.05)
    took_ms = 1_000 * (time.perf_counter() - begun)
    table.row("Dunnett, 63 contenders, not cached", f"{took_ms:.0f} ms", wanted="≤ 50 ms",
              reached=took_ms <= 50)  # fmt: skip
    return table.missed


def differences() -> Iterator[tuple[str, float, float]]:
    """Yield what is set against others, how far it may be off, and how far it is."""
    levels = [(level, df) for level in (0.1, 0.05, 1e-4) for df in (1, 2, 4.5, 30, 1e6)]
    offs = [abs(student(level, df) / stats.t.isf(level / 2, df) - 1) for level, df in levels]
    yield "Student's t, scipy, relative", 1e-9, float(max(offs))
    shares = [(0, 10), (3, 1_000), (10, 10), (500, 1_000)]
    yield "score interval, scipy", 1e-9, max(score_off(*share) for share in shares)
    yield "F at 99 %, scipy, relative", 1e-9, max(f_off(df) for df in (2, 4, 9, 19))
    grids = [(contenders, df) for contenders in (2, 4, 63) for df in (2, 9, 252)]
    finer = [abs(dunnett(*each, 0.05) / dunnett(*each, 0.05, 2) - 1) for each in grids]
    yield "Dunnett, two grid sizes, relative", 1e-6, max(finer)
    yield "Dunnett, scipy's Monte Carlo, coverage", 1e-3, max(map(simulated_off, (2, 4), (6, 16)))
    tabled = (abs(dunnett(*each, 0.05) - value) for each, value in PUBLISHED.items())
    yield "Dunnett, published to two digits", 6e-3, max(tabled)


def score_off(failed: int, requests: int) -> float:
    wanted = stats.binomtest(failed, requests).proportion_ci(0.95, method="wilson")
    found = wilson(failed, requests, student(0.05, inf))
    return float(max(abs(found.low - wanted.low), abs(found.high - wanted.high)))


def f_off(df: int) -> float:
    """Return how far the variance that a prior just moderates lies from scipy's F."""
    return float(abs(largest_ratio(df, 2.0 * df) / stats.f.ppf(0.99, df, 2 * df) - 1))


def simulated_off(contenders: int, df: int) -> float:
    correlation = np.full((contenders, contenders), 0.5) + 0.5 * np.eye(contenders)
    reach = np.full(contenders, dunnett(contenders, df, 0.05))
    spread = stats.multivariate_t(shape=correlation, df=df)
    return float(abs(spread.cdf(reach, lower_limit=-reach, random_state=1) - 0.95))


TABLES: dict[str, Callable[[int], int]] = {
    "references": references,
    "sessions": sessions,
    "coverage": coverage,
    "false_alarms": false_alarms,
    "precision": precision,
    "power": power,
}


def main() -> int:
    """Print the tables; 1 where something is missed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=f"of {', '.join(TABLES)}")
    parser.add_argument("--cases", type=int, default=10_000, help="experiments of each row")
    given = parser.parse_args()
    if unknown := sorted(set(given.tables) - set(TABLES)):
        parser.error(f"no such table: {', '.join(unknown)}")
    missed = sum(TABLES[name](given.cases) for name in given.tables or TABLES)
    print(f"\n{missed} missed")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

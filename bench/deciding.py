"""How often the product's own verdicts err, by simulation with fixed seeds.

    .venv/bin/python -m bench.deciding [EXPERIMENTS]

Each experiment is drawn as logarithms of a metric, goes through the functions that the product
decides with, and is looked at after every block. Printed are, of experiments in which nothing
differs, how often an interval excludes 1 at the declared maximum and at any look, and how often
better or worse is said; then coverage where noise is not as assumed, and how often a true
difference is found.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import NDArray

from control_plane.analysis.deciding.effects import contender_effects, session_effect
from control_plane.analysis.deciding.verdicts import FIRST_LOOK, FIXED, decide, levels_of_look
from control_plane.domain.experiment import trial_order

Floats = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int, int], Floats]
NOISE = 0.03
"""The standard deviation of a block's log-difference."""


def even(chance: np.random.Generator, arms: int, blocks: int) -> Floats:
    """Normal noise of trials, and blocks that differ ten times as much."""
    of_blocks = chance.standard_normal(blocks) * 10 * NOISE
    return chance.standard_normal((arms, blocks)) * NOISE / 2**0.5 + of_blocks


def correlated(chance: np.random.Generator, arms: int, blocks: int) -> Floats:
    """Consecutive trials correlate by ½, in the order of the trials of two arms: AB BA AB."""
    trials = chance.standard_normal(arms * blocks)
    for place in range(1, len(trials)):
        trials[place] = trials[place - 1] / 2 + trials[place] * 0.75**0.5
    return _placed(trials, arms, blocks) * NOISE / 2**0.5


def drifting(chance: np.random.Generator, arms: int, blocks: int) -> Floats:
    """The machine gets slower by one standard deviation a block, evenly over its trials."""
    drift = _placed(np.arange(arms * blocks) / arms, arms, blocks) * NOISE / 2**0.5
    return even(chance, arms, blocks) + drift


def struck(chance: np.random.Generator, arms: int, blocks: int) -> Floats:
    """One trial lies five standard deviations off."""
    values = even(chance, arms, blocks)
    values[chance.integers(arms), chance.integers(blocks)] += 5 * NOISE / 2**0.5
    return values


def _placed(trials: Floats, arms: int, blocks: int) -> Floats:
    """Return values in the order of trials as (arms, blocks), by the order of the product."""
    values = np.empty((arms, blocks))
    for block, order in enumerate(trial_order(arms, blocks, seed=1)):
        for place, arm in enumerate(order):
            values[arm, block] = trials[block * arms + place]
    return values


@dataclass
class Errors:
    """How many of the experiments erred, in which way."""

    at_maximum: int = 0
    at_any_look: int = 0
    better_or_worse: int = 0


def errors(arms: int, maximum: int, experiments: int, seed: int) -> Errors:
    """Look at experiments in which nothing differs after each block, as the product does."""
    chance, found = np.random.default_rng(seed), Errors()
    for _ in range(experiments):
        values = even(chance, arms, maximum)
        fixed = [effect for effect in contender_effects(values) if effect]
        found.at_maximum += any(not effect.interval(FIXED.for_95).holds(1) for effect in fixed)
        excluded = said = False
        for block in range(FIRST_LOOK, maximum + 1):
            levels = levels_of_look(block, maximum)
            for effect in contender_effects(values[:, :block]):
                verdict = decide(effect, less_is_better=True, margin=0.0, levels=levels)
                excluded |= bool(verdict.within_95 and not verdict.within_95.holds(1))
                said |= verdict.finding in {"better", "worse"}
        found.at_any_look += excluded
        found.better_or_worse += said
    return found


def coverage(
    draw: Draw, arms: int, blocks: int, experiments: int, seed: int
) -> tuple[float, float]:
    """Return how often all intervals hold the truth without looks, and their width."""
    chance = np.random.default_rng(seed)
    held, width = 0, 0.0
    for _ in range(experiments):
        effects = [effect for effect in contender_effects(draw(chance, arms, blocks)) if effect]
        intervals = [effect.interval(FIXED.for_95) for effect in effects]
        held += all(interval.holds(1) for interval in intervals)
        width += float(np.mean([log(interval.high / interval.low) for interval in intervals]))
    return held / experiments, width / experiments


def power(
    arms: int, maximum: int, ratio: float, experiments: int, seed: int
) -> tuple[float, float]:
    """Return how often a contender is called worse, and after how many blocks on average."""
    chance = np.random.default_rng(seed)
    found, needed = 0, 0
    for _ in range(experiments):
        values = even(chance, arms, maximum)
        values[1] += log(ratio)
        for block in range(FIRST_LOOK, maximum + 1):
            levels = levels_of_look(block, maximum)
            effect = contender_effects(values[:, :block])[0]
            if decide(effect, less_is_better=True, levels=levels).finding == "worse":
                found, needed = found + 1, needed + block
                break
    return found / experiments, needed / found if found else float("nan")


def apart(ratio: float, sessions: int, experiments: int, seed: int) -> float:
    """Return how often runs that were not interleaved are called better or worse."""
    chance = np.random.default_rng(seed)
    said = 0
    for _ in range(experiments):
        # Within a session three trials; sessions differ by as much as trials do.
        between = chance.standard_normal((2, sessions)) * NOISE
        within = chance.standard_normal((2, sessions, 3)).mean(axis=2) * NOISE
        sides = between + within
        sides[1] += log(ratio)
        effect = session_effect(sides[0].tolist(), sides[1].tolist())
        margin = 0.0 if ratio == 1 else 0.03
        said += decide(effect, less_is_better=True, margin=margin).finding in {"better", "worse"}
    return said / experiments


def main(experiments: int = 10_000) -> None:
    """Print the tables."""
    print(f"{experiments:,} experiments without a difference, looked at after each block")
    print("| arms | maximum | at the maximum | at any look | better or worse |")
    print("|---|---|---|---|---|")
    for arms, maximum in ((2, 4), (2, 10), (5, 5), (5, 10)):
        found = errors(arms, maximum, experiments, seed=arms * 100 + maximum)
        shares = (found.at_maximum, found.at_any_look, found.better_or_worse)
        print(
            f"| {arms} | {maximum} | " + " | ".join(f"{x / experiments:.2%}" for x in shares) + " |"
        )
    print("\ncoverage of the 95 % intervals without looks, and their mean width")
    print("| noise | arms | blocks | coverage | width |")
    print("|---|---|---|---|---|")
    for draw in (even, correlated, drifting, struck):
        for arms in (2, 5):
            for blocks in (3, 5, 10, 20):
                held, width = coverage(draw, arms, blocks, experiments, seed=arms * 50 + blocks)
                print(f"| {draw.__name__} | {arms} | {blocks} | {held:.2%} | ± {width / 2:.1%} |")
    print(
        "\nhow often a contender is called worse by the declared maximum, and after how many blocks"
    )
    print("| arms | maximum | difference | found | blocks |")
    print("|---|---|---|---|---|")
    for arms in (2, 5):
        for maximum, ratio in ((5, 1.1), (10, 1.05), (10, 1.08), (10, 1.1)):
            share, blocks = power(arms, maximum, ratio, experiments // 5, seed=arms)
            print(f"| {arms} | {maximum} | {ratio - 1:.0%} | {share:.1%} | {blocks:.1f} |")
    print("\nruns that were not interleaved, five sessions a side")
    print(f"nothing differs, called better or worse: {apart(1.0, 5, experiments, 1):.2%}")
    print(f"a ratio of 1.5, settled: {apart(1.5, 5, experiments, 2):.2%}")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))

"""The noise floor: how small a difference this machine can show, by what blocks varied before."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from math import exp, expm1, inf, log, sqrt

import numpy as np

from control_plane.analysis.deciding import complete_blocks, metric_table
from control_plane.analysis.deciding.critical_values import student
from control_plane.analysis.deciding.effects import (
    LEAST_VARIANCE,
    VariancePrior,
    block_variance,
    log_values,
)
from control_plane.analysis.deciding.verdicts import FIXED
from control_plane.analysis.differences import machine_of
from control_plane.domain.experiment import BlockVariance, Experiment, MetricNoise
from control_plane.domain.metrics_and_objectives import METRIC, METRICS
from control_plane.domain.run import Run
from control_plane.domain.spec import Spec
from control_plane.domain.spec_json import Document

FLOOR_BLOCKS = (5, 10, 20)
"""The numbers of blocks for which floors are told."""
PRIOR_EXPERIMENTS = 8
"""So many experiments of one kind, and their variances moderate that of the next one."""
_MOST_DF = 1e9
"""Stands for infinitely many: no experiment gives a prior a weight like that."""
_MOST_VARIANCE = 1e4
"""Of ln(ratio): far above any, and the floor of it is still a number."""


def load_kind(spec: Spec) -> str:
    """Return what loads of one kind have in common: `raw, closed, 2 s`."""
    stream = spec.workload.streams[0]
    return f"{spec.client.strategy}, {stream.load.model}, {stream.stop.label}"


def block_variances(experiment: Experiment, runs: Sequence[Run | None]) -> list[BlockVariance]:
    """Return how much each metric varied from block to block; [] where nothing can tell."""
    blocks = complete_blocks(runs)
    measured = [run for run in runs if run is not None and run.trials]
    machine = machine_of(measured[0]) if measured else None
    if machine is None:
        return []
    kind, found = load_kind(measured[0].spec), []
    for metric in METRICS:
        rows = metric_table(measured, experiment.design.stream, metric, blocks)
        whole = [row for row in rows if None not in row]
        known = block_variance(log_values(whole)) if len(whole) > 1 else None
        if known is not None and metric.less_is_better is not None:
            found.append(BlockVariance(machine, kind, metric.name, *known))
    return found


def noise_of(earlier: Sequence[BlockVariance], blocks: int) -> dict[str, MetricNoise]:
    """Return by metric what earlier experiments of one kind say of noise.

    That is the smallest difference that so many blocks can show, and from eight experiments on the
    prior of the variance.
    """
    by_metric: dict[str, list[BlockVariance]] = defaultdict(list)
    for variance in plausible(earlier):
        by_metric[variance.metric].append(variance)
    return {
        metric: MetricNoise(noise_floor(found, blocks), _prior(found))
        for metric, found in by_metric.items()
    }


def plausible(variances: Sequence[BlockVariance]) -> Iterator[BlockVariance]:
    """Yield those that blocks can have; what is kept may have been changed by something else."""
    for found in variances:
        texts = all(isinstance(text, str) for text in (found.machine, found.kind, found.metric))
        numbers = all(isinstance(number, float | int) for number in (found.variance, found.df))
        known = texts and numbers and found.metric in METRIC
        if known and 0 <= found.variance <= _MOST_VARIANCE and 0 < found.df < inf:
            yield found


def _prior(found: Sequence[BlockVariance]) -> tuple[float, float] | None:
    prior = fit_prior([each.variance for each in found], [each.df for each in found])
    return None if prior is None else (prior.variance, min(prior.df, _MOST_DF))


def fit_prior(variances: Sequence[float], dfs: Sequence[float]) -> VariancePrior | None:
    """Return the prior of earlier residual variances, by Smyth's moments; None below eight.

    G. K. Smyth, "Linear models and empirical Bayes methods", 2004, section 6.2. `df` is infinite
    where they differ no more than by chance.
    """
    pairs = [(v, d) for v, d in zip(variances, dfs, strict=True) if v > 0 and d > 0]
    if len(pairs) < PRIOR_EXPERIMENTS:
        return None
    from scipy.special import digamma, polygamma

    observed, df = np.array(pairs).T
    logs = np.log(observed) - digamma(df / 2) + np.log(df / 2)
    excess = float(logs.var(ddof=1) - polygamma(1, df / 2).mean())
    if excess <= 0:
        return VariancePrior(exp(float(logs.mean())), float("inf"))
    half = _inverse_trigamma(excess)
    return VariancePrior(exp(float(logs.mean() + digamma(half)) - log(half)), 2 * half)


def _inverse_trigamma(value: float) -> float:
    """Return x where trigamma(x) is `value`, by Newton's method on its reciprocal."""
    from scipy.special import polygamma

    x = 0.5 + 1 / value
    for _ in range(50):
        trigamma = float(polygamma(1, x))
        change = trigamma * (1 - trigamma / value) / float(polygamma(2, x))
        x += change
        if -change / x < 1e-10:
            break
    return x


def noise_floor(variances: Sequence[BlockVariance], blocks: int) -> float:
    """Return the smallest difference, as a share, that so many blocks of two arms can show.

    That is how far the 95 % interval reaches, by the pooled variance of at least one experiment: a
    true difference of that size is seen in half of the cases.
    """
    pooled = sum(each.variance * each.df for each in variances) / sum(x.df for x in variances)
    variance = max(pooled, LEAST_VARIANCE)
    return expm1(student(FIXED.for_95, blocks - 1) * sqrt(variance / blocks))


def floor_documents(variances: Sequence[BlockVariance]) -> list[Document]:
    """Return the noise floor of each machine, kind of load and metric, as the API tells it."""
    groups: dict[tuple[str, str, str], list[BlockVariance]] = defaultdict(list)
    for variance in plausible(variances):
        groups[variance.machine, variance.kind, variance.metric].append(variance)
    return [
        {
            "machine": machine,
            "kind": kind,
            "metric": metric,
            "label": METRIC[metric].label,
            "experiments": len(found),
            "floors": {str(blocks): noise_floor(found, blocks) for blocks in FLOOR_BLOCKS},
        }
        for (machine, kind, metric), found in groups.items()
    ]

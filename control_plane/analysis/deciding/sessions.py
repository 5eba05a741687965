"""Sessions: what runs that were not interleaved decide, with those of their specs at other times.

What differs between two runs is also what the machine did between them. How much that is, only
sessions of one spec can tell that lie apart.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from math import isfinite, nan

from control_plane.analysis.comparison import Comparison, MetricComparison, SessionVerdict
from control_plane.analysis.deciding.claims import trial_value
from control_plane.analysis.deciding.effects import log_values, session_effect
from control_plane.analysis.deciding.verdicts import DEFAULT_MARGIN, decide
from control_plane.analysis.differences import environment_differences
from control_plane.domain.metrics import METRIC, Metric
from control_plane.domain.run import Run, State

APART = timedelta(minutes=10)
"""A run that begins sooner after another belongs to its session."""

Sessions = Sequence[Sequence[Run]]


def with_sessions(comparison: Comparison, repeats_of: Callable[[str], Sequence[Run]]) -> Comparison:
    """Return the comparison with what sessions decide, and how many there are of each spec.

    `repeats_of` returns the runs of the spec of a run. Nothing is decided as long as a run is not
    over, and of a side that has no ratio: refused, or without a result.
    """
    able = [
        run
        for run in comparison.runs
        if run.state is State.FINISHED and run.id not in comparison.refusals
    ]
    ids = [run.id for run in able]
    waits = any(not run.state.terminal for run in comparison.runs)
    if waits or comparison.baseline not in ids or len(able) < 2:
        return comparison
    repeats = {run.id: repeats_of(run.id) for run in able}
    found = {run.id: sessions_of(run, repeats[run.id]) for run in able}
    base = comparison.run(comparison.baseline)
    others = [run.id for run in able if not _alike(base, run, repeats)]
    rows = tuple(_decided(comparison, row, found, others) for row in comparison.rows)
    counts = {run_id: len(sessions) for run_id, sessions in found.items()}
    return replace(comparison, rows=rows, sessions=counts)


def sessions_of(run: Run, repeats: Sequence[Run]) -> Sessions:
    """Return the runs of a spec in the environment of one of them, in sessions that lie apart."""
    alike = [each for each in repeats if not environment_differences((run, each))]
    sessions: list[list[Run]] = []
    for each in sorted(alike, key=lambda each: each.started_at or each.created_at):
        begun = each.started_at or each.created_at
        ended = sessions[-1][-1].finished_at if sessions else None
        if ended is not None and begun - ended < APART:
            sessions[-1].append(each)
        else:
            sessions.append([each])
    return sessions


def _alike(baseline: Run, run: Run, repeats: Mapping[str, Sequence[Run]]) -> bool:
    """Return whether a run is of the spec and in the environment of the baseline.

    Runs of one spec have the same repeats, in which older ones are not.
    """
    known = {each.id for each in repeats[baseline.id]}
    same_spec = any(each.id in known for each in repeats[run.id])
    return run.id == baseline.id or (same_spec and not environment_differences((baseline, run)))


def _decided(
    comparison: Comparison,
    row: MetricComparison,
    found: Mapping[str, Sessions],
    others: Sequence[str],
) -> MetricComparison:
    """Return a metric with a verdict on each of the `others`, which are not like the baseline."""
    metric, base = METRIC[row.metric], found[comparison.baseline]
    if metric.less_is_better is None or metric.unit == "share":
        return row
    stream = _stream(comparison, row)
    verdicts = {
        run_id: verdict
        for run_id in others
        if (verdict := _verdict(metric, stream, base, found[run_id]))
    }
    return replace(row, verdicts=verdicts)


def _stream(comparison: Comparison, row: MetricComparison) -> str:
    """Return the name of the stream in other runs of the spec; "" for the only one of each."""
    return "" if comparison.own_names else row.stream


def _verdict(
    metric: Metric, stream: str, baseline: Sessions, contender: Sessions
) -> SessionVerdict | None:
    """Return what sessions say; None where there are too few, or one of them has no number."""
    sides = [_values(metric, stream, sessions) for sessions in (baseline, contender)]
    if None in sides:
        return None
    effect = session_effect(*(side or () for side in sides))
    verdict = decide(
        effect,
        less_is_better=bool(metric.less_is_better),
        margin=DEFAULT_MARGIN,
        foresees=False,
    )
    if effect is None or verdict.within_95 is None or verdict.within_90 is None:
        return None
    return SessionVerdict(
        verdict=verdict.finding,
        ratio=effect.ratio,
        low=verdict.within_95.low,
        high=verdict.within_95.high,
        low_90=verdict.within_90.low,
        high_90=verdict.within_90.high,
        sessions=effect.blocks,
    )


def _values(metric: Metric, stream: str, sessions: Sessions) -> list[float] | None:
    """Return ln of the metric of each session, a mean over trials; None where one lacks it."""
    rows = [
        [trial_value(stream, trial, metric) for run in session for trial in run.trials]
        for session in sessions
    ]
    means = [float(log_values([row])[0].mean()) if row else nan for row in rows]
    return means if all(map(isfinite, means)) else None

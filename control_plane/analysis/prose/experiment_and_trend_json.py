"""Experiments and trends as the API tells them, with what is decided and found."""

from collections.abc import Sequence
from dataclasses import asdict
from math import isfinite
from typing import Any

from control_plane.analysis.deciding import validity_so_far
from control_plane.analysis.deciding.critical_values import alpha_spent
from control_plane.analysis.deciding.judged_experiment import (
    JudgedExperiment,
    JudgedMetric,
    JudgedPrediction,
)
from control_plane.analysis.deciding.verdicts import CONTROL_LEVEL
from control_plane.analysis.prose.experiment_sentences import (
    attempt_sentence,
    experiment_sentence,
    failures_text,
    prediction_numbers,
    sentences_with_all,
)
from control_plane.analysis.trend import Trend, TrendPoint, TrendStep
from control_plane.domain.api_documents import moment
from control_plane.domain.experiment import Experiment, ExperimentBlock
from control_plane.domain.ids import run_address
from control_plane.domain.run import Run
from control_plane.domain.spec_json import Document
from control_plane.domain.trend_runs import LeftOutOfTrends, ListedTrend


def experiment_document(judged: JudgedExperiment) -> Document:
    """Return an experiment as the API tells it."""
    experiment = judged.experiment
    return {
        "id": experiment.id,
        "question": experiment.question,
        **_attempt_documents(experiment),
        "repeats": experiment.design.repeats or None,
        "state": judged.state.value,
        "seed": experiment.design.seed,
        "created_at": experiment.created_at.isoformat(),
        "design": _design_document(judged),
        "runs": [
            {
                "arm": arm.name,
                "id": arm.run_id,
                "state": run.state.value if run else "deleted",
                "reason": run.reason if run else None,
                **_worth_document(run),
                "blocks": len(run.trials) if run else 0,
            }
            for arm, run in zip(experiment.arms, judged.runs, strict=True)
        ],
        "blocks": judged.blocks,
        "sessions": experiment.sessions,
        "discarded": experiment.discarded,
        "spoiled": [{"block": each.number, "why": each.why} for each in judged.spoiled],
        "with_all": list(sentences_with_all(judged)),
        "begun": _block_documents(experiment.blocks),
        "control": _control_document(judged),
        "objectives": [asdict(objective) for objective in judged.objectives],
        "predictions": [_prediction_document(found) for found in judged.predictions],
        "verdicts": [_verdict_document(judged, metric) for metric in judged.metrics],
        "sentence": experiment_sentence(judged),
    }


def _worth_document(run: Run | None) -> Document:
    """Return what an arm is worth by the trials that it has, and why it is suspect or invalid."""
    worth = validity_so_far(run) if run else None
    doubts = [reason.text for reason in worth.reasons if reason.level != "ok"] if worth else []
    return {"validity": worth.outcome if worth else None, "doubts": doubts}


def _design_document(judged: JudgedExperiment) -> Document:
    names = ("metric", "stream", "margin", "blocks", "rule")
    design = {name: getattr(judged.experiment.design, name) for name in names}
    return {**design, "whole": judged.whole, "by_place": judged.by_place}


def _attempt_documents(experiment: Experiment) -> Document:
    return {
        "confirms": experiment.design.confirms or None,
        "attempts": [
            {**vars(attempt), "created_at": moment(attempt.created_at)}
            for attempt in experiment.attempts
        ],
        "attempt": attempt_sentence(experiment),
    }


def _block_documents(blocks: Sequence[ExperimentBlock]) -> list[Document]:
    """Return each block that was begun, by the number that its trials have."""
    names = {"number": "block"}
    return [
        {names.get(name, name): value for name, value in vars(block).items()} for block in blocks
    ]


def _control_document(judged: JudgedExperiment) -> Document | None:
    """Return the baseline against itself, with its fixed 99 % interval."""
    if judged.control is None:
        return None
    interval = judged.control.interval(CONTROL_LEVEL)
    return {
        "ratio": judged.control.ratio,
        "low": interval.low,
        "high": interval.high,
        "moved": judged.moved,
    }


def _prediction_document(judged: JudgedPrediction) -> Document:
    prediction, found = judged.prediction, judged.found
    low, high = judged.expected
    return {
        "text": prediction.text,
        "told": prediction_numbers(judged),
        "arm": prediction.arm,
        "metric": judged.metric.name,
        "unit": judged.metric.unit,
        "kind": prediction.kind,
        "expected": [low, high if isfinite(high) else None],
        "outcome": judged.outcome,
        "value": found[0] if found else None,
        "low": found[1].low if found else None,
        "high": found[1].high if found else None,
    }


def _verdict_document(judged: JudgedExperiment, metric: JudgedMetric) -> dict[str, Any]:
    verdict, effect = metric.verdict, metric.verdict.effect
    design = judged.experiment.design
    baseline, contender = metric.values
    return {
        "stream": design.stream,
        "metric": metric.metric.name,
        "unit": metric.metric.unit,
        "role": metric.role,
        "baseline": judged.experiment.arms[0].name,
        "contender": metric.contender,
        "values": metric.values,
        "ratio": effect.ratio if effect else None,
        "difference": None if baseline is None or contender is None else contender - baseline,
        **_bounds_of(metric),
        "method": effect.method if effect else None,
        "rule": design.rule,
        "look": judged.look,
        "alpha_spent": _spent(judged),
        "margin": metric.margin,
        "noise_floor": judged.floors.get(metric.metric.name),
        "blocks": effect.blocks if effect else judged.blocks,
        "verdict": metric.held or verdict.finding,
        "reason": verdict.reason,
        "told": failures_text(metric),
        "more_blocks": verdict.more_blocks,
    }


def _spent(judged: JudgedExperiment) -> float:
    """Return how much of the 5 % is spent by this look."""
    done = 1.0 if judged.stops else judged.blocks / judged.experiment.design.blocks
    return alpha_spent(min(1.0, done), 0.05) if judged.look else 0.0


def _bounds_of(metric: JudgedMetric) -> Document:
    """Return the bounds of the ratio; of a share, which has none, those of the difference."""
    verdict = metric.verdict
    of_95, of_90 = metric.gaps or (verdict.within_95, verdict.within_90)
    return {
        "low": of_95.low if of_95 else None,
        "high": of_95.high if of_95 else None,
        "low_90": of_90.low if of_90 else None,
        "high_90": of_90.high if of_90 else None,
    }


def trend_list_document(listed: Sequence[ListedTrend], left_out: LeftOutOfTrends) -> Document:
    """Return the trends as the API lists them, with how many runs make none."""
    return {"trends": [trend.document() for trend in listed], "left_out": asdict(left_out)}


def trend_sentence(trend: Trend) -> str:
    """Return what is seen of a trend, then what is against it: suspect points, and those left out.

    Pages have the same in marks beside it; this is for those who read no page.
    """
    how = ", which --suspect counts, too" if trend.runs.doubted else ""
    return "; ".join(filter(None, [trend.sentence, f"{trend.doubt}{how}"]))


def trend_document(trend: Trend) -> Document:
    """Return a trend as the API gives it; `alarm` is the last found step, not told yet."""
    key, runs = trend.runs.key, trend.runs
    return {
        "spec": key.spec,
        "title": runs.title,
        "stream": trend.stream,
        "metric": key.metric,
        "unit": trend.metric.unit,
        "less_is_better": trend.metric.less_is_better,
        "baseline": {"name": trend.against, "spec": key.baseline} if key.baseline else None,
        "machine": key.machine,
        "axis": trend.axis,
        "margin": trend.margin,
        "sentence": trend_sentence(trend),
        "enough": trend.enough,
        "left_out": {"suspect": runs.doubted, "without_number": trend.without_number},
        "points": [_point_document(point) for point in trend.points],
        "steps": [_step_document(trend, step) for step in trend.steps],
        "rejected": [_step_document(trend, step) for step in trend.rejected],
        "changes": [
            {
                "before": trend.points[change.at - 1].run.id,
                "after": trend.points[change.at].run.id,
                "differences": [
                    {"field": each.field, "values": list(each.values.values())}
                    for each in change.differences
                ],
            }
            for change in trend.changes
        ],
        "alarm": _step_document(trend, trend.alarm) if trend.alarm else None,
    }


def _point_document(point: TrendPoint) -> Document:
    run = point.run
    return {
        "run": run.id,
        "url": run_address(run.id),
        "at": moment(run.at),
        "validity": run.outcome,
        "value": point.value,
        "low": point.low,
        "high": point.high,
        "commit": asdict(point.commit) if point.commit else None,
    }


def _step_document(trend: Trend, step: TrendStep) -> Document:
    """Return a step; it lies between the runs `after` and `before`, most likely before `run`."""
    mark, points = step.mark, trend.points
    return {
        "run": points[step.at].run.id,
        "after": points[step.first - 1].run.id,
        "before": points[step.last].run.id,
        "levels": [step.before, step.after],
        "change": step.change,
        "verdict": step.verdict,
        "origin": step.origin,
        "p_value": step.p_value,
        "commits": [commit.commit for commit in trend.commits(step)],
        "note": mark.note if mark else "",
        "told_at": moment(mark.told_at) if mark else None,
    }

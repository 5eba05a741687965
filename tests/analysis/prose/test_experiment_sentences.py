"""What is said of an experiment."""

from dataclasses import replace

from control_plane.analysis.deciding.effects import Interval
from control_plane.analysis.deciding.judged_experiment import judge_experiment
from control_plane.analysis.prose.experiment_sentences import (
    experiment_headline,
    experiment_sentence,
    ratio_with_interval,
)
from control_plane.analysis.run_labels import arm_labels
from control_plane.domain.run import State
from tests.analysis.deciding.test_judged_experiment import arm, experiment
from tests.builders.trials import with_spaces


def test_an_interval_on_both_sides_of_one_is_told_by_both_signs() -> None:
    """Alike on the page, in the sentence and in tables; no end is a factor below one."""
    runs = [arm(0, 1.0), arm(1, 0.885)]
    found = judge_experiment(experiment(), runs)
    (metric,) = found.primary
    assert metric.verdict.effect is not None
    wide = replace(metric.verdict, within_95=Interval(0.444, 1.77), finding="inconclusive")
    others = tuple(each for each in found.metrics if each is not metric)
    found = replace(found, metrics=(replace(metric, verdict=wide), *others))
    lead, _ = experiment_headline(found, arm_labels(found.experiment))
    page = with_spaces("".join(part.text for part in lead))
    ratio, ends = ratio_with_interval(metric.verdict.effect.ratio, Interval(0.444, 1.77))
    assert (ratio, ends) == ("÷1.13", "[÷2.25, ×1.77]")
    assert f"lower by a factor of 1.13 {ends}" in page
    told = "lower by a factor of 1.13 (95 % interval ÷2.25 to ×1.77)"
    assert told in experiment_sentence(found)


def test_the_reason_of_a_failed_arm_ends_with_one_point() -> None:
    failed = replace(arm(1, 1.0), state=State.FAILED, reason="Start it, then run again.", trials=())
    told = experiment_sentence(judge_experiment(experiment(), [arm(0, 1.0), failed]))
    assert "new failed: Start it, then run again." in told
    assert ".." not in told

"""What the trials of arms say, from runs with chosen numbers."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from control_plane.analysis.deciding.judged_experiment import JudgedExperiment, judge_experiment
from control_plane.analysis.deciding.noise_floor import block_variances, floor_documents
from control_plane.analysis.differences import after_pause
from control_plane.analysis.prose.experiment_and_trend_json import experiment_document
from control_plane.analysis.prose.experiment_sentences import (
    experiment_sentence,
    ratio_with_interval,
)
from control_plane.analysis.prose.markdown_and_junit import experiment_markdown
from control_plane.analysis.prose.run_sentences import lede
from control_plane.domain.experiment import (
    Experiment,
    ExperimentArm,
    ExperimentDesign,
)
from control_plane.domain.metrics_and_objectives import ArmObjective, Prediction
from control_plane.domain.result import Validity
from control_plane.domain.run import Run, State
from control_plane.domain.unanswered import failed_text, with_unanswered
from control_plane.experiments.experiment_file import stored_document
from control_plane.pages.exports import run_rows
from control_plane.pages.run.run_numbers import run_tiles
from tests.builders.trials import run, summary, trial, with_spaces

NAMES = ("old", "new", "other")


def experiment(arms: int = 2, **design: object) -> Experiment:
    return Experiment(
        "0000000001",
        "Which?",
        ExperimentDesign(**{"blocks": 6, **design}),  # type: ignore[arg-type] # fields of a design
        tuple(ExperimentArm(name, f"000000000{place}") for place, name in enumerate(NAMES[:arms])),
        datetime(2026, 11, 30, tzinfo=UTC),
    )


def arm(place: int, factor: float, blocks: int = 6, **chosen: object) -> Run:
    noise = np.random.default_rng(place).standard_normal(blocks) * 0.01
    trials = [
        trial(replace(summary(), throughput_per_s=1_000 * factor * float(np.exp(off))), block=block)
        for block, off in enumerate(noise)
    ]
    return run(f"000000000{place}", trials=tuple(trials), **chosen)


def judged(*factors: float, blocks: int = 6, **design: object) -> JudgedExperiment:
    runs = [arm(place, factor, blocks) for place, factor in enumerate(factors)]
    return judge_experiment(experiment(len(factors), **design), runs)


@pytest.mark.parametrize(
    ("factor", "finding", "said"),
    [
        (1.5, "better", "new is better than old: its throughput is 1.5"),
        (0.5, "worse", "new is worse than old: its throughput is lower by a factor of 2.0"),
        (1.0, "equivalent", "new and old are equivalent: the throughput is"),
    ],
)
def test_the_metric_that_decides_makes_the_sentence(factor: float, finding: str, said: str) -> None:
    found = judged(1.0, factor)
    assert [metric.verdict.finding for metric in found.primary] == [finding]
    assert experiment_sentence(found).startswith(said)


def test_the_ratio_is_that_of_the_two_values_beside_it() -> None:
    runs = [arm(0, 1.0), arm(1, 1.5), arm(2, 8.0, blocks=4, state=State.FAILED)]
    for metric in judge_experiment(experiment(3), runs).primary:
        baseline, contender = metric.values
        assert baseline
        assert contender
        assert metric.verdict.effect
        assert contender / baseline == pytest.approx(metric.verdict.effect.ratio)


def test_markdown_turns_a_ratio_as_the_page_does() -> None:
    found = judged(1.0, 0.5)
    (metric,) = found.primary
    assert metric.verdict.effect is not None
    assert metric.verdict.within_95 is not None
    told = " ".join(ratio_with_interval(metric.verdict.effect.ratio, metric.verdict.within_95))
    assert told.startswith("÷")
    written = experiment_markdown(experiment_document(found))
    assert told in written.replace("\\", "")
    assert "×0." not in written


def test_several_contenders_are_each_told() -> None:
    found = judged(1.0, 1.5, 1.0)
    assert [metric.verdict.finding for metric in found.primary] == ["better", "equivalent"]
    assert {metric.verdict.effect.method for metric in found.primary if metric.verdict.effect} == {
        "dunnett"
    }
    assert experiment_sentence(found).count(".") >= 2


def test_an_experiment_is_handed_in_again_with_its_baseline_alone() -> None:
    claims = tuple(Prediction(text="So.", arm=name, about=1.0) for name in NAMES[1:])
    runs = [arm(place, 1.0) for place in range(3)]
    asked = experiment(3, predictions=claims)
    assert stored_document(asked, [None, *runs[1:]]) is None
    document = stored_document(asked, [*runs[:2], None])
    assert document is not None
    assert [each["arm"] for each in document["predictions"]] == ["new"]
    assert [each["name"] for each in document["arms"]] == ["old", "new"]


def test_an_early_look_says_less_than_the_last() -> None:
    early = judged(1.0, 1.06, blocks=3)
    assert early.primary[0].verdict.finding == "inconclusive"
    assert judged(1.0, 1.06).primary[0].verdict.finding == "better"


def test_too_few_blocks_give_no_verdict() -> None:
    found = judged(1.0, 1.5, blocks=2)
    assert found.primary[0].verdict.reason == "too_few_blocks"
    assert "at least 3 complete blocks" in experiment_sentence(found)


def test_a_block_that_an_arm_lacks_does_not_count() -> None:
    runs = [arm(0, 1.0), arm(1, 1.5, blocks=4)]
    found = judge_experiment(experiment(), runs)
    assert found.blocks == 4
    assert found.primary[0].verdict.finding == "better"


def test_an_arm_that_failed_leaves_the_others_their_blocks() -> None:
    runs = [arm(0, 1.0), arm(1, 1.5), arm(2, 1.5, blocks=2, state=State.FAILED)]
    found = judge_experiment(experiment(3), runs)
    assert found.blocks == 6
    finished, failed = (metric.verdict for metric in found.primary)
    assert finished.finding == "better"
    assert (failed.finding, failed.reason) == ("no_verdict", "failed_side")
    assert "other failed: no reason is known." in experiment_sentence(found)


def test_an_arm_that_died_at_the_end_wins_nothing() -> None:
    runs = [arm(0, 1.0), arm(1, 1.5, state=State.FAILED)]
    verdict = judge_experiment(experiment(), runs).primary[0].verdict
    assert (verdict.finding, verdict.reason) == ("no_verdict", "failed_side")
    assert verdict.within_95 is not None


def test_a_deleted_arm_is_told_and_narrows_no_other() -> None:
    runs = [arm(place, factor) for place, factor in enumerate((1.0, 1.5, 1.0))]
    before, _ = (metric.verdict for metric in judge_experiment(experiment(3), runs).primary)
    after, gone = (
        metric.verdict for metric in judge_experiment(experiment(3), [*runs[:2], None]).primary
    )
    assert gone.reason == "deleted_side"
    assert before.within_95 is not None
    assert after.within_95 is not None
    assert (
        after.within_95.high / after.within_95.low >= before.within_95.high / before.within_95.low
    )


def test_an_arm_that_is_measured_and_invalid_wins_nothing_yet() -> None:
    failing = [
        replace(
            each, streams=(replace(each.streams[0], errors={"status": 90_000}, error_share=0.98),)
        )
        for each in arm(1, 1.5).trials
    ]
    runs = [arm(0, 1.0, state=State.RUNNING),
            replace(arm(1, 1.5), trials=tuple(failing), state=State.RUNNING)]  # fmt: skip
    assert judge_experiment(experiment(), runs).primary[0].verdict.reason == "invalid_side"


def test_requests_without_an_answer_count_as_failed() -> None:
    """Told by the same number as of a run alone, whose words do not contradict its errors."""
    summary_ = with_unanswered(replace(arm(1, 1.0).trials[0].streams[0], not_sent=500), 30.0)
    unanswered = [replace(each, streams=(summary_,)) for each in arm(1, 1.0).trials]
    runs = [arm(0, 1.0), replace(arm(1, 1.0), trials=tuple(unanswered), streams=(summary_,))]
    found = judge_experiment(experiment(), runs)
    (errors,) = [metric for metric in found.metrics if metric.metric.name == "error_share"]
    assert (errors.held, errors.metric.label) == ("broken", "Errors or no answer")
    assert (summary_.failed_share, summary_.error_share) == (errors.values[1], 0.0) == (0.25, 0.0)
    told = f"{summary_.failed} without an answer (25 %)"
    tile = next(tile for tile in run_tiles([summary_], invalid=False) if tile.label == "Errors")
    assert (tile.value, with_spaces(tile.note)) == ("0", told)
    assert "none failed" not in lede(runs[1])
    assert told in with_spaces(lede(runs[1]))
    assert "errors or no answer" in experiment_markdown(experiment_document(found)).casefold()
    mixed = replace(summary_, errors={"status": 3})
    assert failed_text([mixed]).startswith("errors or no answer: ")
    (wrote,) = (row for row in run_rows(runs[1]) if row[0] == "all" and row[2] == "failed_share")
    assert wrote[4] == 0.25


def test_an_interval_that_is_too_wide_is_not_written_out() -> None:
    wide = [arm(0, 1.0, blocks=3), arm(1, 1.5, blocks=3)]
    sentence = experiment_sentence(judge_experiment(experiment(blocks=90), wide))
    assert len(sentence) < 200


@pytest.mark.parametrize(("again", "moved"), [(1.0, False), (1.2, True)])
def test_the_baseline_a_second_time_shows_a_machine_that_moved(again: float, moved: bool) -> None:
    runs = [arm(0, 1.0), arm(1, 1.5), arm(2, again)]
    found = judge_experiment(experiment(3, control=True), runs)
    assert [metric.contender for metric in found.primary] == ["new"]
    assert found.primary[0].verdict.finding == ("no_verdict" if moved else "better")
    control = experiment_document(found)["control"]
    assert control["moved"] is moved
    assert control["low"] < control["ratio"] < control["high"]


def test_without_the_second_run_of_the_baseline_nothing_is_decided() -> None:
    """A machine that moved would not show."""
    runs = [arm(0, 1.0), arm(1, 1.5), None]
    found = judge_experiment(experiment(3, control=True), runs).primary[0].verdict
    assert (found.finding, found.reason) == ("no_verdict", "control_gone")


def test_a_number_that_a_trial_lacks_is_none() -> None:
    without = arm(1, 1.5)
    gone = replace(without.trials[2], streams=(replace(summary(), throughput_per_s=0.0),))
    runs = [arm(0, 1.0), replace(without, trials=(*without.trials[:2], gone, *without.trials[3:]))]
    assert judge_experiment(experiment(), runs).primary[0].verdict.finding == "no_verdict"


def test_an_invalid_arm_wins_nothing() -> None:
    runs = [arm(0, 1.0), arm(1, 1.5, validity=Validity("invalid", ()))]
    found = judge_experiment(experiment(), runs).primary[0].verdict
    assert (found.finding, found.reason) == ("no_verdict", "invalid_side")
    assert found.within_95 is not None


def test_errors_are_a_guardrail_without_a_ratio() -> None:
    failing = [
        replace(each, streams=(replace(each.streams[0], errors={"status": 100}),))
        for each in arm(1, 1.0).trials
    ]
    runs = [arm(0, 1.0), replace(arm(1, 1.0), trials=tuple(failing))]
    found = judge_experiment(experiment(), runs)
    assert [metric.metric.name for metric in found.broken] == ["error_share"]
    assert "Guardrail broken: Errors or no answer of new got worse." in experiment_sentence(found)
    held = [metric for metric in judged(1.0, 1.0).metrics if metric.metric.name == "error_share"]
    assert [metric.held for metric in held] == ["held"]


@pytest.mark.parametrize(
    ("states", "whole"),
    [
        ((State.QUEUED, State.QUEUED), State.QUEUED),
        ((State.RUNNING, State.QUEUED), State.RUNNING),
        ((State.FINISHED, State.FAILED), State.FINISHED),
        ((State.CANCELLED, State.FAILED), State.CANCELLED),
        ((State.FAILED, State.FAILED), State.FAILED),
    ],
)
def test_its_state_follows_from_those_of_its_arms(states: tuple[State, ...], whole: State) -> None:
    runs = [arm(place, 1.0, blocks=1, state=state) for place, state in enumerate(states)]
    assert judge_experiment(experiment(), runs).state is whole


def test_the_document_has_every_interval() -> None:
    found = experiment_document(judged(1.0, 1.5))
    first = found["verdicts"][0]
    assert (first["role"], first["metric"], first["verdict"]) == (
        "primary", "throughput_per_s", "better",
    )  # fmt: skip
    assert first["low"] < first["low_90"] < first["ratio"] < first["high_90"] < first["high"]
    assert found["design"]["whole"] is True


def test_nothing_was_measured() -> None:
    runs = [replace(arm(place, 1.0), trials=(), state=State.QUEUED) for place in (0, 1)]
    assert experiment_sentence(judge_experiment(experiment(), runs)) == "It waits for the machine."
    gone = judge_experiment(experiment(), [None, None])
    assert experiment_sentence(gone) == "There is nothing to decide on: no block is complete."


def test_a_guardrail_without_numbers_stands_undecided() -> None:
    without = [
        replace(each, streams=(replace(each.streams[0], response_time_s=None),))
        for each in arm(1, 1.0).trials
    ]
    runs = [arm(0, 1.0), replace(arm(1, 1.0), trials=tuple(without))]
    found = judge_experiment(experiment(), runs)
    held = {metric.metric.name: (metric.held, metric.verdict.reason) for metric in found.metrics}
    assert held["response_time_s.p99"] == ("undecided", "no_number")


def test_objectives_are_judged_for_each_contender_and_predictions_by_the_interval() -> None:
    def outcomes(**design: Any) -> tuple[list[str], list[str]]:
        found = experiment_document(judged(1.0, 1.5, **design))
        return (
            [objective["outcome"] for objective in found["objectives"]],
            [prediction["outcome"] for prediction in found["predictions"]],
        )

    asked = (
        ArmObjective("throughput_per_s", at_least=1_400.0),
        ArmObjective("throughput_per_s", at_most=1_400.0, at_least=1_000.0),
        ArmObjective("throughput_per_s", at_least=1_500.0),
        ArmObjective("throughput_per_s", at_least=900.0, arm="old"),
        ArmObjective("error_share", at_most=0.0),
        ArmObjective("first_byte_time_s.p99", at_most=1.0),
    )
    claims: tuple[dict[str, object], ...] = (
        {"about": 1.6},
        {"word": "faster"},
        {"word": "the same"},
        {"low": 1.51, "high": 2.0},
        {"kind": "value", "about": 1_500.0},
        {"kind": "value", "low": 2_000.0},
        {"kind": "value", "about": 1.0, "metric": "first_byte_time_s.p50"},
    )
    predicted = tuple(Prediction(text="It is so.", arm="new", **claim) for claim in claims)  # type: ignore[arg-type] # fields of a prediction
    kept = ["passed", "failed", "undecided", "passed", "passed", "undecided"]
    found = outcomes(objectives=asked, predictions=predicted)
    assert sorted(found[0]) == sorted(kept)
    assert found[1] == [
        "as predicted",
        "as predicted",
        "contradicted",
        "undecided",
        "as predicted",
        "contradicted",
        "undecided",
    ]


def test_a_failed_objective_stands_in_the_sentence() -> None:
    asked = (ArmObjective("throughput_per_s", at_most=1_400.0),)
    found = judged(1.0, 1.5, objectives=asked)
    said = with_spaces(experiment_sentence(found))
    assert "Objective failed: Throughput of new at most 1,400 /s: 1,500 /s (95 %" in said


def test_shares_have_a_difference_and_looks_are_counted() -> None:
    document = experiment_document(judged(1.0, 1.5, blocks=4))
    (errors,) = [each for each in document["verdicts"] if each["metric"] == "error_share"]
    assert errors["ratio"] is None
    assert errors["low"] <= errors["low_90"] <= errors["difference"] == 0 <= errors["high"]
    assert (errors["look"], round(errors["alpha_spent"], 3)) == (2, 0.012)


def test_what_varied_before_moderates_the_variance_and_is_the_noise_floor() -> None:
    expected = Prediction(text="It is so.", arm="new", low=1.0, high=1.2)
    asked, runs = experiment(predictions=(expected,)), [arm(0, 1.0), arm(1, 1.05)]
    known = [replace(run, environment={"hostname": "here", "cpu_count": 2}) for run in runs]
    varied = {each.metric: each for each in block_variances(asked, known)}
    throughput = varied["throughput_per_s"]
    assert (throughput.kind, throughput.df) == ("async, closed, 24,999 requests", 5)
    assert throughput.variance == pytest.approx(2e-4, rel=0.9)
    now = {"hostname": "here", "cpu_count": 4, "load_before": 1.0}
    later = [replace(run, environment=after_pause(run.environment or {}, now)) for run in known]
    moved = judge_experiment(asked, later)
    assert moved.primary[0].verdict.reason == "changed_in_pause"
    assert "paused" in experiment_sentence(moved)
    assert after_pause(now, {**now, "load_before": 9.0}) == {**now, "load_before": 9.0}
    unknown = [replace(run, environment=None) for run in runs]
    assert block_variances(asked, unknown) == []
    few, enough = (
        judge_experiment(asked, known, [replace(throughput, variance=1e-4)] * count)
        for count in (7, 8)
    )
    methods = [found.primary[0].verdict.effect for found in (few, enough)]
    assert [effect and effect.method for effect in methods] == ["paired", "moderated"]
    for found, effect in zip((few, enough), methods, strict=True):
        told = found.predictions[0].found
        assert effect
        assert told
        assert told[1] == found.primary[0].verdict.within_95
    kept = judge_experiment(replace(asked, noise=enough.noise), known, [])
    assert (kept.primary, kept.floors) == (enough.primary, enough.floors)
    (floor,) = floor_documents([replace(throughput, variance=1e-4)] * 8)
    assert floor["experiments"] == 8
    assert floor["floors"]["5"] == pytest.approx(2.776 * 0.01 / 5**0.5, rel=0.02)
    (alike,) = floor_documents([replace(throughput, variance=0.0)])
    assert alike["floors"]["5"] == pytest.approx(2.776 * 0.001 * (2 / 12 / 5) ** 0.5, rel=0.02)
    assert enough.floors["throughput_per_s"] == pytest.approx(2.571 * 0.01 / 6**0.5, rel=0.02)

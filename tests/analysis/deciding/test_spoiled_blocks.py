"""Blocks that are set aside, an end by precision, and places in a block: from chosen numbers."""

import re
from dataclasses import replace

import pytest

from control_plane.analysis.charts.curve import curves_of_arms
from control_plane.analysis.comparison import compare
from control_plane.analysis.deciding.judged_experiment import JudgedExperiment, judge_experiment
from control_plane.analysis.deciding.sessions import arm_over_blocks, with_blocks
from control_plane.analysis.prose import plain_text
from control_plane.analysis.prose.comparison_sentences import comparison_title
from control_plane.analysis.prose.experiment_and_trend_json import experiment_document
from control_plane.analysis.prose.experiment_sentences import experiment_headline
from control_plane.analysis.prose.markdown_and_junit import experiment_markdown
from control_plane.analysis.run_labels import arm_labels
from control_plane.cli_experiment import print_experiment
from control_plane.domain.experiment import ExperimentBlock
from control_plane.domain.result import Validity
from control_plane.domain.run import Run, State
from control_plane.pages.experiment_pages import experiment_grid
from control_plane.pages.experiment_view import experiment_part
from tests.analysis.deciding.test_judged_experiment import arm, experiment, judged
from tests.builders.trials import histogram, run, summary, trial, with_spaces

BLOCKS = tuple(
    ExperimentBlock(number, row, 1, "spoiled" if number == 1 else "complete")
    for number, row in enumerate((0, 1, 2, 3, 4, 5, 1))
)
"""Of seven blocks that were measured the second was disturbed, and its row came again."""


def disturbed_arms() -> list[Run]:
    """Two arms, of which the second was three times slower in the disturbed block."""
    runs = [arm(place, factor, 7) for place, factor in enumerate((1.0, 1.5))]
    slowed = replace(
        runs[1].trials[1],
        streams=(replace(summary(), throughput_per_s=300.0),),
        client=replace(runs[1].trials[1].client, other_cpu=0.9),
    )
    return [
        runs[0],
        replace(runs[1], trials=(runs[1].trials[0], slowed, *runs[1].trials[2:])),
    ]


def test_a_spoiled_block_takes_no_part_and_both_verdicts_are_told() -> None:
    blocks, runs = BLOCKS, disturbed_arms()
    slowed = runs[1].trials[1]
    found = judge_experiment(replace(experiment(), blocks=blocks), runs)
    assert (found.blocks, found.primary[0].verdict.finding) == (6, "better")
    assert found.with_all[0].verdict.finding == "inconclusive"
    document = experiment_document(found)
    (spoiled,) = document["spoiled"]
    assert spoiled["block"] == 1
    assert "Other processes used 0.9" in with_spaces(spoiled["why"])
    assert "is not known yet" in document["with_all"][0]
    assert "1 set aside" in experiment_markdown(document)
    assert experiment_document(judged(1.0, 1.5))["with_all"] == []
    assert became(found) == "It was measured again, once."
    hung = replace(slowed, streams=(replace(summary(), errors={"timeout": 500}),))
    arms = [runs[0], replace(runs[1], trials=(hung, *runs[1].trials[2:]))]
    for chosen, count in ((experiment(), 500), (replace(experiment(), blocks=blocks), 0)):
        curves = curves_of_arms(arms, arm_labels(chosen), [[histogram(1.0)]] * 2, chosen)
        assert [curve.unanswered.count for curve in curves] == [0, count]
    cut = replace(experiment(), blocks=blocks[:-1])
    for state, what in (
        (State.CANCELLED, "It was not measured again."),
        (State.RUNNING, "It is to be measured again at the end."),
    ):
        left = [replace(each, state=state, trials=each.trials[:-1]) for each in runs]
        assert became(judge_experiment(cut, left)) == what


@pytest.mark.parametrize("baseline", [0, 1])
def test_arms_are_compared_by_the_blocks_of_their_experiment(baseline: int) -> None:
    """Their merged numbers hold the disturbed block, which the experiment set aside."""
    runs = [
        replace(run, streams=(replace(summary(), throughput_per_s=per_s),))
        for run, per_s in zip(disturbed_arms(), (990.0, 1_200.0), strict=True)
    ]
    judged = judge_experiment(replace(experiment(), blocks=BLOCKS), runs)
    arms = [arm_over_blocks(run, judged) for run in runs]
    found = with_blocks(compare(arms, runs[baseline].id), judged)
    row, decides = found.row("items", "throughput_per_s"), judged.primary[0]
    assert [len(run.trials) for run in found.runs] == [6, 6]
    assert tuple(row.values.values()) == pytest.approx(decides.values)
    assert found.interleaved
    assert found.called({runs[0].id: "release 2.3"}).labels == found.labels
    assert (found.interleaved.blocks, found.interleaved.set_aside) == (6, 1)
    said = with_spaces(plain_text(comparison_title(found)))
    assert "Single runs" not in said
    if baseline:
        assert not row.verdicts
        assert "sets its arms against its own baseline alone." in said
        return
    verdict = row.verdicts[runs[1].id]
    effect, within = decides.verdict.effect, decides.verdict.within_95
    assert effect
    assert within
    assert row.ratios[runs[1].id] == verdict.ratio == effect.ratio
    assert (verdict.low, verdict.high, verdict.method) == (within.low, within.high, "blocks")
    assert "better, ×1.5" in said
    assert "over 6 blocks." in said


def became(found: JudgedExperiment) -> str:
    """What the page says became of the block that was set aside."""
    told = dict(experiment_part(found, lambda _: (), lambda _: 6.0).design)["Block 2 set aside"]
    return told[told.index("It ") :]


def test_no_verdict_before_the_interval_is_precise() -> None:
    early = judged(1.0, 1.5, blocks=6, rule="precision", margin=0.001)
    assert early.primary[0].verdict.finding == "better"
    wide = judge_experiment(experiment(blocks=20, rule="precision", margin=0.001), early.runs)
    assert (wide.primary[0].verdict.reason, wide.stops) == ("not_precise", False)
    narrow = judge_experiment(experiment(blocks=20, rule="precision", margin=0.1), early.runs)
    assert (narrow.primary[0].verdict.finding, narrow.stops) == ("better", True)
    first = experiment_document(narrow)["verdicts"][0]
    assert (first["rule"], first["look"], first["alpha_spent"]) == (
        "precision",
        1,
        pytest.approx(0.05),
    )


def test_place_counts_where_it_ends_inside_a_square() -> None:
    found = [judged(1.0, 1.5, 1.0, blocks=blocks) for blocks in (6, 5)]
    assert [each.by_place for each in found] == [False, True]
    effects = [each.primary[0].verdict.effect for each in found]
    assert [effect.df for effect in effects if effect] == [10, 7]
    running = [replace(each, state=State.RUNNING) for each in found[1].runs if each]
    assert not judge_experiment(experiment(3), running).by_place


@pytest.mark.parametrize(("requests", "held"), [(300, "undecided"), (50_000, "held")])
def test_a_guardrail_on_errors_says_why_none_at_all_decides_nothing(
    capsys: pytest.CaptureFixture[str], requests: int, held: str
) -> None:
    few = replace(summary(), completed=requests, requests=requests)
    trials = tuple(trial(few, block=block) for block in range(4))
    runs = [run(f"000000000{place}", trials=trials, streams=(few,)) for place in range(2)]
    found = judge_experiment(experiment(), runs)
    part = experiment_part(found, lambda _: (), lambda _: 6.0)
    (errors,) = [mark for group in part.groups for mark in group.marks if "failed" in mark.text]
    assert errors.verdict == held
    told = with_spaces(errors.text)
    assert told.startswith("none failed on either side")
    assert ("so few requests leave up to" in told, "margin 0.1" in told) == (
        held == "undecided",
        held == "undecided",
    )
    document = experiment_document(found)
    (verdict,) = [each for each in document["verdicts"] if each["metric"] == "error_share"]
    assert (verdict["verdict"], verdict["told"]) == (held, errors.text)
    everywhere = f"{held}: {errors.text}"
    assert f"| {everywhere} |" in experiment_markdown(document)
    assert [row[-1] for row in experiment_grid(document).rows if row[0] == "error_share"] == [
        everywhere
    ]
    print_experiment(document, None)
    assert everywhere in capsys.readouterr().out


def test_a_guardrail_on_errors_says_why_some_decide_nothing() -> None:
    runs = []
    for place, failed in enumerate((2, 3)):
        some = replace(summary(), completed=900, requests=900 + failed, errors={"timeout": failed})
        trials = tuple(trial(some, block=block) for block in range(4))
        runs.append(run(f"000000000{place}", trials=trials, streams=(some,)))
    document = experiment_document(judge_experiment(experiment(), runs))
    (verdict,) = [each for each in document["verdicts"] if each["metric"] == "error_share"]
    assert verdict["verdict"] == "undecided"
    assert re.fullmatch(
        r"the trials leave up to [\d.]+ % of requests more, margin 0\.10 %",
        with_spaces(verdict["told"]),
    )


def test_the_headline_says_where_every_arm_is_suspect() -> None:
    suspect = Validity("suspect")
    for doubted in (1, 2):
        runs = [arm(place, 1.0 + place, validity=None) for place in range(2)]
        runs[:doubted] = [replace(each, validity=suspect) for each in runs[:doubted]]
        rest = [replace(each, validity=Validity("valid")) for each in runs[doubted:]]
        found = judge_experiment(experiment(), [*runs[:doubted], *rest])
        lead, _ = experiment_headline(found, arm_labels(found.experiment))
        assert ("Every arm is suspect." in plain_text(lead)) == (doubted == 2)

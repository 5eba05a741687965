"""An experiment for those who do not open its page: what its comment, JUnit and terminal say."""

from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from control_plane.analysis.deciding.judged_experiment import judge_experiment
from control_plane.analysis.prose import plain_text
from control_plane.analysis.prose.experiment_and_trend_json import experiment_document
from control_plane.analysis.prose.experiment_sentences import (
    experiment_headline,
    prediction_numbers,
)
from control_plane.analysis.prose.markdown_and_junit import (
    experiment_junit,
    experiment_markdown,
    trend_list_lines,
)
from control_plane.analysis.run_labels import arm_labels
from control_plane.analysis.validity.judged_run import GATES
from control_plane.cli_experiment import print_experiment
from control_plane.domain.metrics_and_objectives import Prediction
from control_plane.domain.result import Reason, Validity
from control_plane.domain.run import State
from control_plane.domain.trend_runs import LEAST_TREND_POINTS
from tests.analysis.deciding.test_judged_experiment import NAMES, arm, experiment
from tests.builders.trials import with_spaces


@pytest.mark.parametrize(
    ("factor", "claim", "expected"),
    [
        (4.0, {"low": 2.0}, "×4.01 [3.96, 4.05], expected at least ×2.00"),
        (0.25, {"high": 0.2}, "÷3.99 [3.95, 4.04], expected ÷5.00 or more"),
        (0.25, {"high": 2.0}, "÷3.99 [3.95, 4.04], expected at most ×2.00"),
        (0.25, {"low": 0.2, "high": 0.5}, "÷3.99 [3.95, 4.04], expected ÷2.00 to ÷5.00"),
        (0.25, {"low": 0.2, "high": 2.0}, "÷3.99 [3.95, 4.04], expected ÷5.00 to ×2.00"),
    ],
)
def test_what_a_claim_expects_is_written_as_what_was_measured(
    factor: float, claim: dict[str, float], expected: str
) -> None:
    claims = (Prediction(text="It is so.", arm="new", **claim),)  # type: ignore[arg-type] # fields of a prediction
    found = judge_experiment(experiment(predictions=claims), [arm(0, 1.0), arm(1, factor)])
    assert prediction_numbers(found.predictions[0]) == expected


def test_reports_mark_what_is_suspect_and_say_why_nothing_is_decided() -> None:
    suspect = Validity("suspect")
    found = judge_experiment(experiment(), [arm(0, 1.0), arm(1, 1.5, validity=suspect)])
    document = experiment_document(found)
    document["verdicts"][1] |= {"verdict": "undecided", "reason": "no_number"}
    told = "undecided: a trial of one side has no number that can be believed"
    assert told in experiment_markdown(document)
    suite = ET.fromstring(experiment_junit(document))
    doubts = {
        case.get("name", ""): case.findtext("system-out")
        for case in suite
        if case.get("classname") in {"arm", "primary"}
    }
    assert doubts == {"old": None, "new": "suspect: new", "Throughput of new": "suspect: new"}


def test_who_reads_no_page_is_told_which_arms_are_suspect_and_why(
    capsys: pytest.CaptureFixture[str],
) -> None:
    busy = Reason("client_cpu", "suspect", "The client used 99 % of a core.", 0.99, 0.9)
    load = Reason("other_load", "suspect", "Others used 0.5 cores.", 0.5, 0.1)
    for doubted, told in (
        (((busy,), (busy,)), "old and new are suspect: {0}."),
        (((), (busy, load)), "new is suspect: {0} and {1}."),
        (((load,), (busy,)), "old is suspect: {1}. new is suspect: {0}."),
    ):
        worths = [Validity("suspect" if reasons else "valid", reasons) for reasons in doubted]
        runs = [arm(at, 1.0 + at, validity=worth) for at, worth in enumerate(worths)]
        document = experiment_document(judge_experiment(experiment(), runs))
        said = told.format(GATES["client_cpu"].headline, GATES["other_load"].headline)
        assert document["sentence"].endswith(f" {said}")
        texts = [[reason.text for reason in reasons] for reasons in doubted]
        assert [run["doubts"] for run in document["runs"]] == texts
        markdown = experiment_markdown(document).replace("\\", "")
        assert said in markdown.splitlines()[0]
        print_experiment(document, None)
        printed = " ".join(capsys.readouterr().out.split())
        assert said in printed
        suite = ET.fromstring(experiment_junit(document))
        doubts = {case.get("name", ""): case.findtext("system-out") or "" for case in suite}
        for name, of_arm in zip(NAMES, texts, strict=False):
            for text in of_arm:
                assert f"- {name} is suspect: {' '.join(of_arm)}" in markdown
                assert text in printed
                assert text in doubts[name]
                assert text in doubts["Throughput of new"]


@pytest.mark.parametrize(
    ("failed", "said"),
    [(0, ""), (1, "old failed: too slow."), (2, "old failed: too slow. new failed: too slow.")],
)
def test_each_arm_that_failed_before_a_block_has_a_sentence_of_its_own(
    failed: int, said: str
) -> None:
    asked = experiment()
    runs = [
        replace(run, state=State.FAILED, reason="too slow") if at < failed else run
        for at, run in enumerate([arm(0, 1.0, blocks=0), arm(1, 1.0, blocks=0)])
    ]
    _, rest = experiment_headline(judge_experiment(asked, runs), arm_labels(asked))
    assert plain_text(rest) == said
    assert bool(rest) == bool(said)


def test_a_machine_that_reads_reports_learns_what_failed_and_what_went_wrong() -> None:
    found = judge_experiment(experiment(), [arm(0, 1.0), arm(1, 0.5)])
    document = experiment_document(found)
    document["verdicts"][0] |= {"verdict": "worse"}
    busy = Reason("client_cpu", "invalid", "The client used 99 % of a core.", 0.99, 0.9)
    document["runs"][0] |= {"validity": "invalid", "doubts": [busy.text]}
    document["runs"][1] |= {"state": "failed", "reason": "the target ended"}
    bound = {"metric": "error_share", "stream": "items", "at_most": 0.01, "at_least": None}
    document["objectives"] = [
        {**bound, "arm": "new", "outcome": outcome, "value": value}
        for outcome, value in (("passed", 0.0), ("failed", 0.5), ("undecided", None))
    ]
    suite = ET.fromstring(experiment_junit(document))
    errors = {
        case.get("name"): case.find("error") for case in suite if case.find("error") is not None
    }
    told = {name: error.get("message") for name, error in errors.items() if error is not None}
    assert told == {"old": f"invalid: {busy.text}", "new": "failed: the target ended"}
    objectives = [case for case in suite if case.get("classname") == "objective"]
    assert [[part.tag for part in case] for case in objectives] == [[], ["failure"], ["skipped"]]
    name = "Errors or no answer of new, items at most 1.0 %: 50 %"
    assert with_spaces(objectives[1].get("name", "")) == name
    (primary,) = [case for case in suite if case.get("classname") == "primary"]
    assert primary.find("failure") is not None
    counted = [int(suite.get(kind, "")) for kind in ("tests", "errors", "failures")]
    assert counted == [len(suite), 2, 2]


def test_what_makes_no_trend_is_told() -> None:
    left_out = {"suspect": 3, "specs": 2, "imported": 1}
    assert [*trend_list_lines({"trends": [], "left_out": left_out})] == [
        f"No trend: it takes {LEAST_TREND_POINTS} valid runs of one spec on one machine.",
        "3 suspect runs of 2 specs left out: --suspect counts them, too.",
        "1 imported run left out: a trend is of runs measured here.",
    ]
    nothing = dict.fromkeys(left_out, 0)
    assert [*trend_list_lines({"trends": [{}], "left_out": nothing})] == []

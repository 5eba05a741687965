"""`looplab experiment`: what it reads, and the exit code that says the same as the verdict."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from control_plane.cli_experiment import (
    BlockLines,
    experiment_exit_code,
    print_noise_floors,
    print_objectives,
    run_exit_code,
)
from control_plane.cli_options import experiment_file
from control_plane.domain.errors import InvalidInput, SettingsError
from tests.builders.trials import with_spaces
from tests.dashboard import provide_database
from tests.forked import looplab


def found(state: str = "finished", **verdicts: tuple[str, str | None]) -> dict[str, Any]:
    """An experiment whose metrics by role were judged so, with a reason."""
    return {
        "runs": [{"state": state}],
        "objectives": [],
        "verdicts": [
            {"role": role, "verdict": verdict, "reason": reason}
            for role, (verdict, reason) in verdicts.items()
        ],
    }


@pytest.mark.parametrize(
    ("document", "code", "strict"),
    [
        (found(primary=("better", None), guardrail=("held", None)), 0, 0),
        (found(primary=("equivalent", None)), 0, 0),
        (found(primary=("worse", None)), 10, 10),
        (found(primary=("better", None), guardrail=("broken", None)), 10, 10),
        (found(primary=("better", None), exploratory=("worse", None)), 0, 0),
        (found(primary=("inconclusive", None)), 0, 11),
        (found(primary=("better", None), guardrail=("undecided", None)), 0, 11),
        (found(primary=("no_verdict", "too_few_blocks")), 0, 11),
        (found(primary=("no_verdict", "invalid_side")), 12, 12),
        (found("cancelled", primary=("worse", None)), 1, 1),
        ({**found(primary=("better", None)), "objectives": [{"outcome": "failed"}]}, 10, 10),
        ({**found(primary=("better", None)), "objectives": [{"outcome": "undecided"}]}, 0, 11),
    ],
)
def test_the_exit_code_says_the_same_as_the_verdict(
    document: dict[str, Any], code: int, strict: int
) -> None:
    assert experiment_exit_code(document, strict=False) == code
    assert experiment_exit_code(document, strict=True) == strict


@pytest.mark.parametrize(
    ("state", "worth", "outcomes", "code", "strict"),
    [
        ("finished", "valid", (), 0, 0),
        ("finished", "suspect", ("passed",), 0, 0),
        ("finished", "valid", ("passed", "failed", "undecided"), 10, 10),
        ("finished", "valid", ("passed", "undecided"), 0, 11),
        ("finished", "invalid", ("failed",), 12, 12),
        ("failed", None, ("failed",), 1, 1),
        ("queued", None, (), 0, 0),
    ],
)
def test_the_exit_code_of_a_run_says_the_same_as_its_objectives(
    state: str, worth: str | None, outcomes: tuple[str, ...], code: int, strict: int
) -> None:
    objectives = [{"outcome": outcome} for outcome in outcomes]
    run = {"state": state, "validity": {"outcome": worth}, "objectives": objectives}
    assert run_exit_code(run) == code
    assert run_exit_code(run, strict=True) == strict


def test_an_objective_is_printed_with_what_was_measured(
    capsys: pytest.CaptureFixture[str],
) -> None:
    bound = {"stream": "items", "at_most": 0.05, "at_least": None}
    failed = {"metric": "response_time_s.p99", "value": 0.061, "low": 0.058, "high": 0.064}
    undecided = {"metric": "response_time_s.p50", "reason": "too_few_trials"}
    print_objectives(
        {
            "objectives": [
                {**bound, **failed, "outcome": "failed"},
                {**bound, **undecided, "outcome": "undecided"},
            ]
        }
    )
    told, other = with_spaces(capsys.readouterr().out).splitlines()
    assert told == (
        "Objective failed: p99 response time of items at most 50.0 ms: 61.0 ms "
        "(95 % interval 58.0 ms to 64.0 ms)"
    )
    assert other.startswith("Objective undecided: ")
    assert other.endswith("items at most 50.0 ms: at least three trials are needed")


def test_how_small_a_difference_can_be_shown_is_printed_by_blocks(
    capsys: pytest.CaptureFixture[str],
) -> None:
    floor = {"kind": "raw, closed, 4 users", "label": "Throughput", "experiments": 3}
    floors = {"5": 0.034, "20": 0.0121}
    print_noise_floors(
        {
            "noise_floors": [
                {**floor, "metric": "throughput_per_s", "floors": floors},
                {**floor, "metric": "duration_s", "label": "Duration", "floors": floors},
            ]
        }
    )
    printed = with_spaces(capsys.readouterr().out)
    assert "5 blocks" in printed
    (row,) = [line for line in printed.splitlines() if "raw" in line]
    assert row.split()[-6:] == ["Throughput", "±3.4", "%", "±1.2", "%", "3"]


def test_toml_and_json_say_the_same(tmp_path: Path) -> None:
    (tmp_path / "e.toml").write_text(
        '\ufeffquestion = "Which?"\n[spec]\nseed = 2\n[[arms]]\nname = "a"\nspec.seed = 3\n'
    )
    document = experiment_file(tmp_path / "e.toml")
    (tmp_path / "e.json").write_text(json.dumps(document))
    assert experiment_file(tmp_path / "e.json") == document
    assert document["spec"] | document["arms"][0]["spec"] == {"seed": 3}


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "wrong.toml").write_text("question = ")
    with pytest.raises(SettingsError, match=r"wrong\.toml: Invalid value"):
        experiment_file(tmp_path / "wrong.toml")
    with pytest.raises(SettingsError, match="No such file"):
        experiment_file(tmp_path / "none.toml")


def test_a_number_that_is_not_finite_is_told_at_its_field(tmp_path: Path) -> None:
    file = tmp_path / "e.toml"
    file.write_text("margin = nan\n[[arms]]\nspec.timeout_s = 1e400\n")
    with pytest.raises(InvalidInput) as refused:
        experiment_file(file)
    assert [error.field for error in refused.value.fields] == ["margin", "arms.0.spec.timeout_s"]


def test_a_slug_stands_for_a_bundled_experiment() -> None:
    quick = experiment_file(Path("event-loop"))
    whole = experiment_file(Path("event-loop"), full=True)
    assert (quick["question"], quick["blocks"], whole["blocks"]) == ("uvloop or asyncio?", 4, 10)


def test_how_long_it_takes_is_told_before_it_starts(capsys: pytest.CaptureFixture[str]) -> None:
    report = BlockLines()
    told = {"design": {"blocks": 4}, "sentence": "It waits for the machine.", "remaining_s": 70.0}
    for blocks, left_s in ((0, 70.0), (0, 60.0), (2, 34.6)):
        report({**told, "blocks": blocks, "remaining_s": left_s})
    assert with_spaces(capsys.readouterr().err).splitlines() == [
        "0 of 4 blocks. It waits for the machine. It takes about 1 min 10 s.",
        "2 of 4 blocks. It waits for the machine. About 35 s left.",
    ]


FILE = """
question = "What does another event loop cost?"
blocks = 3
[spec]
warmup_s = 0
target.configuration = "bare responder"
client.strategy = "raw"
[[spec.workload.streams]]
requests = [{ path = "/health" }]
load.model = "closed"
stop.requests = 200
[[arms]]
name = "uvloop"
spec.client.loop = "uvloop"
[[arms]]
name = "asyncio"
spec.client.loop = "asyncio"
"""


def test_an_experiment_is_measured_in_a_database_without_a_dashboard(tmp_path: Path) -> None:
    provide_database(tmp_path / "runs.db")
    (tmp_path / "clients.toml").write_text(FILE)
    command = ["experiment", "clients.toml", "--json"]
    reports = ["--markdown", "comment.md", "--junit", "report.xml"]
    ended = looplab([*command, *reports], tmp_path)
    document = json.loads(ended.stdout)
    assert (document["state"], document["design"]["blocks"]) == ("finished", 4)
    assert [arm["blocks"] for arm in document["runs"]] == [4, 4]
    assert ended.returncode == experiment_exit_code(document, strict=False)
    comment = (tmp_path / "comment.md").read_text()
    assert comment.startswith("**")
    assert "| Arm | Throughput | Ratio, 95 % | Verdict | Validity |" in comment
    shown = looplab(["experiment", document["id"], "--show", "--json"], tmp_path)
    assert document.pop("remaining_s") is None
    assert (json.loads(shown.stdout), shown.returncode) == (document, ended.returncode)
    read = looplab(["experiment", document["id"], "--show"], tmp_path).stdout
    assert " ".join(document["sentence"].split()) in " ".join(read.split())
    suite = ET.parse(tmp_path / "report.xml").getroot()
    assert [case.get("classname") for case in suite] == [
        *("arm", "arm", "primary"),
        *("guardrail",) * 3,
    ]
    assert int(suite.get("failures", "")) == len(suite.findall("testcase/failure"))
    few = {"LOOPLAB_MAX_TRIALS": "2"}
    refused = looplab([*command, "--db", "none.db"], tmp_path, environment=few)
    assert refused.returncode == 2
    assert "blocks: 3 is above the limit of 1" in refused.stderr
    assert not (tmp_path / "none.db").exists()

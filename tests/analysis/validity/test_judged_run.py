"""The gates as records, as rows of the page, and as rows of docs/methodology.md."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from control_plane.analysis.validity import GateLimits
from control_plane.analysis.validity.judged_run import GATES, disturbances, gate_rows, judge
from control_plane.domain.load_models import Open
from control_plane.domain.result import Censored, MachineUse, SendLag, Throttling, Validity
from tests.builders.trials import spec, summary, trial, with_spaces


def test_each_judged_gate_has_a_row():
    stream = summary(censored=Censored(3, 0.01, 0.03))
    only = trial(stream, little_ratio={"items": 1.014}, other_cpu=0.06, busiest_cpu_share=0.12)
    rows = gate_rows(judge([only], [stream], spec(duration_s=3.0)), spec())
    spaced = [(row.label, with_spaces(row.value), with_spaces(row.limit)) for row in rows]
    assert spaced == [
        ("Errors", "0 %", "≤ 0.1 %, invalid over 1 %"),
        ("Client CPU", "12 %", "< 85 % of one core"),
        ("Oldest in flight at the end", "1.0 %", "≤ 50 % of the window"),
        ("Nobody answered at the end", "0 %", "≤ 10 % of the window, invalid over 25 %"),
        ("Little’s law, off by", "1.4 %", "≤ 10 %"),
        ("Target restarts", "0", "0"),
        ("Other processes", "0.060 cores", "≤ 0.2 cores"),
    ]
    assert {row.level for row in rows} == {"ok"}


def test_what_disturbed_a_trial_from_outside():
    spoiled = trial(summary(), other_cpu=0.9, busiest_cpu_share=1.0)
    assert [reason.gate for reason in disturbances(spoiled, spec())] == ["other_load"]
    hot = replace(trial(summary()), machine=MachineUse(overheated=2, stolen_cores=0.3))
    assert [reason.gate for reason in disturbances(hot, spec())] == ["stolen", "overheated"]
    assert disturbances(trial(summary(errors={"reset": 500}, error_share=0.3)), spec()) == ()
    assert disturbances(trial(summary(duration_s=0.4), other_cpu=0.9), spec()) == ()


def test_nothing_judged_no_rows():
    assert gate_rows(Validity(None), spec()) == ()


def test_every_gate_that_can_fire_is_described():
    empty = summary(completed=0, error_share=1.0, errors={"reset": 5, "no_files": 1})
    first = trial(
        empty, busiest_cpu_share=1.0, restarts=1, little_ratio={"items": 2}, other_cpu=1.0
    )
    first = replace(
        first,
        target=replace(first.target, delayed_ack_s=0.044, code="a"),
        client=replace(first.client, throttling=Throttling(0.5, 100, 40, 2.0)),
        machine=MachineUse({"backup": 0.9}, 0.5, overheated=3, control_cores=0.2),
    )
    waiting = summary(
        censored=Censored(3, 2.0, 3.0),
        intended=10,
        sent=5,
        not_sent=5,
        send_lag_s=SendLag(0.1, 0.5, 0.6),
        drift_share=0.3,
        silent_s=2.0,
    )
    load = Open("open", 100.0)
    two = trial(waiting, connections={"items": 3}, in_flight={"items": 9.0})
    two = replace(two, target=replace(two.target, code="b"))
    found = judge([first, two], [empty], spec(duration_s=3.0, load=load))
    assert {reason.gate for reason in found.judged} == set(GATES)
    assert all(reason.level != "ok" for reason in found.judged)
    assert all(gate.label and gate.headline for gate in GATES.values())


DOCS = Path(__file__).parents[3] / "docs"
ROW = re.compile(r"^\| `(\w+)` \|[^|]+\|([^|]+)\|([^|]+)\|", re.MULTILINE)


def table_in_methodology() -> dict[str, tuple[str, str]]:
    """The cells of each gate that say when a run is suspect, and when it is invalid."""
    section = (DOCS / "methodology.md").read_text().partition("| gate | judged |")[2]
    rows = ROW.findall(section.partition("\n\n")[0])
    return {gate: (suspect.strip(), invalid.strip()) for gate, suspect, invalid in rows}


def limits_in(text: str) -> set[tuple[float, str]]:
    found = re.findall(r"([\d.]+) (%|ms|cores)", with_spaces(text))
    return {(float(number), unit) for number, unit in found}


def test_methodology_has_exactly_these_gates():
    assert table_in_methodology().keys() == GATES.keys()


@pytest.mark.parametrize("gate", GATES.values(), ids=list(GATES))
def test_methodology_has_the_limits_of_each_gate(gate):
    suspect, invalid = table_in_methodology()[gate.id]
    text = gate.limit_text(spec())
    at_suspect, _, at_invalid = text.partition(", invalid ")
    if not suspect:
        at_suspect, at_invalid = "", text
    assert limits_in(at_suspect) <= limits_in(suspect)
    assert limits_in(at_invalid) <= limits_in(invalid)
    assert suspect or gate.limits.suspect is None
    assert invalid or gate.limits.invalid is None


@pytest.mark.parametrize(
    ("limits", "levels", "text"),
    [
        (GateLimits("≤", suspect=1, invalid=2), "ok ok suspect invalid", "≤ 1, invalid over 2"),
        (GateLimits("<", suspect=1), "ok suspect suspect suspect", "< 1"),
        (GateLimits("≥", invalid=2, note=" a day"), "invalid invalid ok ok", "≥ 2 a day"),
        (GateLimits("≥", suspect=2, invalid=1), "invalid suspect ok ok", "≥ 2, invalid below 1"),
        (GateLimits("=", suspect=0), "ok suspect suspect suspect", "0"),
        (GateLimits("≥", note="requests in flight"), "ok ok ok ok", "≥ requests in flight"),
    ],
)
def test_limits(limits, levels, text):
    assert [limits.level(value) for value in (0, 1, 2, 3)] == levels.split()
    assert limits.text(str) == text

"""The gates as rows of a table."""

from dataclasses import fields, replace

from control_plane.analysis.validity.gate_table import GATES, gate_rows
from control_plane.analysis.validity.response_gates import judge
from control_plane.domain.load_models import Open
from control_plane.domain.result import Censored, SendLag, Validity
from tests.analysis.samples import spec, summary, trial, with_spaces


def test_each_judged_gate_has_a_row():
    stream = summary(censored=Censored(3, 0.01, 0.03))
    one = trial(stream, little_ratio={"items": 1.014}, other_cpu=0.06, busiest_cpu_share=0.12)
    rows = gate_rows(judge([one], [stream], spec(duration_s=3.0)), spec())
    spaced = [(row.label, with_spaces(row.value), with_spaces(row.limit)) for row in rows]
    assert spaced == [
        ("Errors", "0 %", "≤ 0.1 %, invalid over 1 %"),
        ("Client CPU", "12 %", "< 85 % of one core"),
        ("Oldest in flight at the end", "1.0 %", "≤ 50 % of the window"),
        ("Little’s law, off by", "1.4 %", "≤ 10 %"),
        ("Target restarts", "0", "0"),
        ("Other processes", "0.060 cores", "≤ 0.2 cores"),
    ]
    assert {row.level for row in rows} == {"ok"}


def test_nothing_judged_no_rows():
    assert gate_rows(Validity(None), spec()) == ()


def test_every_gate_that_can_fire_is_described():
    empty = summary(completed=0, error_share=1.0, errors={"reset": 5, "no_files": 1})
    one = trial(empty, busiest_cpu_share=1.0, restarts=1, little_ratio={"items": 2}, other_cpu=1.0)
    one = replace(one, target=replace(one.target, delayed_ack_s=0.044))
    waiting = summary(
        censored=Censored(3, 2.0, 3.0),
        intended=10,
        sent=5,
        not_sent=5,
        send_lag_s=SendLag(0.1, 0.5, 0.6),
        drift_share=0.3,
    )
    load = Open("open", 100.0)
    two = trial(waiting, connections={"items": 3}, in_flight={"items": 9.0})
    found = judge([one, two], [empty], spec(duration_s=3.0, load=load))
    assert {reason.gate for reason in found.judged} == set(GATES)
    assert all(reason.level != "ok" for reason in found.judged)
    assert all(getattr(gate, field.name) for gate in GATES.values() for field in fields(gate))

"""The gates of a run in one list, the judgement of all of them, and their table."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from control_plane.analysis.validity import (
    Gate,
    GateLevel,
    MeasuredRun,
    client_and_machine_gates,
    response_gates,
    steadiness,
)
from control_plane.domain.result import Reason, Summary, Trial, Validity
from control_plane.domain.run import Run
from control_plane.domain.spec import Spec

_IN_ORDER = (
    response_gates.COMPLETED,
    response_gates.ERRORS,
    client_and_machine_gates.CLIENT_CPU,
    client_and_machine_gates.CLIENT_EXHAUSTED,
    client_and_machine_gates.SENT,
    client_and_machine_gates.SEND_LAG,
    client_and_machine_gates.CONNECTIONS,
    response_gates.CENSORED,
    steadiness.SILENCE,
    client_and_machine_gates.LITTLE,
    response_gates.RESTARTS,
    response_gates.CODES,
    response_gates.DELAYED_ACK,
    steadiness.STEADINESS,
    client_and_machine_gates.OTHER_LOAD,
    client_and_machine_gates.VIEWERS,
    client_and_machine_gates.CLIENT_THROTTLED,
    client_and_machine_gates.STOLEN,
    client_and_machine_gates.OVERHEATED,
)

GATES: dict[str, Gate] = {gate.id: gate for gate in _IN_ORDER}
"""Every gate by its id, in the order of judging."""


def judge(trials: Sequence[Trial], merged: Sequence[Summary], spec: Spec) -> Validity:
    """Judge a run by every gate that applies; the worst trial decides.

    `merged` holds one summary for each stream. Outcome None: there was nothing to judge.
    """
    if not trials or not merged:
        return Validity(None)
    run = MeasuredRun(tuple(trials), spec)
    judged = tuple(reason for gate in _IN_ORDER if (reason := gate.reason(run)) is not None)
    fired = sorted(
        (reason for reason in judged if reason.level != "ok"),
        key=lambda reason: reason.level != "invalid",
    )
    if not fired:
        return Validity("valid", (), judged)
    return Validity("invalid" if fired[0].level == "invalid" else "suspect", tuple(fired), judged)


OUTSIDE = ("other_load", "stolen", "overheated")
"""Gates on what neither the target nor its client did."""
SHORTEST_TOLD_S = 1.0
"""In a shorter window the kernel's count of processor time is too coarse to tell."""


def disturbances(trial: Trial, spec: Spec) -> tuple[Reason, ...]:
    """Return what outside of target and client disturbed a trial; () where nothing can tell."""
    if max((stream.duration_s for stream in trial.streams), default=0.0) < SHORTEST_TOLD_S:
        return ()
    run = MeasuredRun((trial,), spec)
    found = (GATES[name].reason(run) for name in OUTSIDE)
    return tuple(reason for reason in found if reason is not None and reason.level != "ok")


@dataclass(frozen=True)
class GateRow:
    """One gate of the table: `value` and `limit` as people read them, `text` the evidence."""

    gate: str
    label: str
    value: str
    limit: str
    level: GateLevel
    text: str


def gate_rows(validity: Validity | None, spec: Spec) -> tuple[GateRow, ...]:
    """Return one row for each gate that was judged, in the order of judging."""
    rows = []
    for reason in validity.judged if validity else ():
        gate = GATES[reason.gate]
        value, limit = gate.format.value(reason.value or 0.0), gate.limit_text(spec)
        rows.append(GateRow(gate.id, gate.label, value, limit, reason.level, reason.text))
    return tuple(rows)


def gate_notes(run: Run) -> Iterator[str]:
    """Yield each gate that fired with what was measured, the worst first: `client CPU 100 %`."""
    fired = [row for row in gate_rows(run.validity, run.spec) if row.level != "ok"]
    for row in sorted(fired, key=lambda row: row.level != "invalid"):
        yield f"{row.label[:1].lower()}{row.label[1:]} {row.value}"

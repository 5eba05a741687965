"""The gates of a run in one list, the judgement of all of them, and their table."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from control_plane.analysis.validity import (
    CORES,
    COUNT,
    SECONDS,
    SHARE,
    Gate,
    GateLevel,
    MeasuredRun,
    load_gates,
    response_gates,
    steadiness,
)
from control_plane.domain.result import Reason, Summary, Trial, Validity
from control_plane.domain.run import Run
from control_plane.domain.spec import Spec

_IN_ORDER = (
    Gate(
        "completed",
        "Completed requests",
        COUNT,
        response_gates.COMPLETED,
        "no request completed",
        response_gates.completed,
    ),
    Gate(
        "errors",
        "Errors",
        SHARE,
        response_gates.ERRORS,
        "requests failed",
        response_gates.errors,
        response_gates.error_limits,
    ),
    Gate(
        "client_cpu",
        "Client CPU",
        SHARE,
        load_gates.CLIENT_CPU,
        "the client was at its limit",
        load_gates.client_cpu,
    ),
    Gate(
        "client_exhausted",
        "Requests the client could not send",
        COUNT,
        load_gates.CLIENT_EXHAUSTED,
        "the client had no ports or files left",
        load_gates.client_exhausted,
    ),
    Gate(
        "not_sent",
        "Sent of those intended",
        SHARE,
        load_gates.SENT,
        "requests were never sent",
        load_gates.not_sent,
    ),
    Gate(
        "late_send",
        "Send lag, p99",
        SECONDS,
        load_gates.SEND_LAG,
        "requests were sent late",
        load_gates.late_send,
    ),
    Gate(
        "pool",
        "Connections of the client",
        COUNT,
        load_gates.CONNECTIONS,
        "the client had too few connections",
        load_gates.pool,
    ),
    Gate(
        "censored",
        "Oldest in flight at the end",
        SHARE,
        response_gates.CENSORED,
        "requests waited for over half the window",
        response_gates.censored,
    ),
    Gate(
        "stuck",
        "Nobody answered at the end",
        SHARE,
        steadiness.SILENCE,
        "the target stopped answering",
        steadiness.stuck,
    ),
    Gate(
        "recorder",
        "Little’s law, off by",
        SHARE,
        response_gates.LITTLE,
        "the recorded times do not add up",
        response_gates.recorder,
    ),
    Gate(
        "target_restarted",
        "Target restarts",
        COUNT,
        response_gates.RESTARTS,
        "a worker of the target ended",
        response_gates.target_restarted,
    ),
    Gate(
        "code_changed",
        "Versions of the code",
        COUNT,
        response_gates.CODES,
        "the code changed on the way",
        response_gates.code_changed,
    ),
    Gate(
        "delayed_ack",
        "Late ACK, slower by",
        SECONDS,
        response_gates.DELAYED_ACK,
        "answers waited for a delayed ACK",
        response_gates.delayed_ack,
    ),
    Gate(
        "not_steady",
        "Drift of the median",
        SHARE,
        steadiness.STEADINESS,
        "the response time drifted",
        steadiness.not_steady,
    ),
    Gate(
        "other_load",
        "Other processes",
        CORES,
        load_gates.OTHER_LOAD,
        "other processes were at work",
        load_gates.other_load,
    ),
    Gate(
        "viewers",
        "Looplab itself",
        CORES,
        load_gates.VIEWERS,
        "pages of Looplab were at work",
        load_gates.viewers,
    ),
    Gate(
        "client_throttled",
        "Client held back by its quota",
        SHARE,
        load_gates.CLIENT_THROTTLED,
        "the kernel held the client back",
        load_gates.client_throttled,
    ),
    Gate(
        "stolen",
        "Taken by the host",
        CORES,
        load_gates.STOLEN,
        "the host gave cores to others",
        load_gates.stolen,
    ),
    Gate(
        "overheated",
        "Slowed down for heat",
        COUNT,
        load_gates.OVERHEATED,
        "cores were slowed down for their heat",
        load_gates.overheated,
    ),
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

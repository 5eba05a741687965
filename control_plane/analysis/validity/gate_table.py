"""The gates of a run as a table: each with what was measured and its limit."""

from collections.abc import Callable
from dataclasses import dataclass

from control_plane.analysis.validity.gate import ERRORS_SUSPECT, Level, percent
from control_plane.analysis.validity.load_gates import SENT_INVALID, SENT_SUSPECT
from control_plane.analysis.validity.response_gates import (
    ACK_LOW_S,
    CENSORED_SHARE,
    LITTLE,
    OTHER_CPU,
)
from control_plane.analysis.validity.steadiness import DRIFT
from control_plane.domain.limits import BUSY_SHARE
from control_plane.domain.result import Validity
from control_plane.domain.spec import Spec
from control_plane.domain.units import SPACE, count, figures, seconds, share


@dataclass(frozen=True)
class GateRow:
    """`value` and `limit` as people read them; `text` is the evidence in a sentence."""

    gate: str
    label: str
    value: str
    limit: str
    level: Level
    text: str


def _cores(value: float) -> str:
    return f"{figures(value, 2)}{SPACE}cores"


@dataclass(frozen=True)
class Gate:
    """How a gate is called and its value written; `fired` says in a headline what it found.

    In `limit`, `{most}` stands for the error limit of the spec.
    """

    label: str
    written: Callable[[float], str]
    limit: str
    fired: str


GATES: dict[str, Gate] = {
    "completed": Gate("Completed requests", count, "≥ 1", "no request completed"),
    "errors": Gate(
        "Errors",
        share,
        f"≤ {percent(ERRORS_SUSPECT)}, invalid over {{most}}",
        "requests failed",
    ),
    "client_cpu": Gate(
        "Client CPU", share, f"< {percent(BUSY_SHARE)} of one core", "the client was at its limit"
    ),
    "client_exhausted": Gate(
        "Requests the client could not send",
        count,
        "0",
        "the client had no ports or files left",
    ),
    "not_sent": Gate(
        "Sent of those intended",
        share,
        f"≥ {percent(SENT_SUSPECT)}, invalid below {percent(SENT_INVALID)}",
        "requests were never sent",
    ),
    "late_send": Gate(
        "Send lag, p99",
        seconds,
        f"≤ 1{SPACE}ms or 10{SPACE}% of the median",
        "requests were sent late",
    ),
    "pool": Gate(
        "Connections of the client",
        count,
        "≥ requests in flight",
        "the client had too few connections",
    ),
    "censored": Gate(
        "Oldest in flight at the end",
        share,
        f"≤ {percent(CENSORED_SHARE)} of the window",
        "requests waited for over half the window",
    ),
    "recorder": Gate(
        "Little’s law, off by", share, f"≤ {percent(LITTLE)}", "the recorded times do not add up"
    ),
    "target_restarted": Gate("Target restarts", count, "0", "a worker of the target ended"),
    "delayed_ack": Gate(
        "Later requests, slower by",
        seconds,
        f"< {seconds(ACK_LOW_S)}",
        "answers waited for a delayed ACK",
    ),
    "not_steady": Gate(
        "Drift of the median", share, f"≤ {percent(DRIFT)}", "the response time drifted"
    ),
    "other_load": Gate(
        "Other processes", _cores, f"≤ {OTHER_CPU}{SPACE}cores", "other processes were at work"
    ),
}


def gate_rows(validity: Validity | None, spec: Spec) -> tuple[GateRow, ...]:
    """One row for each gate that was judged, in the order of judging."""
    rows = []
    for reason in validity.judged if validity else ():
        gate = GATES[reason.gate]
        value = gate.written(reason.value or 0.0)
        limit = gate.limit.format(most=percent(spec.max_error_share))
        rows.append(GateRow(reason.gate, gate.label, value, limit, reason.level, reason.text))
    return tuple(rows)

"""The gates of a run as a table: each with what was measured and its limit."""

from collections.abc import Callable
from dataclasses import dataclass

from control_plane.analysis.validity import CLIENT_CPU, LITTLE, OTHER_CPU, Level
from control_plane.domain.result import Validity
from control_plane.domain.units import SPACE, count, figures, share


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


_SHOWN: dict[str, tuple[str, Callable[[float], str], str]] = {
    "completed": ("Completed requests", count, "≥ 1"),
    "errors": ("Errors", share, "≤ 0.1 %, invalid over 1 %"),
    "client_cpu": ("Client CPU", share, f"< {share(CLIENT_CPU)} of one core"),
    "censored": ("Oldest in flight at the end", share, "≤ 50 % of the window"),
    "recorder": ("Little’s law, off by", share, f"≤ {share(LITTLE)}"),
    "target_restarted": ("Target restarts", count, "0"),
    "other_load": ("Other processes", _cores, f"≤ {_cores(OTHER_CPU)}"),
}


def gate_rows(validity: Validity) -> tuple[GateRow, ...]:
    """One row for each gate that was judged, in the order of judging."""
    rows = []
    for reason in validity.judged:
        label, written, limit = _SHOWN[reason.gate]
        value = written(reason.value or 0.0)
        rows.append(GateRow(reason.gate, label, value, limit, reason.level, reason.text))
    return tuple(rows)

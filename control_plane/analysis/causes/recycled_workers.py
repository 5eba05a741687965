"""Workers that their server ended and replaced, because they had answered so many requests."""

from control_plane.analysis.causes.evidence import (
    CauseRule,
    Diagnosis,
    Evidence,
    Measurements,
    number_in,
)
from control_plane.domain.units import count


def workers_recycled(evidence: Evidence) -> Diagnosis | None:
    """Find workers that ended by design; None where there were none."""
    recycled = sum(trial.target.recycled or 0 for trial in evidence.trials)
    return Diagnosis(found=True, measurements={"workers": recycled}) if recycled else None


def _value(measurements: Measurements) -> str:
    number = round(number_in(measurements, "workers"))
    return "1 worker" if number == 1 else f"{count(number)} workers"


def _recycled(measurements: Measurements) -> str:
    return f"{_value(measurements)} ended by design, at the server’s limit of requests"


WORKERS_RECYCLED = CauseRule(
    id="workers_recycled",
    label="Workers that ended by design",
    short="workers recycled",
    judge=workers_recycled,
    value=_value,
    found=_recycled,
    ruled_out=_recycled,
    detail=lambda _: "requests wait for those that take their place, and may be broken off",
)

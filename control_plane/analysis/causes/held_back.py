"""The kernel held the target back, because its group of processes had spent its quota."""

from control_plane.analysis.causes.evidence import (
    CauseRule,
    Diagnosis,
    Evidence,
    Measurements,
    count_in,
    number_in,
)
from control_plane.domain.limits import THROTTLED_SHARE
from control_plane.domain.units import SPACE, seconds


def held_back(evidence: Evidence) -> Diagnosis | None:
    """Judge the trial that was held back most; None where the target has no quota."""
    quotas = [trial.target.throttling for trial in evidence.trials if trial.target.throttling]
    if not quotas:
        return None
    worst = max(quotas, key=lambda quota: quota.share)
    measurements: Measurements = {
        "quota_cores": worst.quota_cores,
        "periods": worst.periods,
        "throttled": worst.throttled,
        "throttled_s": worst.throttled_s,
    }
    return Diagnosis(worst.share >= THROTTLED_SHARE, measurements)


def _value(measurements: Measurements) -> str:
    return f"{count_in(measurements, 'throttled')} of {count_in(measurements, 'periods')} periods"


def _held_back(measurements: Measurements) -> str:
    held_s = seconds(number_in(measurements, "throttled_s"))
    return f"the kernel held the target back in {_value(measurements)}, {held_s} in all"


def _quota(measurements: Measurements) -> str:
    quota = number_in(measurements, "quota_cores")
    cores = "core" if quota == 1 else "cores"
    return f"its group of processes may use {quota:.3g}{SPACE}{cores}"


HELD_BACK = CauseRule(
    id="held_back",
    label="CPU quota",
    short="CPU quota",
    judge=held_back,
    value=_value,
    found=_held_back,
    ruled_out=_held_back,
    detail=_quota,
)

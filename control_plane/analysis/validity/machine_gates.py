"""Gates on the machine: other programs, quotas, a host that takes cores, heat."""

from collections.abc import Callable

from control_plane.analysis.validity.gate import GateLimits, Judgement, MeasuredRun, judgement
from control_plane.domain.limits import THROTTLED_SHARE
from control_plane.domain.result import Trial
from control_plane.domain.units import SPACE, count, figures

OTHER_CPU = 0.2
MOST_TOLD, TOLD_CPU = 3, 0.05
"""So many other programs are named, and none that used fewer cores."""
OTHER_LOAD = GateLimits("≤", suspect=OTHER_CPU)


def other_load(run: MeasuredRun) -> Judgement | None:
    """Judge the cores used by processes that are neither target, client nor control plane."""
    worst = _worst(run, lambda trial: trial.client.other_cpu)
    if worst is None:
        return None
    trial, cores = worst
    programs = trial.machine.programs if trial.machine else {}
    text = f"Other processes used {figures(cores, 2)}{SPACE}cores{run.where(trial)}"
    if programs and cores > OTHER_CPU:
        told = [(name, used) for name, used in programs.items() if used >= TOLD_CPU][:MOST_TOLD]
        named = (f"{name} {figures(min(used, cores), 2)}" for name, used in told)
        text = f"{text}, of which {', '.join(named)}" if told else text
    doubt = (
        f" (limit {OTHER_CPU}). They slowed client or target; name one that works for the target, "
        "such as a database, under belongs."
    )
    return judgement(OTHER_LOAD, cores, text, doubt)


CLIENT_THROTTLED = GateLimits("<", suspect=THROTTLED_SHARE, note=" of the periods")


def client_throttled(run: MeasuredRun) -> Judgement | None:
    """Judge how often the kernel held the load workers back; None where they have no quota."""
    cases = [(trial, trial.client.throttling) for trial in run.trials if trial.client.throttling]
    if not cases:
        return None
    trial, worst = max(cases, key=lambda case: case[1].share)
    text = (
        f"The kernel held the client back in {count(worst.throttled)} of {count(worst.periods)} "
        f"periods{run.where(trial)}"
    )
    doubt = (
        f": its group of processes may use {worst.quota_cores:.3g}{SPACE}cores. The times hold "
        "waits of the client. Give it a group of its own, or raise the quota."
    )
    return judgement(CLIENT_THROTTLED, worst.share, text, doubt)


STOLEN = GateLimits("≤", suspect=0.1)


def stolen(run: MeasuredRun) -> Judgement | None:
    """Judge the cores that the host of a virtual machine gave to others; None where unknown."""
    worst = _worst(run, lambda trial: trial.machine.stolen_cores if trial.machine else None)
    if worst is None:
        return None
    trial, cores = worst
    text = f"The host took {figures(cores, 2)}{SPACE}cores from this machine{run.where(trial)}"
    doubt = f" (limit {STOLEN.suspect}): target and client waited for others’ virtual machines."
    return judgement(STOLEN, cores, text, doubt)


OVERHEATED = GateLimits("=", suspect=0)


def overheated(run: MeasuredRun) -> Judgement | None:
    """Judge how often cores were slowed down for their heat; None where that cannot be read."""
    worst = _worst(run, lambda trial: trial.machine.overheated if trial.machine else None)
    if worst is None:
        return None
    trial, times = worst
    text = f"Cores were slowed down for their heat {count(times)} times{run.where(trial)}"
    return judgement(OVERHEATED, times, text, ": let the machine cool down, then run again.")


def _worst(
    run: MeasuredRun, measured: Callable[[Trial], float | None]
) -> tuple[Trial, float] | None:
    """Return the trial in which most was measured, with that; None where nothing was."""
    cases = [(trial, value) for trial in run.trials if (value := measured(trial)) is not None]
    return max(cases, key=lambda case: case[1], default=None)

"""The event loop had work whenever its thread was looked at, in steps too short to be stalls."""

import math
from collections.abc import Sequence

from control_plane.analysis.causes.evidence import (
    Diagnosis,
    Evidence,
    Measurements,
    WorkerTrial,
    mean_of,
    number_in,
    share_in,
)
from control_plane.analysis.causes.stall_location import StallLocation, stall_location
from control_plane.domain.limits import BUSY_SHARE
from control_plane.domain.result import Stall
from control_plane.domain.units import number_of, seconds

LEAST_STACKS = 10
"""Fewer samples say little: of ten the share can be off by a quarter of the window."""

WAITS_SHARE = 0.1
"""From this share of the window on, calls that wait on the loop cost a tenth of its throughput."""

FEW_STACKS = 3
"""So many tell one place from chance."""

SHORT_STEP_S = 0.001
"""Handlers below this block nobody by themselves; many of them in a row are a busy server."""

OTHER_THREADS = 0.2
"""Where other threads compute for so much of one core, the loop may wait for the interpreter."""

_ELSEWHERE = (
    "its thread may have waited for a processor or for the interpreter, and then it takes most "
    "stacks in one place to tell"
)


_LIBRARY = "most stacks end in one place of the server or a library, which may be how it waits"


def loop_occupied(workers: Sequence[WorkerTrial], evidence: Evidence) -> Diagnosis | None:
    """Judge by samples of the loops' threads; None where there are too few.

    Found where calls that neither compute nor lack a processor took a tenth of the window beyond
    chance, or where the loops had no time left and each request computes for long.
    """
    share = occupied_share(workers)
    if share is None:
        return None
    place, step_s = _place(workers, evidence), _step_s(workers)
    delays = [worker.series.samples.delayed_share for worker in workers]
    measurements: Measurements = {
        "occupied_share": share,
        "samples": sum(worker.series.samples.stacks for worker in workers),
        "computed_share": _computed(workers),
        "delayed_share": mean_of([delay for delay in delays if delay is not None]),
        "step_s": step_s,
        "stacks": place.stacks,
        "stacks_there": place.stacks_there,
        "frame": place.place,
    }
    if share >= BUSY_SHARE and (step_s or 0.0) >= SHORT_STEP_S:
        return Diagnosis(True, measurements)  # noqa: FBT003 - the verdict
    own = one_place(place) and place.application
    if _waited(measurements, in_one_place=own) < WAITS_SHARE:
        return Diagnosis(False, measurements)  # noqa: FBT003 - the verdict
    if not own and one_place(place):
        return Diagnosis(None, {**measurements, "why": _LIBRARY})
    if not own and (threads_compute(workers) or _kept_from_running(evidence, measurements)):
        return Diagnosis(None, {**measurements, "why": _ELSEWHERE})
    return Diagnosis(True, measurements)  # noqa: FBT003 - the verdict


def _waited(measurements: Measurements, *, in_one_place: bool) -> float:
    """Return for which share of the window, at least, calls on the loop waited.

    Stacks of a process that is kept from running would not be in one place.
    """
    if measurements["computed_share"] is None:
        return 0.0
    at_least = _at_least(
        number_in(measurements, "occupied_share"), number_in(measurements, "samples")
    )
    delayed = 0.0 if in_one_place else number_in(measurements, "delayed_share")
    return at_least - number_in(measurements, "computed_share") - delayed


def one_place(place: StallLocation) -> bool:
    """Whether stacks end in one place: code that blocks does, a process kept from running not."""
    return place.place is not None and place.stacks >= FEW_STACKS


def occupied_share(workers: Sequence[WorkerTrial]) -> float | None:
    """Return the share of samples in which the loops were at work; None where there are too few."""
    samples = [worker.series.samples for worker in workers]
    stacks = sum(each.stacks for each in samples)
    return sum(each.at_work for each in samples) / stacks if stacks >= LEAST_STACKS else None


def _at_least(share: float, stacks: float) -> float:
    """Return the lower end of the share's 95 % interval (A. Agresti and B. A. Coull, The American
    Statistician, 1998).
    """
    middle = (share * stacks + 2) / (stacks + 4)
    return middle - 2 * math.sqrt(middle * (1 - middle) / (stacks + 4))


def _place(workers: Sequence[WorkerTrial], evidence: Evidence) -> StallLocation:
    seen = [
        Stall(worker.series.pid, 0.0, 0.0, stack, times, times, times)
        for worker in workers
        for stack, times in worker.series.samples.places
    ]
    return stall_location(seen, evidence.source)


def _computed(workers: Sequence[WorkerTrial]) -> float | None:
    """Return the share of the window for which the loops' threads computed.

    That of their processes where a thread was not seen.
    """
    shares = [
        worker.cpu_share if worker.series.samples.cpu_share is None
        else worker.series.samples.cpu_share
        for worker in workers
    ]  # fmt: skip
    return mean_of([share for share in shares if share is not None])


def _step_s(workers: Sequence[WorkerTrial]) -> float | None:
    """Return for how long the loops computed for each request that was answered."""
    answered = sum(number or 0 for worker in workers for number in worker.series.completed)
    spent_s = sum((worker.series.samples.cpu_share or 0.0) * worker.window_s for worker in workers)
    return spent_s / answered if answered and spent_s else None


def threads_compute(workers: Sequence[WorkerTrial]) -> bool:
    """Return whether other threads of the workers computed: they hold the interpreter then, for
    which a loop waits in the middle of anything.
    """
    others = [
        worker.cpu_share - worker.series.samples.cpu_share
        for worker in workers
        if worker.cpu_share is not None and worker.series.samples.cpu_share is not None
    ]
    return (mean_of(others) or 0.0) >= OTHER_THREADS


def _kept_from_running(evidence: Evidence, measurements: Measurements) -> bool:
    """Whether a wait may be for a processor that the kernel did not count."""
    uncounted = measurements["delayed_share"] is None
    stolen = any(reason.gate == "stolen" for reason in evidence.validity.reasons)
    return stolen or evidence.held_back or (uncounted and evidence.cpu_contended)


def occupied(measurements: Measurements) -> str:
    """Return how much of the window its steps took, without a subject."""
    return f"occupied {share_in(measurements, 'occupied_share')} of the window by many short steps"


def what_it_did(measurements: Measurements) -> str:
    """Return for how much of the window the loop's thread computed."""
    computed = f"its thread computed {share_in(measurements, 'computed_share')} of the window"
    step_s = number_in(measurements, "step_s")
    each = f", {seconds(step_s)} for each request" if step_s else ""
    return computed + each


def looks(measurements: Measurements) -> str:
    """Return how often its thread was found at work; empty where nobody looked."""
    if not number_in(measurements, "samples"):
        return ""
    number = number_of(number_in(measurements, "samples"), "look")
    return f"occupied in {share_in(measurements, 'occupied_share')} of {number} at it"

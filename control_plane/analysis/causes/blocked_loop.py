"""The event loop stood still: one call held it, and every other request waited."""

from collections.abc import Sequence

from control_plane.analysis.causes.evidence import (
    CauseRule,
    Diagnosis,
    Evidence,
    Measurements,
    WorkerTrial,
    number_in,
    share_in,
)
from control_plane.analysis.causes.loop_stacks import (
    SHORT_STEP_S,
    StallLocation,
    looks,
    loop_occupied,
    occupied,
    one_place,
    stall_location,
    threads_compute,
    what_it_did,
)
from control_plane.domain.limits import BLOCKED_LOOP_S
from control_plane.domain.observations import Stall, loop_waited
from control_plane.domain.result import Cause
from control_plane.domain.units import count, number_of, seconds

BLOCKED_SHARE = 0.05
"""From this share of the window on, more than one arrival in twenty finds the loop blocked: p95."""

COMPUTED = 0.8
"""A loop that computed for so much of the time that it stood still may have served in turn."""

_ELSEWHERE = (
    "client or other programs used the processor too, and then it takes three stacks or more, most "
    "of them in one place, to tell"
)
_THREADS = (
    "other threads of its process computed too, and the loop may have waited for the interpreter"
)
_ROUNDS = "a round of the many short requests can take as long"


def loop_blocked(evidence: Evidence) -> Diagnosis | None:
    """Judge whether the loops of the workers stood still for long, or were occupied by many short
    steps; None where no lag was seen.
    """
    workers = [worker for worker in evidence.workers if _lags(worker)]
    if not workers:
        return None
    stalled, steps = _judge_stalls(workers, evidence), loop_occupied(workers, evidence)
    if steps is None:
        return stalled
    stood, had = (
        number_in(stalled.measurements, "blocked_share"),
        number_in(steps.measurements, "occupied_share"),
    )
    if stalled.found and (not steps.found or 2 * stood >= had):
        return stalled
    if steps.found or (steps.found is None and stalled.found is False):
        return Diagnosis(steps.found, {**stalled.measurements, **steps.measurements})
    seen = {name: steps.measurements[name] for name in ("occupied_share", "samples")}
    return Diagnosis(stalled.found, {**stalled.measurements, **seen})


def _judge_stalls(workers: Sequence[WorkerTrial], evidence: Evidence) -> Diagnosis:
    floor_s = stall_floor_s(evidence)
    place = _place(workers, evidence, floor_s)
    if blocked_share(workers, floor_s) >= BLOCKED_SHARE:
        measurements = _measurements(workers, place, floor_s)
        if evidence.cpu_contended and not one_place(place):
            return Diagnosis(None, {**measurements, "why": _ELSEWHERE})
        if threads_compute(workers) and not place.application:
            return Diagnosis(None, {**measurements, "why": _THREADS})
        return Diagnosis(True, measurements)  # noqa: FBT003 - the verdict
    return _judge_rounds(workers, evidence, floor_s)


def _judge_rounds(workers: Sequence[WorkerTrial], evidence: Evidence, floor_s: float) -> Diagnosis:
    """Judge stalls below the floor: those of a busy server, if it computed meanwhile."""
    short = blocked_share(workers, BLOCKED_LOOP_S) >= BLOCKED_SHARE
    place = _place(workers, evidence, BLOCKED_LOOP_S)
    if short and (one_place(place) or not _computed(workers)):
        measurements = {**_measurements(workers, place, BLOCKED_LOOP_S), "why": _ROUNDS}
        return Diagnosis(None, measurements)
    measurements = _measurements(workers, _place(workers, evidence, floor_s), floor_s)
    return Diagnosis(False, measurements)  # noqa: FBT003 - the verdict


def _measurements(
    workers: Sequence[WorkerTrial], place: StallLocation, floor_s: float
) -> dict[str, str | float | None]:
    """Return the numbers of the messages.

    `late` counts the stalls of any length, those in which the loop waited included.
    """
    first = workers[0].trial_number
    return {
        "blocked_share": blocked_share(workers, floor_s),
        "longest_s": max(longest_s(worker, floor_s) for worker in workers),
        "stalls": sum(
            len(blocking_stalls(worker, floor_s)) + _uncaptured(worker, floor_s)[0]
            for worker in workers
        ),
        "stacks": place.stacks,
        "stacks_there": place.stacks_there,
        "frame": place.place,
        "workers": len({worker.series.pid for worker in workers if worker.trial_number == first}),
        "floor_s": floor_s,
        "late": sum(max(worker.series.stalls, len(worker.stalls)) for worker in workers),
        "waited": sum(loop_waited(stall.stack) for worker in workers for stall in worker.stalls),
    }


def blocked_share(workers: Sequence[WorkerTrial], floor_s: float) -> float:
    """Return the share of all workers' windows in which their loops stood still."""
    stood_s = sum(blocked_s(worker, floor_s) for worker in workers)
    watched_s = sum(worker.window_s for worker in workers)
    return stood_s / watched_s if watched_s else 0.0


def _place(workers: Sequence[WorkerTrial], evidence: Evidence, floor_s: float) -> StallLocation:
    stalls = [stall for worker in workers for stall in blocking_stalls(worker, floor_s)]
    return stall_location([stall for stall in stalls if stall.stack], evidence.source)


def _computed(workers: Sequence[WorkerTrial]) -> bool:
    """Whether the workers computed while they stood still, also where it is not known."""
    shares = [(worker.cpu_share, worker.window_s) for worker in workers]
    ran = [share * window_s for share, window_s in shares if share is not None]
    stood_s = sum(blocked_s(worker, BLOCKED_LOOP_S) for worker in workers)
    return len(ran) < len(workers) or sum(ran) >= COMPUTED * stood_s


def stall_floor_s(evidence: Evidence) -> float:
    """Return how late a loop must be to count as blocked.

    A loop that serves many short requests in turn is as late as one round of them takes; the
    factor two leaves room for rounds that are not even. A loop that stood still in one place and
    did not compute meanwhile was blocked by it, however short.
    """
    spent_s = [stream.cpu_s_per_request for stream in evidence.streams]
    step_s = max((step_s for step_s in spent_s if step_s is not None), default=None)
    if step_s is None or step_s >= SHORT_STEP_S:
        return BLOCKED_LOOP_S
    floor_s = max(BLOCKED_LOOP_S, 2 * evidence.users * step_s / evidence.worker_count)
    workers = evidence.workers
    if floor_s > BLOCKED_LOOP_S and not _computed(workers):
        return BLOCKED_LOOP_S if one_place(_place(workers, evidence, BLOCKED_LOOP_S)) else floor_s
    return floor_s


def blocked_verdict(causes: Sequence[Cause]) -> bool | None:
    """Return whether blocked loops were found, as a chart may say it; None: that is not decided.

    True where no cause was judged: then what was seen is all that is known.
    """
    return next((cause.found for cause in causes if cause.cause == "loop_blocked"), not causes)


def stored_floor_s(measurements: Measurements) -> float:
    """Return the floor that a stored cause was judged by, which earlier versions did not store."""
    return float(measurements.get("floor_s") or BLOCKED_LOOP_S)


def blocked_s(worker: WorkerTrial, floor_s: float) -> float:
    """Return the time inside the window in which the loop of `worker` stood still."""
    known_s = sum(_inside_s(stall, worker) for stall in blocking_stalls(worker, floor_s))
    return min(worker.window_s, known_s + _uncaptured(worker, floor_s)[1])


def blocking_stalls(worker: WorkerTrial, floor_s: float) -> list[Stall]:
    """Return the stalls of a worker that count, of those whose stack was kept."""
    return [stall for stall in worker.stalls if blocks(stall, floor_s)]


def blocks(stall: Stall, floor_s: float) -> bool:
    """Whether a stall is long enough, and the loop itself not on top of its stack."""
    return stall.duration_s >= floor_s and not loop_waited(stall.stack)


def _uncaptured(worker: WorkerTrial, floor_s: float) -> tuple[int, float]:
    """Return number and seconds of the shorter stalls, of which no stack was kept; they have no
    other floor than the probe's.
    """
    if floor_s > BLOCKED_LOOP_S:
        return 0, 0.0
    number = worker.series.stalls - len(worker.stalls)
    lasted_s = worker.series.stalled_s - sum(stall.duration_s for stall in worker.stalls)
    return (number, max(0.0, lasted_s)) if number > 0 else (0, 0.0)


def longest_s(worker: WorkerTrial, floor_s: float) -> float:
    """Return the longest stall that counts; where none does, the longest lag."""
    stalls = [stall.duration_s for stall in blocking_stalls(worker, floor_s)]
    return max(stalls) if stalls else max(_lags(worker), default=0.0)


def _lags(worker: WorkerTrial) -> list[float]:
    return [lag for lag in worker.series.loop_lag_s if lag is not None]


def _inside_s(stall: Stall, worker: WorkerTrial) -> float:
    end_s = min(stall.at_s + stall.duration_s, worker.window_s)
    return max(0.0, end_s - max(stall.at_s, 0.0))


def _blocked(measurements: Measurements) -> str:
    loops = "event loops were" if number_in(measurements, "workers") > 1 else "event loop was"
    if _by_steps(measurements):
        return f"the {loops} {occupied(measurements)}"
    if measurements.get("why"):
        loops = loops.rpartition(" ")[0] + " stood still"
        return f"the {loops} {share_in(measurements, 'blocked_share')} of the window"
    return f"the {loops} blocked {share_in(measurements, 'blocked_share')} of the window"


def _by_steps(measurements: Measurements) -> bool:
    """Whether not stalls decided, but what the loop's thread did all the time."""
    return "computed_share" in measurements


def _loop_free(measurements: Measurements) -> str:
    if number_in(measurements, "blocked_share"):
        return _blocked(measurements)
    late = f"late by {seconds(number_in(measurements, 'longest_s'))} at most"
    seen = looks(measurements)
    late = f"the event loop was {seen}, and {late}" if seen else f"the event loop was {late}"
    if not number_in(measurements, "late"):
        return late
    if number_in(measurements, "waited") == number_in(measurements, "late"):
        return f"{late}: it waited for a processor or for the interpreter"
    return f"{late}, as a round of its short requests can be"


def _detail(measurements: Measurements) -> str:
    """Return where stacks end and the longest stall; empty where the lag is said instead."""
    if _by_steps(measurements):
        return "; ".join(filter(None, (_stacks(measurements), what_it_did(measurements))))
    if not number_in(measurements, "blocked_share"):
        return ""
    longest = f"it stood still for {seconds(number_in(measurements, 'longest_s'))} at the longest"
    return "; ".join(filter(None, (_stacks(measurements), longest)))


def _stacks(measurements: Measurements) -> str:
    total = number_of(number_in(measurements, "stacks"), "sampled stack")
    if not number_in(measurements, "stacks"):
        return ""
    if measurements["frame"] is None:
        return f"{total} have no place in common"
    there = number_in(measurements, "stacks_there")
    end = "ends" if there == 1 else "end"
    return f"{count(there)} of {total} {end} in {measurements['frame']}"


def _value(measurements: Measurements) -> str:
    name = "occupied_share" if _by_steps(measurements) else "blocked_share"
    return f"{share_in(measurements, name)} of window"


LOOP_BLOCKED = CauseRule(
    id="loop_blocked",
    label="Event loop blocked",
    short="loop blocked",
    judge=loop_blocked,
    value=_value,
    found=_blocked,
    ruled_out=_loop_free,
    detail=_detail,
    watched="event loop",
)

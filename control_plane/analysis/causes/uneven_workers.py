"""One worker had the work while others had none.

The kernel of Linux spreads connections, not requests, over the listeners of one port
(SO_REUSEPORT): a connection stays with the worker that its hash fell to.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby

from control_plane.analysis.causes.blocked_loop import blocked_s, stall_floor_s
from control_plane.analysis.causes.evidence import (
    CauseRule,
    Diagnosis,
    Evidence,
    Measurements,
    WorkerTrial,
    count_in,
    share_in,
)
from control_plane.domain.result import Trial

BUSY = 0.5
"""A worker that is free more than half of the time lets few requests wait."""

UNEVEN_RATIO = 3
"""Chance alone spreads the connections of a few users by a factor of two."""

SEVERAL = 4
"""With fewer connections for each worker, one may well have none or one of them."""

TOGETHER = 2
"""Where requests come one at a time, none waits for a busy worker."""


def workers_uneven(evidence: Evidence) -> Diagnosis | None:
    """Judge the trial in which workers were furthest apart.

    None where fewer than two workers were seen, or had too few connections to tell from chance.
    """
    if evidence.users < SEVERAL * evidence.worker_count:
        return None
    floor_s = stall_floor_s(evidence)
    by_trial = groupby(evidence.workers, key=lambda worker: worker.trial_number)
    spreads = [
        measurements
        for number, group in by_trial
        for measurements in _spread(list(group), floor_s, evidence.trials[number - 1])
    ]
    if not spreads:
        return None
    worst = max(spreads, key=lambda spread: (_apart(spread), spread["busiest_share"]))
    return Diagnosis(_apart(worst), worst)


def _spread(
    workers: Sequence[WorkerTrial], floor_s: float, trial: Trial
) -> Iterator[dict[str, float | None]]:
    shares_of = [(_busy_share(worker, floor_s), worker) for worker in workers]
    busy = [(share, worker) for share, worker in shares_of if share is not None]
    if len(busy) < 2:
        return
    shares = [share for share, _ in busy]
    busiest = max(busy, key=lambda pair: pair[0])[1]
    if not _concurrent(busiest, trial):
        return
    answered = sum(map(_completed, workers))
    yield {
        "busiest_share": max(shares),
        "idlest_share": min(shares),
        "completed_share": _completed(busiest) / answered if answered else None,
        "workers": len(busy),
        "trial": busiest.trial_number,
    }


def _concurrent(worker: WorkerTrial, trial: Trial) -> bool:
    """Whether requests were in flight at once there.

    A worker that is held up does not see those that wait in its sockets: then the client's mean
    tells it, as the others have next to nothing where this matters.
    """
    seen = max((number for number in worker.series.in_flight if number is not None), default=0)
    return seen >= TOGETHER or sum(trial.client.in_flight.values()) >= TOGETHER


def _apart(measurements: Measurements) -> bool:
    busiest, idlest = (
        float(measurements["busiest_share"] or 0),
        float(measurements["idlest_share"] or 0),
    )
    return busiest >= BUSY and idlest <= busiest / UNEVEN_RATIO


def _busy_share(worker: WorkerTrial, floor_s: float) -> float | None:
    """Return the share of the window in which a worker computed or stood still."""
    if worker.cpu_share is None or not worker.window_s:
        return None
    return max(worker.cpu_share, blocked_s(worker, floor_s) / worker.window_s)


def _completed(worker: WorkerTrial) -> int:
    return sum(number for number in worker.series.completed if number is not None)


def _uneven(measurements: Measurements) -> str:
    others = "the other" if measurements["workers"] == 2 else "another"
    busiest, idlest = (
        share_in(measurements, "busiest_share"),
        share_in(measurements, "idlest_share"),
    )
    return (
        f"one of {count_in(measurements, 'workers')} workers was busy {busiest} of the window, "
        f"{others} {idlest}"
    )


def _even(measurements: Measurements) -> str:
    busiest, idlest = (
        share_in(measurements, "busiest_share"),
        share_in(measurements, "idlest_share"),
    )
    workers = count_in(measurements, "workers")
    return f"the {workers} workers were busy {idlest} to {busiest} of the window"


def _answered(measurements: Measurements) -> str:
    answered = measurements["completed_share"]
    return (
        f"the busiest one answered {share_in(measurements, 'completed_share')} of the requests"
        if answered
        else ""
    )


WORKERS_UNEVEN = CauseRule(
    id="workers_uneven",
    label="Workers uneven",
    short="workers uneven",
    judge=workers_uneven,
    value=lambda measurements: (
        f"{share_in(measurements, 'busiest_share')} and {share_in(measurements, 'idlest_share')}"
    ),
    found=_uneven,
    ruled_out=_even,
    detail=_answered,
)

"""Workers and threads of the server: all taken while requests waited, uneven, ended by design."""

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
    number_in,
    share_in,
)
from control_plane.analysis.causes.loop_stacks import occupied_share
from control_plane.domain.result import Trial
from control_plane.domain.server_command_lines import is_wsgi
from control_plane.domain.units import SPACE, count, figures, number_of, were

WAITING_SHARE = 0.1
"""A queue that a sample in ten does not see has not held back a tenth of the requests."""


def pool_exhausted(evidence: Evidence) -> Diagnosis | None:
    """Judge in how many samples requests waited; None where no thread pool was seen."""
    waiting, busy = [], []
    for worker in evidence.workers:
        waiting += [number for number in worker.series.tokens_waiting if number is not None]
        busy += [number for number in worker.series.tokens_busy if number is not None]
    if not waiting or not busy:
        return None
    totals = [worker.series.tokens_total for worker in evidence.workers]
    share = sum(number > 0 for number in waiting) / len(waiting)
    measurements = {
        "waiting_share": share,
        "most_waiting": max(waiting),
        "most_busy": max(busy),
        "threads": max((total for total in totals if total is not None), default=None),
    }
    return Diagnosis(share >= WAITING_SHARE, measurements)


def _threads(measurements: Measurements) -> str:
    """Return `40 threads`."""
    threads = number_in(measurements, "threads")
    return number_of(threads, "thread") if threads else "the pool's threads"


def _waited(measurements: Measurements) -> str:
    threads, share = _threads(measurements), share_in(measurements, "waiting_share")
    return f"requests waited for one of {threads} in {share} of the samples"


def _no_wait(measurements: Measurements) -> str:
    return (
        _waited(measurements)
        if number_in(measurements, "waiting_share")
        else "no request waited for a thread"
    )


def _pool(measurements: Measurements) -> str:
    if number_in(measurements, "waiting_share"):
        return f"up to {count_in(measurements, 'most_waiting')} waited at once"
    if not number_in(measurements, "most_busy"):
        return f"none of {_threads(measurements)} was busy"
    busy = number_in(measurements, "most_busy")
    return f"at most {count(busy)} of {_threads(measurements)} {were(busy)} busy"


POOL_EXHAUSTED = CauseRule(
    id="pool_exhausted",
    label="Thread pool full",
    short="pool full",
    judge=pool_exhausted,
    value=lambda measurements: (
        f"{count_in(measurements, 'most_busy')} of {measurements['threads'] or 'the pool’s'} busy"
    ),
    found=_waited,
    ruled_out=_no_wait,
    detail=_pool,
    watched="thread pool",
)


ALL_IN_FLIGHT = 0.9
"""From here on the mean in flight is that of all users, who hardly pause."""

_CLIENTS_OWN = "the client was at its limit, and requests can have waited there"


def workers_full(evidence: Evidence) -> Diagnosis | None:
    """Judge by what was in flight on average whether it was more than a WSGI server has places.

    None for other servers, which take any number of requests at once.
    """
    target = evidence.spec.target.started
    if target is None or not target.workers or not is_wsgi(target.server, target.worker):
        return None
    places = target.workers * (target.threads or 1)
    in_flight = max(sum(trial.client.in_flight.values()) for trial in evidence.trials)
    loads = [stream.load for stream in evidence.spec.workload.streams]
    users = sum(load.users for load in loads)
    all_asked = not any(load.is_open for load in loads) and in_flight >= ALL_IN_FLIGHT * users
    measurements: Measurements = {
        "places": places,
        "workers": target.workers,
        "threads": target.threads,
        "in_flight": in_flight,
        "asked": users if all_asked else None,
    }
    full = in_flight * (1 - WAITING_SHARE) >= places
    if full and any(reason.gate == "client_cpu" for reason in evidence.validity.reasons):
        return Diagnosis(None, {**measurements, "why": _CLIENTS_OWN})
    return Diagnosis(full, measurements)


def _served(measurements: Measurements) -> str:
    """Return `8 requests at once are served (2 workers × 4 threads), 64 were asked`."""
    workers, threads = number_in(measurements, "workers"), number_in(measurements, "threads")
    parts = [number_of(workers, "worker"), *([number_of(threads, "thread")] if threads else [])]
    served = number_of(number_in(measurements, "places"), "request")
    verb = "is" if number_in(measurements, "places") == 1 else "are"
    times = f"{SPACE}×{SPACE}".join(parts)
    return f"{served} at once {verb} served ({times}), {_asked(measurements)}"


def _asked(measurements: Measurements) -> str:
    if measurements["asked"]:
        return f"{count_in(measurements, 'asked')} {were(number_in(measurements, 'asked'))} asked"
    return f"{figures(number_in(measurements, 'in_flight'), 2)} were in flight on average"


def _others_waited(measurements: Measurements) -> str:
    more = number_in(measurements, "in_flight") > number_in(measurements, "places")
    return "the others waited for one that was over" if more else ""


WORKERS_FULL = CauseRule(
    id="workers_full",
    label="Workers full",
    short="workers full",
    judge=workers_full,
    value=lambda measurements: (
        f"{figures(number_in(measurements, 'in_flight'), 2)} in flight, "
        f"{count_in(measurements, 'places')} served"
    ),
    found=_served,
    ruled_out=_served,
    detail=_others_waited,
)


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

    The kernel of Linux spreads connections, not requests, over the listeners of one port
    (SO_REUSEPORT): a connection stays with the worker that its hash fell to.
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
    """Return the share of the window in which a worker computed, stood still or was occupied."""
    if worker.cpu_share is None or not worker.window_s:
        return None
    stood = blocked_s(worker, floor_s) / worker.window_s
    return max(worker.cpu_share, stood, occupied_share([worker]) or 0.0)


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


def workers_recycled(evidence: Evidence) -> Diagnosis | None:
    """Find workers that ended by design; None where there were none."""
    recycled = sum(trial.target.recycled or 0 for trial in evidence.trials)
    return Diagnosis(found=True, measurements={"workers": recycled}) if recycled else None


def _number_recycled(measurements: Measurements) -> str:
    return number_of(number_in(measurements, "workers"), "worker")


def _recycled(measurements: Measurements) -> str:
    return f"{_number_recycled(measurements)} ended by design, at the server’s limit of requests"


WORKERS_RECYCLED = CauseRule(
    id="workers_recycled",
    label="Workers that ended by design",
    short="workers recycled",
    judge=workers_recycled,
    value=_number_recycled,
    found=_recycled,
    ruled_out=_recycled,
    detail=lambda _: "requests wait for those that take their place, and may be broken off",
)

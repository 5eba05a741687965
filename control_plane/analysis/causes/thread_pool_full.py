"""Every place was taken and requests waited: threads of the pool, workers of a WSGI server."""

from control_plane.analysis.causes.evidence import (
    CauseRule,
    Diagnosis,
    Evidence,
    Measurements,
    count_in,
    number_in,
    share_in,
)
from control_plane.domain.server_command_lines import is_wsgi
from control_plane.domain.units import SPACE, count, figures

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
    return count_in(measurements, "threads") if measurements["threads"] else "the pool's"


def _waited(measurements: Measurements) -> str:
    threads, share = _threads(measurements), share_in(measurements, "waiting_share")
    return f"requests waited for one of {threads} threads in {share} of the samples"


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
    return f"at most {count_in(measurements, 'most_busy')} of {_threads(measurements)} were busy"


POOL_EXHAUSTED = CauseRule(
    id="pool_exhausted",
    label="Thread pool full",
    short="pool full",
    judge=pool_exhausted,
    value=lambda measurements: (
        f"{count_in(measurements, 'most_busy')} of {_threads(measurements)} busy"
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
    parts = [_several(workers, "worker"), *([_several(threads, "thread")] if threads else [])]
    served = _several(number_in(measurements, "places"), "request")
    verb = "is" if number_in(measurements, "places") == 1 else "are"
    times = f"{SPACE}×{SPACE}".join(parts)
    return f"{served} at once {verb} served ({times}), {_asked(measurements)}"


def _several(number: float, name: str) -> str:
    return f"{count(number)} {name}{'' if number == 1 else 's'}"


def _asked(measurements: Measurements) -> str:
    if measurements["asked"]:
        return f"{count_in(measurements, 'asked')} were asked"
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

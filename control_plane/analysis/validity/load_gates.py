"""Gates on what the client sent: all of it, on time, over as many connections as it needed."""

from collections.abc import Iterator, Sequence

from control_plane.analysis.validity.gate import ERRORS_SUSPECT, Level, percent, trial_suffix
from control_plane.domain.limits import BUSY_SHARE
from control_plane.domain.load_models import Burst, Closed, Open, concurrency_of
from control_plane.domain.result import Reason, Summary, Trial
from control_plane.domain.spec import Spec, Stream
from control_plane.domain.units import count, figures, seconds, share

SENT_SUSPECT, SENT_INVALID = 0.99, 0.95
LATE_SEND_S, LATE_SEND_SHARE = 0.001, 0.1
ROOM = 0.5
"""Below this part of what could be in flight on average, the answers were not what was late."""

OWN_LIMITS = {
    "no_local_port": (
        "this machine had no local port left",
        "Reuse connections, or send fewer requests.",
    ),
    "no_files": (
        "the load worker could open no more files",
        "Lower the concurrency, or raise `ulimit -n`.",
    ),
}
"""Error classes of the client itself: what it lacked, and what to do."""

Case = tuple[Trial, Stream, Summary]


def not_sent(trials: Sequence[Trial], spec: Spec) -> Reason | None:
    """Open streams: requests that were sent over those that were meant to start."""
    cases = [case for case in _open(trials, spec) if case[2].intended]
    if not cases:
        return None
    trial, stream, worst = min(cases, key=lambda case: _sent_share(case[2]))
    value = _sent_share(worst)
    if not worst.not_sent:
        total = sum(one.intended for _, _, one in cases)
        return Reason("not_sent", "ok", f"All {count(total)} requests were sent.", 1, SENT_SUSPECT)
    text = (
        f"{count(worst.not_sent)} of {count(worst.intended)} requests were never sent"
        f"{trial_suffix(trial, trials)}"
    )
    if value >= SENT_SUSPECT:
        return Reason("not_sent", "ok", f"{text}.", value, SENT_SUSPECT)
    level: Level = "invalid" if value < SENT_INVALID else "suspect"
    limit = SENT_INVALID if level == "invalid" else SENT_SUSPECT
    why = _why_unsent(trial, concurrency_of(stream.load), worst)
    text += f", so {share(value)} were (limit {percent(limit)}): {why}"
    return Reason("not_sent", level, text, value, limit)


def client_exhausted(trials: Sequence[Trial]) -> Reason | None:
    """Silent unless this machine had no port or file left for a request; the worst stream."""
    cases = [(trial, one) for trial in trials for one in trial.streams if _kept_here(one)]
    if not cases:
        return None
    trial, worst = max(cases, key=lambda case: _kept_here(case[1]))
    found = _kept_here(worst)
    kind = max(OWN_LIMITS, key=lambda name: worst.errors.get(name, 0))
    lacked, remedy = OWN_LIMITS[kind]
    text = (
        f"{count(found)} of {count(worst.requests)} requests could not be sent"
        f"{trial_suffix(trial, trials)}: {lacked}. The client was at its limit, not the target. "
        f"{remedy}"
    )
    return Reason("client_exhausted", "suspect", text, found, 0)


def late_send(trials: Sequence[Trial], spec: Spec) -> Reason | None:
    """Open streams: p99 of the send lag against the larger of 1 ms and 10 % of the median."""
    cases = [(trial, one, _lag(one)) for trial, _, one in _open(trials, spec) if one.send_lag_s]
    if not cases:
        return None
    trial, worst, value = max(cases, key=lambda case: case[2] / _late_limit_s(case[1]))
    limit = _late_limit_s(worst)
    text = (
        f"1 % of the requests were sent {seconds(value)} and more after their time"
        f"{trial_suffix(trial, trials)}"
    )
    if value <= limit:
        return Reason("late_send", "ok", f"{text}.", value, limit)
    text += (
        f" (limit {seconds(limit)}): the client was late, or the requests waited for a free slot. "
        "The response time holds that wait, the service time does not."
    )
    return Reason("late_send", "suspect", text, value, limit)


def pool(trials: Sequence[Trial], spec: Spec) -> Reason | None:
    """Kept connections against the requests in flight: each needs one of its own.

    Users who never think are all in flight; else the average counts. With new connections each
    request makes its own, and none waits for another's. Where connections could not be made and
    the errors say so, this gate does not say it again.
    """
    cases = [case for case in _pooled(trials, spec) if _needed(case)]
    if not cases:
        return None
    case = min(cases, key=lambda one: _open_connections(one) / _needed(one))
    trial = case[0]
    had, needed = _open_connections(case), _needed(case)
    text = f"{count(had)} connections for {_flying(case)}{trial_suffix(trial, trials)}"
    if had >= needed:
        return Reason("pool", "ok", f"{text}.", had, needed)
    text += ": requests waited inside the client, so the target saw a smaller concurrency."
    return Reason("pool", "invalid", text, had, needed)


def _open(trials: Sequence[Trial], spec: Spec) -> Iterator[Case]:
    for trial, stream, summary in _cases(trials, spec):
        if isinstance(stream.load, Open):
            yield trial, stream, summary


def _pooled(trials: Sequence[Trial], spec: Spec) -> Iterator[Case]:
    for trial, stream, summary in _cases(trials, spec):
        known = {stream.name} <= trial.client.in_flight.keys() & trial.client.connections.keys()
        kept = spec.client.reuse_connections and not isinstance(stream.load, Burst)
        if known and kept and not _unconnected(summary):
            yield trial, stream, summary


def _cases(trials: Sequence[Trial], spec: Spec) -> Iterator[Case]:
    streams = {stream.name: stream for stream in spec.workload.streams}
    for trial in trials:
        for summary in trial.streams:
            if summary.name in streams:
                yield trial, streams[summary.name], summary


def _unconnected(stream: Summary) -> bool:
    """Connections could not be made, and so often that the gate for errors says it."""
    classes = {"refused", *OWN_LIMITS}
    return bool(stream.errors.keys() & classes) and (stream.error_share or 0.0) > ERRORS_SUSPECT


def _needed(case: Case) -> int:
    trial, stream, summary = case
    users = _always_there(stream)
    return round(trial.client.in_flight[summary.name]) if users is None else users


def _always_there(stream: Stream) -> int | None:
    """The users of a closed load that has no pauses; None for any other.

    Where a number of requests is shared out the last users may find none left.
    """
    load, timed = stream.load, stream.stop.duration_s is not None
    if timed and isinstance(load, Closed) and not load.think_time_s:
        return load.concurrency
    return None


def _flying(case: Case) -> str:
    users = _always_there(case[1])
    if users is None:
        return f"{figures(case[0].client.in_flight[case[2].name])} requests in flight on average"
    return f"{count(users)} users who always have a request in flight"


def _why_unsent(trial: Trial, slots: int, worst: Summary) -> str:
    """The client is named where it was at its limit, or late while there was room."""
    busy, flying = trial.client.busiest_cpu_share, trial.client.in_flight.get(worst.name)
    if busy >= BUSY_SHARE:
        return (
            f"the client used {share(busy)} of a core, so it may be what was too slow. Lower the "
            "rate, use a quicker client or more processes."
        )
    if flying is not None and flying < ROOM * slots and _lag(worst) > _late_limit_s(worst):
        return (
            f"{count(slots)} could be in flight and {figures(flying)} were on average, so the "
            "client was late, not the answers. Lower the rate, or use more processes."
        )
    return (
        f"{count(slots)} could be in flight, and the answers came too slowly. Lower the rate, or "
        "allow more in flight."
    )


def _open_connections(case: Case) -> int:
    return case[0].client.connections[case[2].name]


def _kept_here(stream: Summary) -> int:
    """Requests that never left this machine."""
    return sum(stream.errors.get(kind, 0) for kind in OWN_LIMITS)


def _sent_share(stream: Summary) -> float:
    return stream.sent / stream.intended


def _lag(stream: Summary) -> float:
    return stream.send_lag_s.p99 if stream.send_lag_s else 0.0


def _late_limit_s(stream: Summary) -> float:
    """Of the median service time, which does not hold the lag itself."""
    times = stream.service_time_s
    return max(LATE_SEND_S, LATE_SEND_SHARE * times.p50 if times else 0.0)

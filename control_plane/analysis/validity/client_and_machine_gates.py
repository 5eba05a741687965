"""Gates on the load: all of it sent, on time, by a client and a machine that had room for it."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from control_plane.analysis.validity import (
    CORES,
    COUNT,
    SECONDS,
    SHARE,
    Gate,
    GateLimits,
    Judgement,
    MeasuredRun,
    StreamCase,
    judgement,
    percent,
)
from control_plane.analysis.validity.response_gates import ERRORS_SUSPECT
from control_plane.domain.limits import BUSY_SHARE, FEW_CORES, OWN_CPU, THROTTLED_SHARE
from control_plane.domain.result import MachineUse, Summary, Trial
from control_plane.domain.spec import Stream
from control_plane.domain.units import SPACE, count, figures, number_of, seconds, share, were

FREE_SHARE = 0.5
"""Below this part of what could be in flight on average, the responses were not what was late."""

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


def client_cpu(run: MeasuredRun) -> Judgement | None:
    """Judge the busiest load worker, without the time that it spent spinning.

    None against the bare responder, where a client is meant to be at its limit.
    """
    if run.spec.target.is_responder:
        return None
    worst = max(run.trials, key=lambda trial: trial.client.busiest_cpu_share)
    value = worst.client.busiest_cpu_share
    text = f"Client CPU {share(value)} of one core{run.where(worst)}"
    doubt = f" (limit {percent(BUSY_SHARE)}): read the numbers as facts about the client."
    return judgement(CLIENT_CPU.limits, value, text, doubt)


CLIENT_CPU = Gate(
    "client_cpu", "Client CPU", SHARE, GateLimits("<", suspect=BUSY_SHARE, note=" of one core"),
    "the client was at its limit", client_cpu,
)  # fmt: skip


def client_exhausted(run: MeasuredRun) -> Judgement | None:
    """Judge the stream with most requests for which this machine had no port or file left.

    None where it had enough for all of them.
    """
    cases = [(trial, stream) for trial, stream in run.streams if _unsendable(stream)]
    if not cases:
        return None
    trial, worst = max(cases, key=lambda case: _unsendable(case[1]))
    value = _unsendable(worst)
    kind = max(OWN_LIMITS, key=lambda name: worst.errors.get(name, 0))
    lacked, remedy = OWN_LIMITS[kind]
    requests = number_of(worst.requests, "request")
    text = f"{count(value)} of {requests} could not be sent{run.where(trial)}"
    doubt = f": {lacked}. The client was at its limit, not the target. {remedy}"
    return judgement(CLIENT_EXHAUSTED.limits, value, text, doubt)


CLIENT_EXHAUSTED = Gate(
    "client_exhausted", "Requests the client could not send", COUNT, GateLimits("=", suspect=0),
    "the client had no ports or files left", client_exhausted,
)  # fmt: skip


def not_sent(run: MeasuredRun) -> Judgement | None:
    """Judge the requests of open streams that were sent, over those that were meant to start."""
    cases = [case for case in _open_cases(run) if case[2].intended]
    if not cases:
        return None
    trial, stream, worst = min(cases, key=lambda case: _sent_share(case[2]))
    value = _sent_share(worst)
    if not worst.not_sent:
        total = sum(summary.intended for _, _, summary in cases)
        return judgement(SENT.limits, 1, _all_sent(total), "")
    text = (
        f"{count(worst.not_sent)} of {number_of(worst.intended, 'request')} "
        f"{were(worst.not_sent)} never sent{run.where(trial)}"
    )
    why = _why_unsent(trial, stream.load.users, worst)
    doubt = f", so {share(value)} were (limit {percent(SENT.limits.limit(value) or 0)}): {why}"
    return judgement(SENT.limits, value, text, doubt)


SENT = Gate(
    "not_sent", "Sent of those intended", SHARE, GateLimits("≥", suspect=0.99, invalid=0.95),
    "requests were never sent", not_sent,
)  # fmt: skip


def _all_sent(total: int) -> str:
    return f"All {count(total)} requests were sent" if total > 1 else "The only request was sent"


LATE_SEND_S, LATE_SEND_SHARE = 0.001, 0.1


def late_send(run: MeasuredRun) -> Judgement | None:
    """Judge the p99 of the send lag of open streams: against 1 ms, or 10 % of the median where
    that is more.
    """
    cases = [(trial, summary) for trial, _, summary in _open_cases(run) if summary.send_lag_s]
    if not cases:
        return None
    trial, worst = max(cases, key=lambda case: _lag_s(case[1]) / _lag_limit_s(case[1]))
    value, limit = _lag_s(worst), _lag_limit_s(worst)
    text = (
        f"1 % of the requests were sent {seconds(value)} and more after their time"
        f"{run.where(trial)}"
    )
    doubt = (
        f" (limit {seconds(limit)}): the client was late, or the requests waited for a free slot. "
        "The response time holds that wait, the service time does not."
    )
    return judgement(replace(SEND_LAG.limits, suspect=limit), value, text, doubt)


SEND_LAG = Gate(
    "late_send", "Send lag, p99", SECONDS,
    GateLimits(
        "≤", note=f"{1000 * LATE_SEND_S:g}{SPACE}ms or {percent(LATE_SEND_SHARE)} of the median"
    ),
    "requests were sent late", late_send,
)  # fmt: skip


def pool(run: MeasuredRun) -> Judgement | None:
    """Judge the kept connections against the requests in flight: each needs one of its own.

    Users who never think are all in flight; else the average counts. With new connections each
    request makes its own, and none waits for another's; so it is where the server ended kept ones.
    Where connections could not be made and the errors say so, this gate does not say it again.
    """
    cases = [case for case in _pooled_cases(run) if _in_flight(case)]
    if not cases:
        return None
    case = min(cases, key=lambda case: _connections(case) / _in_flight(case))
    value, needed = _connections(case), _in_flight(case)
    text = f"{number_of(value, 'connection')} for {_in_flight_text(case)}{run.where(case[0])}"
    doubt = ": requests waited inside the client, so the target saw a smaller concurrency."
    return judgement(replace(CONNECTIONS.limits, invalid=needed), value, text, doubt)


CONNECTIONS = Gate(
    "pool", "Connections of the client", COUNT, GateLimits("≥", note="requests in flight"),
    "the client had too few connections", pool,
)  # fmt: skip


def _open_cases(run: MeasuredRun) -> Iterator[StreamCase]:
    return (case for case in run.cases if case[1].load.is_open)


def _pooled_cases(run: MeasuredRun) -> Iterator[StreamCase]:
    for trial, stream, summary in run.cases:
        known = {stream.name} <= trial.client.in_flight.keys() & trial.client.connections.keys()
        kept = run.spec.client.reuse_connections and stream.load.keeps_connections
        if known and kept and not _unconnected(summary) and not _ended_by_server(trial, summary):
            yield trial, stream, summary


def _ended_by_server(trial: Trial, stream: Summary) -> bool:
    """Whether more connections were replaced than the client ends itself, after errors."""
    opened = trial.client.new_connections.get(stream.name, 0)
    return opened > trial.client.connections[stream.name] + sum(stream.errors.values())


def _unconnected(stream: Summary) -> bool:
    """Whether connections could not be made so often that the gate for errors says it."""
    classes = {"refused", *OWN_LIMITS}
    return bool(stream.errors.keys() & classes) and (stream.error_share or 0.0) > ERRORS_SUSPECT


def _in_flight(case: StreamCase) -> int:
    trial, stream, summary = case
    users = _constant_users(stream)
    return round(trial.client.in_flight[summary.name]) if users is None else users


def _constant_users(stream: Stream) -> int | None:
    """Return the users of a closed load that has no pauses; None for any other.

    Where a number of requests is shared out the last users may find none left.
    """
    return None if stream.stop.duration_s is None else stream.load.busy_users


def _in_flight_text(case: StreamCase) -> str:
    users = _constant_users(case[1])
    if users is None:
        return f"{figures(case[0].client.in_flight[case[2].name])} requests in flight on average"
    has = "has" if users == 1 else "have"
    return f"{number_of(users, 'user')} who always {has} a request in flight"


def _why_unsent(trial: Trial, slots: int, worst: Summary) -> str:
    """Return the likely reason; the client where it was at its limit, or late in spite of room."""
    busy, in_flight = trial.client.busiest_cpu_share, trial.client.in_flight.get(worst.name)
    if busy >= BUSY_SHARE:
        return (
            f"the client used {share(busy)} of a core, so it may be what was too slow. Lower the "
            "rate, use a quicker client or more processes."
        )
    late = _lag_s(worst) > _lag_limit_s(worst)
    if late and in_flight is not None and in_flight < FREE_SHARE * slots:
        return (
            f"{count(slots)} could be in flight and {figures(in_flight)} were on average, so the "
            "client was late, not the answers. Lower the rate, or use more processes."
        )
    return (
        f"{count(slots)} could be in flight, and the answers came too slowly. Lower the rate, or "
        "allow more in flight."
    )


def _connections(case: StreamCase) -> int:
    return case[0].client.connections[case[2].name]


def _unsendable(stream: Summary) -> int:
    """Return the number of requests that never left this machine."""
    return sum(stream.errors.get(kind, 0) for kind in OWN_LIMITS)


def _sent_share(stream: Summary) -> float:
    return stream.sent / stream.intended


def _lag_s(stream: Summary) -> float:
    return stream.send_lag_s.p99 if stream.send_lag_s else 0.0


def _lag_limit_s(stream: Summary) -> float:
    """Return the limit by the median service time, which does not hold the lag itself."""
    times = stream.service_time_s
    return max(LATE_SEND_S, LATE_SEND_SHARE * (times.p50 or 0.0) if times else 0.0)


OTHER_CPU = 0.2
MOST_TOLD, TOLD_CPU = 3, 0.05
"""So many other programs are named, and none that used fewer cores."""


def other_load(run: MeasuredRun) -> Judgement | None:
    """Judge the cores used by all but target and client.

    The control plane is one of the others where it used more than `OWN_CPU`.
    """
    worst = _worst(run, lambda trial: trial.client.other_cpu)
    if worst is None:
        return None
    trial, cores = worst
    machine = trial.machine or MachineUse()
    own = {"Looplab itself": machine.control_cores or 0.0}
    programs = {**(own if own["Looplab itself"] > OWN_CPU else {}), **machine.programs}
    text = f"Other processes used {figures(cores, 2)}{SPACE}cores{run.where(trial)}"
    if programs and cores > OTHER_CPU:
        told = [(name, used) for name, used in programs.items() if used >= TOLD_CPU][:MOST_TOLD]
        named = (f"{name} {figures(min(used, cores), 2)}" for name, used in told)
        text = f"{text}, of which {', '.join(named)}" if told else text
    doubt = (
        f" (limit {OTHER_CPU}). They slowed client or target; name one that works for the target, "
        "such as a database, under belongs."
    )
    return judgement(OTHER_LOAD.limits, cores, text, doubt)


OTHER_LOAD = Gate(
    "other_load", "Other processes", CORES, GateLimits("≤", suspect=OTHER_CPU),
    "other processes were at work", other_load,
)  # fmt: skip


def viewers(run: MeasuredRun) -> Judgement | None:
    """Judge what Looplab itself used, most of it for pages; None on more than `FEW_CORES`."""
    worst = _worst(run, lambda trial: trial.machine.control_cores if trial.machine else None)
    if worst is None:
        return None
    trial, cores = worst
    text = f"Looplab itself used {figures(cores, 2)}{SPACE}cores{run.where(trial)}"
    doubt = (
        f" (limit {OWN_CPU}) to show pages and answer programs, on a machine of "
        f"{FEW_CORES} cores at most: close pages while it measures, and ask for the run seldomer."
    )
    return judgement(VIEWERS.limits, cores, text, doubt)


VIEWERS = Gate(
    "viewers", "Looplab itself", CORES, GateLimits("≤", suspect=OWN_CPU),
    "pages of Looplab were at work", viewers,
)  # fmt: skip


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
    return judgement(CLIENT_THROTTLED.limits, worst.share, text, doubt)


CLIENT_THROTTLED = Gate(
    "client_throttled", "Client held back by its quota", SHARE,
    GateLimits("<", suspect=THROTTLED_SHARE, note=" of the periods"),
    "the kernel held the client back", client_throttled,
)  # fmt: skip


def stolen(run: MeasuredRun) -> Judgement | None:
    """Judge the cores that the host of a virtual machine gave to others; None where unknown."""
    worst = _worst(run, lambda trial: trial.machine.stolen_cores if trial.machine else None)
    if worst is None:
        return None
    trial, cores = worst
    text = f"The host took {figures(cores, 2)}{SPACE}cores from this machine{run.where(trial)}"
    limit = STOLEN.limits.suspect
    doubt = f" (limit {limit}): target and client waited for others’ virtual machines."
    return judgement(STOLEN.limits, cores, text, doubt)


STOLEN = Gate(
    "stolen", "Taken by the host", CORES, GateLimits("≤", suspect=0.1),
    "the host gave cores to others", stolen,
)  # fmt: skip


def overheated(run: MeasuredRun) -> Judgement | None:
    """Judge how often cores were slowed down for their heat; None where that cannot be read."""
    worst = _worst(run, lambda trial: trial.machine.overheated if trial.machine else None)
    if worst is None:
        return None
    trial, times = worst
    text = f"Cores were slowed down for their heat {number_of(times, 'time')}{run.where(trial)}"
    return judgement(OVERHEATED.limits, times, text, ": let the machine cool down, then run again.")


OVERHEATED = Gate(
    "overheated", "Slowed down for heat", COUNT, GateLimits("=", suspect=0),
    "cores were slowed down for their heat", overheated,
)  # fmt: skip


def _worst(
    run: MeasuredRun, measured: Callable[[Trial], float | None]
) -> tuple[Trial, float] | None:
    """Return the trial in which most was measured, with that; None where nothing was."""
    cases = [(trial, value) for trial in run.trials if (value := measured(trial)) is not None]
    return max(cases, key=lambda case: case[1], default=None)


def recorder(run: MeasuredRun) -> Judgement | None:
    """Judge by Little's law: the time in the system, over the window, must equal the users."""
    cases = [(trial, ratio) for trial in run.trials for ratio in trial.client.little_ratio.values()]
    if not cases:
        return None
    trial, ratio = max(cases, key=lambda case: abs(case[1] - 1))
    value = abs(ratio - 1)
    text = f"Times in the system miss the users by {share(value)}{run.where(trial)}"
    doubt = f" (limit {percent(LITTLE.limits.limit(value) or 0)}): the times do not add up."
    return judgement(LITTLE.limits, value, text, doubt)


LITTLE = Gate(
    "recorder", "Little’s law, off by", SHARE, GateLimits("≤", invalid=0.10),
    "the recorded times do not add up", recorder,
)  # fmt: skip

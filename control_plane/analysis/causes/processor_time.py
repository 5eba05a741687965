"""The time of the processor: that of the target, its quota, the client, garbage collection."""

from collections.abc import Iterator

from control_plane.analysis.causes.evidence import (
    CauseRule,
    Diagnosis,
    Evidence,
    Measurements,
    count_in,
    mean_of,
    number_in,
    share_in,
    window_s,
)
from control_plane.domain.limits import BUSY_SHARE, THROTTLED_SHARE
from control_plane.domain.observations import Gauges, GaugeSeries
from control_plane.domain.result import Trial
from control_plane.domain.units import SPACE, number_of, seconds, share

LEAST_CORES = 0.5
"""Where others leave less, the gate of other load says so, and shares would be chance."""

MORE_THAN_ONE = 1.1
"""What a sample can be off, one process with one interpreter stays below."""

_BOUND = "each of its processes used about one core, and whether it can use more is not known"


def server_cpu(evidence: Evidence) -> Diagnosis | None:
    """Judge the busiest processes of the target, as many as it has workers, against what they
    could get.

    A worker is bound to one core, unless a process was seen to use more. Not decided where nobody
    said how many workers a command has, and its processes use a core each. None where its
    processes cannot be seen.
    """
    pairs = zip(evidence.trials, evidence.gauges, strict=True)
    used = [
        cores
        for trial, gauges in pairs
        if (cores := _cores_used(trial, gauges, evidence)) is not None
    ]
    if not used:
        return None
    workers, cores = evidence.worker_count, sum(used) / len(used)
    free = sum(_cores_available(trial, evidence) for trial in evidence.trials) / len(
        evidence.trials
    )
    bound = None if _threaded(evidence) else evidence.configured_workers
    could = max(cores, free if bound is None else min(float(bound), free))
    measurements: Measurements = {
        "cpu_share": cores / could,
        "cores_used": cores,
        "cores_available": could,
        "quota_cores": _quota_cores(evidence),
        "workers": workers,
        "cpu_s_per_request": evidence.streams[0].cpu_s_per_request if evidence.streams else None,
    }
    unknown = evidence.configured_workers is None and not _threaded(evidence)
    if unknown and cores / could < BUSY_SHARE <= cores / workers:
        return Diagnosis(None, {**measurements, "why": _BOUND})
    return Diagnosis(cores / could >= BUSY_SHARE, measurements)


def _quota_cores(evidence: Evidence) -> float | None:
    quotas = (trial.target.throttling for trial in evidence.trials)
    return min((quota.quota_cores for quota in quotas if quota), default=None)


def _threaded(evidence: Evidence) -> bool:
    """Whether one process used clearly more than one core."""
    processes = (process for gauges in evidence.gauges for process in _target_processes(gauges))
    shares = (mean_of(process.cpu_share) for process in processes)
    return max((share for share in shares if share is not None), default=0.0) > MORE_THAN_ONE


def client_limited(evidence: Evidence) -> Diagnosis | None:
    """Judge the client as its gates did: its processor, and its ports and files."""
    judged = {reason.gate: reason for reason in evidence.validity.judged}
    cpu, exhausted = judged.get("client_cpu"), judged.get("client_exhausted")
    if exhausted is None and (cpu is None or cpu.value is None):
        return None
    measurements: dict[str, float | str | None] = {
        "cpu_share": cpu.value if cpu else None,
        "limit": BUSY_SHARE,
        "strategy": evidence.spec.client.strategy,
        "unsent": exhausted.value if exhausted else None,
    }
    busy = cpu is not None and cpu.level != "ok"
    return Diagnosis(busy or exhausted is not None, measurements)


def _cores_used(trial: Trial, gauges: Gauges, evidence: Evidence) -> float | None:
    """Return the cores in use.

    Masters and companions beside the workers do not count unless they are busier.
    """
    means = (mean_of(process.cpu_share) for process in _target_processes(gauges))
    shares = sorted((share for share in means if share is not None), reverse=True)
    if shares:
        return sum(shares[: evidence.configured_workers])
    if trial.target.cpu_s is None or not window_s(trial):
        return None
    return trial.target.cpu_s / window_s(trial)


def _target_processes(gauges: Gauges) -> Iterator[GaugeSeries]:
    """Yield its own processes: a database that counts to it is no worker."""
    return (
        process for process in gauges.processes if process.role == "target" and not process.program
    )


def _cores_available(trial: Trial, evidence: Evidence) -> float:
    """Return the target's own cores, or all; but no more than others left of the machine."""
    length_s, own = window_s(trial), trial.target.cores
    if evidence.cpu_count is None or not length_s:
        return float(evidence.worker_count if own is None else len(own))
    client, others = trial.client.cpu_s / length_s, trial.client.other_cpu or 0.0
    left = max(LEAST_CORES, evidence.cpu_count - client - others)
    bounds = [left, *([len(own)] if own else [])]
    if trial.target.throttling:
        bounds.append(trial.target.throttling.quota_cores)
    return min(map(float, bounds))


def _cpu(measurements: Measurements) -> str:
    available = number_in(measurements, "cores_available")
    used = share_in(measurements, "cpu_share")
    if round(available, 1) == 1:
        return f"the target used {used} of one core"
    cores = measurements.get("cores_used")
    could = f"{round(available, 1):g}{SPACE}cores that it could get"
    quota = measurements.get("quota_cores")
    taken = ", as the rest of the machine was in use" if available < 1 else ""
    if isinstance(quota, float) and available >= quota:
        taken = ", which is the quota of its group of processes"
    whole = f" ({share(cores)} of one core)" if isinstance(cores, float) else ""
    return f"the target used {used} of the {could}{taken}{whole}"


def _cpu_per_request(measurements: Measurements) -> str:
    spent_s = measurements["cpu_s_per_request"]
    return f"each request cost {seconds(float(spent_s))} of processor time" if spent_s else ""


def _client(measurements: Measurements) -> str:
    if measurements.get("unsent"):
        return (
            "the client had no ports or files left for "
            f"{number_of(number_in(measurements, 'unsent'), 'request')}"
        )
    return f"the busiest client process used {share_in(measurements, 'cpu_share')} of one core"


def _client_in_short(measurements: Measurements) -> str:
    unsent = f"{count_in(measurements, 'unsent')} unsent"
    return unsent if measurements.get("unsent") else share_in(measurements, "cpu_share")


def _asked_less(measurements: Measurements) -> str:
    busy = number_in(measurements, "cpu_share") >= number_in(measurements, "limit")
    limited = busy or bool(measurements.get("unsent"))
    return "it may not have asked for all that the target could give" if limited else ""


SERVER_CPU = CauseRule(
    id="server_cpu",
    label="Target CPU",
    short="target CPU",
    judge=server_cpu,
    value=lambda measurements: share_in(measurements, "cpu_share"),
    found=_cpu,
    ruled_out=_cpu,
    detail=_cpu_per_request,
    watched="processor of the target",
)


CLIENT_LIMITED = CauseRule(
    id="client_limited",
    label="Client at its limit",
    short="client limited",
    judge=client_limited,
    value=_client_in_short,
    found=_client,
    ruled_out=_client,
    detail=_asked_less,
    watched="client",
)


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


def _periods(measurements: Measurements) -> str:
    periods = number_of(number_in(measurements, "periods"), "period")
    return f"{count_in(measurements, 'throttled')} of {periods}"


def _held_back(measurements: Measurements) -> str:
    held_s = seconds(number_in(measurements, "throttled_s"))
    return f"the kernel held the target back in {_periods(measurements)}, {held_s} in all"


def _quota(measurements: Measurements) -> str:
    quota = number_in(measurements, "quota_cores")
    cores = "core" if quota == 1 else "cores"
    return f"its group of processes may use {quota:.3g}{SPACE}{cores}"


HELD_BACK = CauseRule(
    id="held_back",
    label="CPU quota",
    short="CPU quota",
    judge=held_back,
    value=_periods,
    found=_held_back,
    ruled_out=_held_back,
    detail=_quota,
)


COLLECTION_SHARE = 0.1
"""Below a tenth of the window no collection could give back a tenth of the throughput."""

_LONGER = "it lasted longer than the workers ran, so other programs had the processor in between"


def garbage_collection(evidence: Evidence) -> Diagnosis | None:
    """Judge the share of collections in the time in which workers were watched.

    None where it was not seen. Not decided where collections lasted longer than workers ran.
    """
    measured = [
        (worker, [value for value in worker.series.gc_s if value is not None])
        for worker in evidence.workers
    ]
    known = [(worker, seen) for worker, seen in measured if seen]
    watched_s = sum(len(seen) * worker.interval_s for worker, seen in known)
    if not watched_s:
        return None
    share = sum(sum(seen) for _, seen in known) / watched_s
    ran = [worker.cpu_share for worker, _ in known if worker.cpu_share is not None]
    interval_s = known[0][0].interval_s
    most_s = min(interval_s, max(max(seen) for _, seen in known))
    measurements: Measurements = {
        "gc_share": min(1.0, share),
        "most_s": most_s,
        "interval_s": interval_s,
    }
    if share >= COLLECTION_SHARE and ran and share > sum(ran) / len(ran):
        return Diagnosis(None, {**measurements, "why": _LONGER})
    return Diagnosis(share >= COLLECTION_SHARE, measurements)


def _collected(measurements: Measurements) -> str:
    return f"garbage collection took {share_in(measurements, 'gc_share')} of the window"


def _most_collected(measurements: Measurements) -> str:
    most_s, interval_s = number_in(measurements, "most_s"), number_in(measurements, "interval_s")
    return f"at most {seconds(most_s)} within {seconds(interval_s)}" if most_s else ""


GARBAGE_COLLECTION = CauseRule(
    id="garbage_collection",
    label="Garbage collection",
    short="collections",
    judge=garbage_collection,
    value=lambda measurements: f"{share_in(measurements, 'gc_share')} of window",
    found=_collected,
    ruled_out=_collected,
    detail=_most_collected,
    watched="garbage collection",
)

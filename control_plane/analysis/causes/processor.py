"""The processor was the limit: that of the target, or that of the client."""

from control_plane.analysis.causes.evidence import Evidence, Finding, mean, window_s
from control_plane.analysis.validity import CLIENT_CPU
from control_plane.domain.result import Gauges, Trial

SERVER_CPU = 0.85
"""The wait for a server grows as 1 / (1 - load): at 85 % a request takes over six times its own
time (M/M/1; L. Kleinrock, Queueing Systems, 1975)."""


LEAST_CORES = 0.5
"""Where others leave less, the gate of other load says so, and shares would be chance."""


def server_cpu(evidence: Evidence) -> Finding | None:
    """The busiest processes of the target, as many as it has workers, against what they could get.

    One worker cannot use more than one core. None where its processes cannot be seen.
    """
    pairs = zip(evidence.trials, evidence.gauges, strict=True)
    used = [
        cores for trial, gauges in pairs if (cores := _used(trial, gauges, evidence)) is not None
    ]
    if not used:
        return None
    workers, cores = evidence.worker_count, sum(used) / len(used)
    free = sum(_available(trial, evidence) for trial in evidence.trials) / len(evidence.trials)
    could = max(cores, min(float(workers), free))
    share = cores / could
    facts = {
        "cpu_share": share,
        "cores_used": cores,
        "cores_available": could,
        "workers": workers,
        "cpu_s_per_request": evidence.streams[0].cpu_s_per_request if evidence.streams else None,
    }
    return Finding("server_cpu", share >= SERVER_CPU, facts)


def client_limited(evidence: Evidence) -> Finding | None:
    """As the gate of the same measure judged it."""
    judged = [one for one in evidence.validity.judged if one.gate == "client_cpu"]
    if not judged or judged[0].value is None:
        return None
    facts: dict[str, float | str | None] = {
        "cpu_share": judged[0].value,
        "limit": CLIENT_CPU,
        "strategy": evidence.spec.client.strategy,
    }
    return Finding("client_limited", judged[0].level != "ok", facts)


def _used(trial: Trial, gauges: Gauges, evidence: Evidence) -> float | None:
    """Cores; masters and companions beside the workers do not count unless they are busier."""
    series = (mean(one.cpu_share) for one in gauges.processes if one.role == "target")
    shares = sorted((one for one in series if one is not None), reverse=True)
    if shares:
        return sum(shares[: evidence.worker_count])
    if trial.target.cpu_s is None or not window_s(trial):
        return None
    return trial.target.cpu_s / window_s(trial)


def _available(trial: Trial, evidence: Evidence) -> float:
    """Its own cores, or all; but no more than client and other programs left of the machine."""
    length_s, own = window_s(trial), trial.target.cores
    count = float(evidence.worker_count if own is None else len(own))
    if evidence.cpu_count is None or not length_s:
        return count
    client, others = trial.client.cpu_s / length_s, trial.client.other_cpu or 0.0
    left = max(LEAST_CORES, evidence.cpu_count - client - others)
    return left if own is None else min(count, left)

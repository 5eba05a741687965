"""Gates: whether the numbers of a run may be believed. Pure, with the evidence in the text."""

from collections.abc import Sequence

from control_plane.analysis.summary import error_kinds, mean_with_waiting_s
from control_plane.analysis.validity.gate import ERRORS_SUSPECT, Level, percent, trial_suffix
from control_plane.analysis.validity.load_gates import client_exhausted, late_send, not_sent, pool
from control_plane.analysis.validity.steadiness import not_steady
from control_plane.domain.bare_responder import faces_responder
from control_plane.domain.limits import BUSY_SHARE
from control_plane.domain.load_models import Open
from control_plane.domain.result import Reason, Summary, Trial, Validity
from control_plane.domain.spec import Spec
from control_plane.domain.units import SPACE, count, figures, seconds, share

CENSORED_SHARE = 0.5
LITTLE = 0.10
OTHER_CPU = 0.2
ACK_LOW_S, ACK_HIGH_S = 0.030, 0.050


def judge(trials: Sequence[Trial], merged: Sequence[Summary], spec: Spec) -> Validity:
    """Judge every gate that applies; the worst trial decides.

    `merged` holds one summary for each stream. Against the bare responder a client is meant to be
    at its limit. Outcome None: there was nothing to judge.
    """
    if not trials or not merged:
        return Validity(None)
    gates = (
        completed(trials),
        errors(trials, spec.max_error_share),
        None if faces_responder(spec) else client_cpu(trials),
        client_exhausted(trials),
        not_sent(trials, spec),
        late_send(trials, spec),
        pool(trials, spec),
        censored(trials, spec),
        recorder(trials),
        target_restarted(trials),
        delayed_ack(trials),
        not_steady(trials),
        other_load(trials),
    )
    judged = tuple(reason for reason in gates if reason is not None)
    fired = sorted(
        (one for one in judged if one.level != "ok"), key=lambda one: one.level != "invalid"
    )
    if not fired:
        return Validity("valid", (), judged)
    return Validity("invalid" if fired[0].level == "invalid" else "suspect", tuple(fired), judged)


def completed(trials: Sequence[Trial]) -> Reason | None:
    """Silent unless a stream of a trial has nothing to show at all; names the first such trial."""
    for trial in trials:
        empty = [one.name for one in trial.streams if not one.completed]
        if empty:
            names = f" in {', '.join(empty)}" if len(trial.streams) > 1 else ""
            text = f"No request completed{names}{trial_suffix(trial, trials)}."
            return Reason("completed", "invalid", text, 0, 1)
    return None


def errors(trials: Sequence[Trial], most: float = 0.01) -> Reason:
    """The stream and trial with the largest error share; over `most` it makes the run invalid."""
    cases = [(trial, stream) for trial in trials for stream in trial.streams]
    trial, worst = max(cases, key=lambda case: case[1].error_share or 0.0)
    failed, value = sum(worst.errors.values()), worst.error_share or 0.0
    if not failed:
        total = sum(stream.completed for _, stream in cases)
        return Reason("errors", "ok", f"0 of {count(total)} requests failed.", 0, ERRORS_SUSPECT)
    ended = count(worst.completed + failed)
    place = trial_suffix(trial, trials)
    text = f"{count(failed)} of {ended} requests failed{place}: {error_kinds([worst])}"
    level: Level = "invalid" if value > most else "suspect"
    limit = most if level == "invalid" else ERRORS_SUSPECT
    if value <= limit:
        return Reason("errors", "ok", f"{text}.", value, limit)
    return Reason("errors", level, f"{text} (limit {percent(limit)}).", value, limit)


def client_cpu(trials: Sequence[Trial]) -> Reason:
    """The busiest load worker, time spent spinning excluded."""
    worst = max(trials, key=lambda trial: trial.client.busiest_cpu_share)
    value = worst.client.busiest_cpu_share
    text = f"Client CPU {share(value)} of one core{trial_suffix(worst, trials)}"
    if value < BUSY_SHARE:
        return Reason("client_cpu", "ok", f"{text}.", value, BUSY_SHARE)
    text += f" (limit {percent(BUSY_SHARE)}): read the numbers as facts about the client."
    return Reason("client_cpu", "suspect", text, value, BUSY_SHARE)


def censored(trials: Sequence[Trial], spec: Spec) -> Reason | None:
    """Streams that stop by duration: the oldest request in flight against its window."""
    timed = {one.name for one in spec.workload.streams if one.stop.duration_s is not None}
    cases = [(trial, one) for trial in trials for one in trial.streams if one.name in timed]
    if not cases:
        return None
    trial, worst = max(cases, key=lambda case: _oldest_share(case[1]))
    value, age_s = _oldest_share(worst), worst.censored.max_age_s
    if not worst.censored.count:
        return Reason("censored", "ok", _none_left(spec, worst.name), value, CENSORED_SHARE)
    number = f"{count(worst.censored.count)} of {count(worst.requests)} requests"
    ended = "were in flight when the window ended"
    if worst.censored.awaited_s:
        ended = f"had no end {seconds(worst.censored.awaited_s)} after the window"
    waiting = f"{number} {ended}{trial_suffix(trial, trials)}, the oldest for {seconds(age_s)}"
    if value <= CENSORED_SHARE:
        return Reason("censored", "ok", f"{waiting}.", value, CENSORED_SHARE)
    text = f"{waiting}, over half the window of {seconds(worst.duration_s)}.{_with_waiting(worst)}"
    return Reason("censored", "suspect", text, value, CENSORED_SHARE)


def recorder(trials: Sequence[Trial]) -> Reason | None:
    """Little's law: the time in the system, over the window, must equal the users."""
    cases = [(trial, ratio) for trial in trials for ratio in trial.client.little_ratio.values()]
    if not cases:
        return None
    trial, ratio = max(cases, key=lambda case: abs(case[1] - 1))
    off = abs(ratio - 1)
    text = f"Times in the system miss the users by {share(off)}{trial_suffix(trial, trials)}"
    if off <= LITTLE:
        return Reason("recorder", "ok", f"{text}.", off, LITTLE)
    text += f" (limit {percent(LITTLE)}): the times do not add up."
    return Reason("recorder", "invalid", text, off, LITTLE)


def target_restarted(trials: Sequence[Trial]) -> Reason | None:
    """Only for a target that we started."""
    cases = [(trial, trial.target.restarts) for trial in trials]
    known = [(trial, number) for trial, number in cases if number is not None]
    if not known:
        return None
    trial, number = max(known, key=lambda case: case[1])
    if not number:
        return Reason("target_restarted", "ok", "No worker of the target ended.", 0, 0)
    workers = "1 worker" if number == 1 else f"{number} workers"
    text = f"{workers} of the target died or restarted{trial_suffix(trial, trials)}."
    return Reason("target_restarted", "invalid", text, number, 0)


def delayed_ack(trials: Sequence[Trial]) -> Reason | None:
    """Only for a target that we started and that answered the self-check."""
    known = [(trial, trial.target.delayed_ack_s) for trial in trials]
    cases = [(trial, slower_s) for trial, slower_s in known if slower_s is not None]
    if not cases:
        return None
    fired = [case for case in cases if ACK_LOW_S <= case[1] <= ACK_HIGH_S]
    trial, slower_s = max(fired or cases, key=lambda case: case[1])
    if not fired:
        text = "The first requests on one connection took equally long."
        return Reason("delayed_ack", "ok", text, max(slower_s, 0.0), ACK_LOW_S)
    text = (
        f"On one connection each request after the first took {seconds(slower_s)} longer"
        f"{trial_suffix(trial, trials)}: its answer waits for a delayed ACK, because the workers’ "
        "listener lacks TCP_NODELAY. Use uvloop, or one worker without reload."
    )
    return Reason("delayed_ack", "suspect", text, slower_s, ACK_LOW_S)


def other_load(trials: Sequence[Trial]) -> Reason | None:
    """Cores used by processes that are neither target, client nor control plane."""
    known = [(trial, trial.client.other_cpu) for trial in trials]
    cases = [(trial, cores) for trial, cores in known if cores is not None]
    if not cases:
        return None
    trial, cores = max(cases, key=lambda case: case[1])
    text = f"Other processes used {figures(cores, 2)}{SPACE}cores{trial_suffix(trial, trials)}"
    if cores <= OTHER_CPU:
        return Reason("other_load", "ok", f"{text}.", cores, OTHER_CPU)
    text += f" (limit {OTHER_CPU}): they slowed client or target."
    return Reason("other_load", "suspect", text, cores, OTHER_CPU)


def _none_left(spec: Spec, stream: str) -> str:
    load = next(one.load for one in spec.workload.streams if one.name == stream)
    if isinstance(load, Open):
        return "No request was left without an end, in the window or after it."
    return "No request was in flight when the window ended."


def _oldest_share(stream: Summary) -> float:
    return (stream.censored.max_age_s or 0.0) / stream.duration_s if stream.duration_s else 0.0


def _with_waiting(stream: Summary) -> str:
    truth, done = mean_with_waiting_s(stream), stream.response_time_s
    if truth is None or done is None or truth <= done.mean:
        return ""
    shown = f"{seconds(truth)}, not {seconds(done.mean)}"
    return f" Counting those still waiting, the mean is at least {shown}."

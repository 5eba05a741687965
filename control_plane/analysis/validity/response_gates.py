"""Gates on the responses: enough of them, times that add up, and one target that answered."""

from collections.abc import Sequence
from dataclasses import replace

from control_plane.analysis.summary import error_kinds, mean_with_waiting_s
from control_plane.analysis.validity import (
    COUNT,
    SECONDS,
    SHARE,
    Gate,
    GateLimits,
    Judgement,
    MeasuredRun,
    judgement,
    percent,
)
from control_plane.domain.endless_responses import EVENT_STREAM
from control_plane.domain.limits import MAX_ERROR_SHARE
from control_plane.domain.result import Summary, Trial
from control_plane.domain.secrets import is_secret_header
from control_plane.domain.spec import RequestClass, Spec
from control_plane.domain.stream_record import REDIRECTS
from control_plane.domain.units import count, number_of, seconds, were


def completed(run: MeasuredRun) -> Judgement | None:
    """Judge the first trial in which a stream has nothing to show; None where every one has."""
    for trial in run.trials:
        empty = [stream for stream in trial.streams if not stream.completed]
        if empty:
            names = ", ".join(stream.name for stream in empty)
            named = f" in {names}" if len(trial.streams) > 1 else ""
            text = f"No request completed{named}{run.where(trial)}"
            return judgement(COMPLETED.limits, 0, text, f".{endless_note(run.spec, empty[0])}")
    return None


COMPLETED = Gate(
    "completed", "Completed requests", COUNT, GateLimits("≥", invalid=1),
    "no request completed", completed,
)  # fmt: skip


ERRORS_SUSPECT = 0.001
"""From this share of failed requests on, errors are worth a doubt; pages mark them, too."""


def error_limits(spec: Spec) -> GateLimits:
    """Return the limits of errors, with that of the spec for an invalid run."""
    return replace(ERRORS.limits, invalid=spec.max_error_share)


def errors(run: MeasuredRun) -> Judgement:
    """Judge the stream and trial with the largest share of errors."""
    limits = error_limits(run.spec)
    trial, worst = max(run.streams, key=lambda case: case[1].error_share or 0.0)
    failed, value = sum(worst.errors.values()), worst.error_share or 0.0
    if not failed:
        total = sum(stream.completed for _, stream in run.streams)
        if not total:
            return judgement(limits, 0, "No request ended, so none failed", "")
        return judgement(limits, 0, f"0 of {number_of(total, 'request')} failed", "")
    ended = number_of(worst.completed + failed, "request")
    where, kinds = run.where(trial), error_kinds([worst])
    text = f"{count(failed)} of {ended} failed{where}: {kinds}"
    limit = f" (limit {percent(limits.limit(value) or 0)})."
    return judgement(limits, value, text, f"{limit}{_usual_reason(run.spec, trial, worst)}")


ERRORS = Gate(
    "errors", "Errors", SHARE, GateLimits("≤", suspect=ERRORS_SUSPECT, invalid=MAX_ERROR_SHARE),
    "requests failed", errors, error_limits,
)  # fmt: skip


_USUAL_REASONS = {
    "400": "what was sent has not the shape that the target wants: look at its names and types, "
    "and at the Host that it accepts (host)",
    "401": "the target wants to know who asks: add the header, such as Authorization or Cookie",
    "403": "whoever asks may not do this: add the header, such as Authorization or Cookie",
    "404": "what the path names is not there: look at the path and at its values",
    "409": "what was sent is there already: let a value of the kind uuid, string or sequence make "
    "it unique, without repeat",
    "422": "what was sent has not the shape that the target wants: look at its names and types",
    "429": "the target limits how often it may be asked",
}


_REFUSED = "the target refuses who asks: look at the value of {header}, which is sent"
_DRAWN_APART = (
    ". Values that are drawn each by itself, such as user and password, seldom belong together"
)


_ENDED_WRONG = ("redirect", "status", "content")
"""Errors of responses that came whole."""


def endless(spec: Spec, stream: Summary) -> str:
    """Return `GET /events answers with text/event-stream, which had no end within 2 s`.

    Empty where no answers went on that told no end, or where most of them ended. Those that ended
    as errors count, too: of these one may be on its way when the window ends.
    """
    begun = stream.begun
    declared = next((part for part in spec.workload.streams if part.name == stream.name), None)
    if begun is None or declared is None or not begun.unfinished:
        return ""
    wrong = sum(stream.errors.get(name, 0) for name in _ENDED_WRONG)
    for place, media_type in begun.open_ends.items():
        completed = 0 if media_type == EVENT_STREAM else stream.completed
        if begun.unfinished >= completed + wrong:
            when = f"within {seconds(spec.timeout_s)}" if begun.timeouts else "when the window did"
            return endless_text(declared.requests[int(place)], media_type, when)
    return ""


def endless_text(request: RequestClass, media_type: str, when: str) -> str:
    """Return what is wrong with an answer of which no end came: `when` says by which time."""
    if request.until:
        return f"{request.line} is read {request.until.label}, which did not come {when}"
    what = f"a stream of {media_type}" if media_type else "a body without a length"
    return f"{request.line} answers with {what} that had no end {when}"


UNTIL_REMEDY = "Read it until an event, for a time or some bytes (until of its request class)."


def endless_note(spec: Spec, stream: Summary, *, said: bool = False) -> str:
    """Return a sentence on answers that had no end, with its remedy, after a space.

    Empty where there is none, or where it is `said` elsewhere.
    """
    found = "" if said else endless(spec, stream)
    return f" {found}. {UNTIL_REMEDY}" if found else ""


def _usual_reason(spec: Spec, trial: Trial, stream: Summary) -> str:
    """Return a sentence on the status of more than half of the answers; empty for any other."""
    if "timeout" in stream.errors and (
        note := endless_note(spec, stream, said=not stream.completed)
    ):
        return note
    answered = sum(stream.statuses.values())
    if 2 * stream.errors.get("content", 0) > answered:
        return " Mostly content: the body was another than expected; the first one is kept."
    code = max(stream.statuses, key=lambda code: stream.statuses[code], default="")
    if 2 * stream.statuses.get(code, 0) <= answered:
        return ""
    if "redirect" in stream.errors and int(code) in REDIRECTS:
        return f" Mostly {code}: {redirect_advice((trial,), stream)}."
    if "status" not in stream.errors or code not in _USUAL_REASONS:
        return ""
    reason = _USUAL_REASONS[code]
    return f" Mostly {code}: {_refusal(spec, stream, reason) if code in _REFUSALS else reason}."


_REFUSALS = ("401", "403")


def _refusal(spec: Spec, stream: Summary, usual: str) -> str:
    """Return why the target refuses who asks; `usual` where no header says who that is."""
    requests = next(found for found in spec.workload.streams if found.name == stream.name).requests
    sent = [name for request in requests for name in request.headers if is_secret_header(name)]
    reason = _REFUSED.format(header=sent[0]) if sent else usual
    return reason + (_DRAWN_APART if any(len(request.values) > 1 for request in requests) else "")


_PERMANENT = ("301", "308")


def redirect_advice(trials: Sequence[Trial], stream: Summary) -> str:
    """Return `GET /items/17 leads to /items/17/: measure the path that answers, or expect 301 …`.

    Of its most frequent status. A path on another host is not named.
    """
    status = max(stream.statuses, key=lambda code: stream.statuses[code])
    led = (
        f"{failed.request} leads to {path}"
        for trial in trials
        for failed in trial.failures
        if (failed.stream, failed.status) == (stream.name, int(status))
        and (path := failed.leads_to(*_origins(trial)))
    )
    where = next(led, "redirects are not followed")
    login = "" if status in _PERMANENT else ", send what it wants where that is a login"
    return f"{where}: measure the path that answers{login}, or expect {status} where that is right"


def _origins(trial: Trial) -> tuple[str, ...]:
    host = trial.target.host
    return (trial.target.address, *((f"http://{host}",) if host else ()))


def censored(run: MeasuredRun) -> Judgement | None:
    """Judge the oldest request in flight against its window, in streams that stop by duration."""
    cases = [case for case in run.cases if case[1].stop.duration_s is not None]
    if not cases:
        return None
    trial, stream, worst = max(cases, key=lambda case: _oldest_share(case[2]))
    value, age_s = _oldest_share(worst), worst.censored.max_age_s
    if not worst.censored.count:
        text = "No request was in flight when the window ended"
        if stream.load.is_open:
            text = "No request was left without an end, in the window or after it"
        return judgement(CENSORED.limits, value, text, "")
    number = f"{count(worst.censored.count)} of {number_of(worst.requests, 'request')}"
    ended = f"{were(worst.censored.count)} in flight when the window ended"
    if worst.censored.awaited_s:
        ended = f"had no end {seconds(worst.censored.awaited_s)} after the window"
    for_s = f"{'the oldest ' if worst.censored.count > 1 else ''}for {seconds(age_s)}"
    text = f"{number} {ended}{run.where(trial)}, {for_s}"
    doubt = f", over half the window of {seconds(worst.duration_s)}.{_with_waiting(worst)}"
    doubt += endless_note(run.spec, worst, said=not worst.completed)
    return judgement(CENSORED.limits, value, text, doubt)


CENSORED = Gate(
    "censored", "Oldest in flight at the end", SHARE,
    GateLimits("≤", suspect=0.5, note=" of the window"),
    "requests waited for over half the window", censored,
)  # fmt: skip


def target_restarted(run: MeasuredRun) -> Judgement | None:
    """Judge the workers that ended, but for those that their server ends after so many requests.

    None where nobody watched the target's processes.
    """
    cases = [trial for trial in run.trials if trial.target.restarts is not None]
    if not cases:
        return None
    trial = max(cases, key=lambda trial: (_died(trial), trial.target.recycled or 0))
    died, recycled = _died(trial), trial.target.recycled or 0
    where = run.where(trial)
    also = f"{number_of(recycled, 'worker')} ended at the server’s limit of requests{where}"
    if not died:
        none = also if recycled else "No worker of the target ended"
        return judgement(RESTARTS.limits, 0, none, "")
    text = f"{number_of(died, 'worker')} of the target died or restarted{where}"
    if run.spec.target.started is None:
        text = (
            f"At least {number_of(died, 'worker')} of the target ended{where}{_SEEN_FROM_OUTSIDE}"
        )
    return judgement(RESTARTS.limits, died, text, f". Besides, {also}." if recycled else ".")


RESTARTS = Gate(
    "target_restarted", "Target restarts", COUNT, GateLimits("=", invalid=0),
    "a worker of the target ended", target_restarted,
)  # fmt: skip


_SEEN_FROM_OUTSIDE = (
    ": from outside short lives are missed, and a limit of requests cannot be told from a death"
)


def _died(trial: Trial) -> int:
    return (trial.target.restarts or 0) - (trial.target.recycled or 0)


def code_changed(run: MeasuredRun) -> Judgement | None:
    """Judge how many versions of the application's code the trials measured; None where its
    repository tells of fewer than two trials.
    """
    codes = [trial.target.code for trial in run.trials]
    known = [code for code in codes if code is not None]
    if len(known) < 2:
        return None
    value = len(set(known))
    if value == 1:
        same = "All trials measured the same code of the application"
        return judgement(CODES.limits, 1, same, "")
    first = next(number for number, code in enumerate(codes, 1) if code not in {None, known[0]})
    text = f"The code of the application was changed while it was measured, before trial {first}"
    doubt = ": the numbers are of both. Run it again, and leave the code as it is meanwhile."
    return judgement(CODES.limits, value, text, doubt)


CODES = Gate(
    "code_changed", "Versions of the code", COUNT, GateLimits("=", suspect=1),
    "the code changed on the way", code_changed,
)  # fmt: skip


ACK_LOW_S, ACK_HIGH_S = 0.030, 0.050


def delayed_ack(run: MeasuredRun) -> Judgement | None:
    """Judge how much longer responses took whose head was acknowledged late; None without a
    self-check.

    What took longer than a delayed ACK does has another cause.
    """
    measured = [(trial, trial.target.delayed_ack_s) for trial in run.trials]
    cases = [(trial, slower_s) for trial, slower_s in measured if slower_s is not None]
    if not cases:
        return None
    fired = [case for case in cases if ACK_LOW_S <= case[1] <= ACK_HIGH_S]
    trial, slower_s = max(fired or cases, key=lambda case: case[1])
    if not fired:
        text = "No response waited for a delayed ACK."
        return Judgement("ok", text, max(slower_s, 0.0), ACK_LOW_S)
    text = (
        f"On one connection each request after the first took {seconds(slower_s)} longer"
        f"{run.where(trial)}: its answer waits for a delayed ACK, because {_ack_remedy(run.spec)}"
    )
    return judgement(DELAYED_ACK.limits, slower_s, text, ".")


DELAYED_ACK = Gate(
    "delayed_ack", "Late ACK, slower by", SECONDS, GateLimits("<", suspect=ACK_LOW_S),
    "answers waited for a delayed ACK", delayed_ack,
)  # fmt: skip


def _ack_remedy(spec: Spec) -> str:
    """Return why, and what to do with this server."""
    target = spec.target.started
    if target is None or target.loop != "asyncio":
        return (
            "the server writes head and body apart and its connections lack TCP_NODELAY. Let it "
            "write both at once, or set TCP_NODELAY"
        )
    one_worker = ", or one worker without reload" if target.server == "uvicorn" else ""
    return f"the workers’ listener lacks TCP_NODELAY. Use uvloop{one_worker}"


def _oldest_share(stream: Summary) -> float:
    return (stream.censored.max_age_s or 0.0) / stream.duration_s if stream.duration_s else 0.0


def _with_waiting(stream: Summary) -> str:
    """Return a sentence with the mean that counts requests in flight; empty where it is no news."""
    lower_bound_s, done = mean_with_waiting_s(stream), stream.response_time_s
    if lower_bound_s is None or done is None or lower_bound_s <= done.mean_of_completed:
        return ""
    shown = f"{seconds(lower_bound_s)}, not {seconds(done.mean_of_completed)}"
    return f" Counting those still waiting, the mean is at least {shown}."

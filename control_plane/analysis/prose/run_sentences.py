"""The run page in words: its sentence, the lede, and the banner of what went wrong."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from control_plane.analysis.causes import cause_clause
from control_plane.analysis.comparison import invalid
from control_plane.analysis.field_labels import environment_facts, environment_line, settings_text
from control_plane.analysis.prose import Sentence, joined, number, sentence
from control_plane.analysis.start_hints import raised
from control_plane.analysis.summary import mean_with_waiting_s
from control_plane.analysis.validity.judged_run import GATES, gate_rows
from control_plane.analysis.validity.response_gates import UNTIL_REMEDY, endless, redirect_advice
from control_plane.domain.api_documents import run_document
from control_plane.domain.experiment import spare_blocks
from control_plane.domain.result import EarlyRequests, Summary, Validity
from control_plane.domain.run import Live, Run, RunDetail, State
from control_plane.domain.spec import BUNDLED, Spec, Stream
from control_plane.domain.target_addresses import is_here
from control_plane.domain.times_and_percentiles import (
    GREYED,
    Times,
    bounded,
    cut_off,
    far_percentile,
    unanswered_clause,
)
from control_plane.domain.unanswered import failed_text
from control_plane.domain.units import count, figures, number_of, seconds, were

_REMEDIES = {"404": "Correct the path", "405": "Correct the method or the path"}


def load_elsewhere(specs: Iterable[Spec]) -> tuple[str, ...]:
    """Return which other machines these runs ask, and how much; empty where load stays here."""
    asked = _asked_elsewhere((spec, spec.trials) for spec in specs)
    return tuple(f"{gets}, {number_of(times, 'time')}{warm}." for (gets, warm), times in asked)


def arms_elsewhere(specs: Iterable[Spec], blocks: int) -> tuple[str, ...]:
    """Return the same of the arms of an experiment, with the negative control.

    The burnt trial counts, and blocks that are measured again.
    """
    most = blocks + spare_blocks(blocks)
    asked = _asked_elsewhere((spec, most) for spec in specs)
    return tuple(f"{gets}, at most {times + 1:,} times{warm}." for (gets, warm), times in asked)


def _asked_elsewhere(specs: Iterable[tuple[Spec, int]]) -> Iterable[tuple[tuple[str, str], int]]:
    """Return who gets what, and after which warm-up, with the number of trials that ask it."""
    asked = Counter[tuple[str, str]]()
    for spec, trials in specs:
        if spec.target.started is None and not is_here(spec.target.url):
            streams = spec.workload.streams
            load = " and ".join(f"{each.load.long_label} for {each.stop.label}" for each in streams)
            warm = f", each after {spec.warmup_s:g} s of warm-up" if spec.warmup_s else ""
            asked[f"{spec.target.url} is another machine: it gets {load}", warm] += trials
    return asked.items()


def nothing_completed(run: Run) -> bool:
    """Whether requests were sent, and none of any stream completed."""
    completed = any(stream.completed for stream in run.streams)
    return bool(run.streams) and _failed(run) + _in_flight(run) > 0 and not completed


def all_failed_text(run: Run) -> str:
    """Return `All 8,331 requests failed: GET /itemz answered 404 every time.`"""
    if not _failed(run):
        if streaming := _streaming(run):
            return f"No answer ended: {streaming}."
        waited_s = max(stream.censored.max_age_s or 0.0 for stream in run.streams)
        number = _in_flight(run)
        return (
            f"No request was answered: {count(number)} {were(number)} still waiting "
            f"when the window ended, the longest for {seconds(waited_s)}."
        )
    failed, how = _failed(run), joined(_how(run, stream) for stream in run.streams)
    which = f"All {count(failed)} requests" if failed > 1 else "The only request"
    return f"{which} failed: {how}."


def failed_remedy(run: Run) -> str:
    """Return what to correct, where the status tells it; else empty text."""
    if _streaming(run):
        return UNTIL_REMEDY
    led = [
        stream for stream in run.streams if stream.statuses and set(stream.errors) == {"redirect"}
    ]
    if led:
        advice = redirect_advice(run.trials, led[0])
        return f"{advice[:1].upper()}{advice[1:]}."
    statuses = {status for stream in run.streams for status in stream.statuses}
    if len(statuses) != 1 or (remedy := _REMEDIES.get(*statuses)) is None:
        return ""
    bundled = run.spec.target.application == BUNDLED
    return f"{remedy}: Workloads lists what it serves." if bundled else f"{remedy}."


def _streaming(run: Run) -> str:
    return next(filter(None, (endless(run.spec, stream) for stream in run.streams)), "")


def _failed(run: Run) -> int:
    return sum(sum(stream.errors.values()) for stream in run.streams)


def _in_flight(run: Run) -> int:
    return sum(stream.censored.count for stream in run.streams)


def _how(run: Run, stream: Summary) -> str:
    """Return how the requests of a stream ended: `GET /itemz answered 404 every time`."""
    if streaming := endless(run.spec, stream):
        return streaming
    requests = _spec_of(run, stream).requests
    whole = f"{stream.name} requests"
    first = requests[0].line if len(requests) == 1 else whole
    if set(stream.errors) in ({"status"}, {"redirect"}) and len(stream.statuses) == 1:
        (status,) = stream.statuses
        return f"{first} answered {status} every time"
    if set(stream.errors) == {"content"} and len(stream.statuses) == 1:
        (status,) = stream.statuses
        return f"{first} answered {status} with another body than expected every time"
    named = joined(f"{count(many)} × {name}" for name, many in stream.errors.items())
    return f"{first} ended with {named or 'nothing'}"


def _spec_of(run: Run, stream: Summary) -> Stream:
    return next(found for found in run.spec.workload.streams if found.name == stream.name)


FAR_APART = 3
"""From this factor between tail and median on, the tail is the news."""

KEPT_UP = 0.95
"""Below this share of what an open load offers, responses come later the longer it lasts, so that
percentiles depend on its duration."""

CENSORED_FROM = 0.01
"""From this share of requests in flight at the end on, a sentence says of which it speaks."""

LONGEST_LINE = 60
"""Characters of a request that a headline can hold."""

BannerKind = Literal["invalid", "suspect", "failed", "cancelled", "interrupted"]

_EARLY: dict[State, BannerKind] = {
    State.FAILED: "failed",
    State.CANCELLED: "cancelled",
    State.INTERRUPTED: "interrupted",
}


@dataclass(frozen=True)
class Banner:
    """What went wrong with a run in few words, then the evidence."""

    kind: BannerKind
    title: str
    text: str


def headline(run: Run) -> Sentence:
    """Return median and the furthest percentile with full support as a sentence.

    The title where nothing can be said.
    """
    if run.state is State.FINISHED and nothing_completed(run):
        return sentence(all_failed_text(run))
    stream = run.streams[0] if run.streams else None
    times = stream.response_time_s if stream else None
    if run.state is not State.FINISHED or invalid(run) or not stream or not times:
        return sentence(run.title)
    which = _which(run, stream)
    if not _median_known(times):
        return _unanswered(run, times, which) or sentence(run.title)
    offered = offered_per_s(run, stream)
    if offered and stream.throughput_per_s < KEPT_UP * offered:
        return sentence(
            f"Of {figures(offered)} {which} a second that were offered, ",
            number(figures(stream.throughput_per_s)),
            f" were answered within the window{_because(run)}",
        )
    done = "completed " if _many_waiting(run, stream) else ""
    median = sentence(f"Half of the {done}{which} answer in ", number(seconds(times.p50)))
    rest = sentence(_lost(times), _because(run))
    tail = far_percentile(times)
    if tail is None:
        least = "at least " if bounded(times, "max") else ""
        return sentence(median, f", the slowest in {least}", number(seconds(times.max)), rest)
    value_s = times.percentile(tail[0]) or 0.0
    but = "but " if value_s > FAR_APART * (times.p50 or 0.0) else ""
    return sentence(median, f", {but}{tail[1]} takes over ", number(seconds(value_s)), rest)


def _which(run: Run, stream: Summary) -> str:
    """Return `small requests` of one of several streams, `GET /items requests` of one of a kind."""
    if len(run.streams) > 1:
        return f"{stream.name} requests"
    requests = _spec_of(run, stream).requests
    told = len(requests) == 1 and len(requests[0].line) <= LONGEST_LINE
    return f"{requests[0].line} requests" if told else "requests"


def _unanswered(run: Run, times: Times, which: str) -> Sentence:
    """Return how many had no answer, where those are half of them or more; else ()."""
    if times.p50 is not None or times.unanswered is None:
        return ()
    clause = unanswered_clause(times.unanswered)
    return sentence(f"Of the {which} ", number(clause), _because(run))


def _lost(times: Times) -> Sentence:
    """Return how many had no answer, where that leaves a percentile unknown; else ()."""
    if times.unanswered is None or not cut_off(times):
        return ()
    return sentence(", and ", number(unanswered_clause(times.unanswered)))


def _because(run: Run) -> str:
    """Return the end of the sentence, with the first cause that was found.

    A busy client is a reason to doubt instead.
    """
    found = [cause for cause in run.causes if cause.found and cause.cause != "client_limited"]
    return f": {cause_clause(found[0])}." if found else "."


def lede(run: Run) -> str:
    """Return how much was measured under which load, what failed and what still waited.

    Empty for a run without a result.
    """
    return " ".join(_lede_sentences(run))


def banner(run: Run) -> Banner | None:
    """Return what went wrong; None for a run that is valid or still under way."""
    if run.state in _EARLY:
        return _ended_early(run, _EARLY[run.state])
    validity = run.validity
    if validity is None or not validity.reasons:
        return None
    text = " ".join(reason.text for reason in validity.reasons)
    if validity.outcome == "invalid":
        text += " This run takes no part in comparisons."
        return Banner("invalid", f"Invalid: {_headlines(validity)}", text)
    return Banner("suspect", f"Suspect: {_headlines(validity)}", text)


def so_far(live: Live) -> str:
    """Return what the running trial has shown; no judgement before the end."""
    if live.obstacle:
        return f"The end of this run is not written yet. {live.obstacle}"
    measured = (stream for stream in live.streams if stream.throughput_per_s)
    first = next((stream for stream in measured if stream.response_time_s), None)
    if first is None:
        return f"So far: {_before(live.progress.trial)}."
    which = f"{first.name} requests" if len(live.streams) > 1 else "requests"
    rate, times = first.throughput_per_s or 0.0, first.response_time_s
    known = times is not None and _median_known(times)
    half = f"; half of them answer in {seconds(times.p50)}" if times and known else ""
    several = live.progress.trials > 1
    verdict = "No verdict before the last trial." if several else "One trial gives no verdict."
    return f"So far: {figures(rate)} {which} a second{half}. {verdict}"


def _median_known(times: Times) -> bool:
    """Whether enough samples lie beyond the median."""
    return times.p50 is not None and times.support.get("p50", 0) >= GREYED


def _many_waiting(run: Run, stream: Summary) -> bool:
    """Whether requests in flight at the end would change what is said of the completed ones."""
    if not stream.censored.count:
        return False
    reasons = run.validity.reasons if run.validity else ()
    fired = any(reason.gate == "censored" for reason in reasons)
    return fired or stream.censored.count >= CENSORED_FROM * stream.requests


def _before(trial: int) -> str:
    if trial < 2:
        return "nothing is measured yet"
    done = "1 trial is" if trial == 2 else f"{trial - 1} trials are"
    return f"{done} done, nothing of trial {trial} is measured yet"


def _lede_sentences(run: Run) -> Iterator[str]:
    if run.state is not State.FINISHED or not run.streams:
        return
    if nothing_completed(run):
        yield failed_remedy(run) or "Nothing completed, so there is nothing to compare."
        return
    first = run.streams[0]
    mean_s = max(stream.duration_s for stream in run.streams) / max(1, len(run.trials))
    trials = f"{len(run.trials)} trials of " if len(run.trials) > 1 else ""
    rates = joined(_rate(run, stream) for stream in run.streams)
    failures = [f"{count(_failed(run))} failed"] if _failed(run) else []
    failed = ", ".join([*failures, *filter(None, [failed_text(run.streams)])]) or "none failed"
    yield (
        f"{number_of(sum(stream.completed for stream in run.streams), 'request')} in "
        f"{trials}{seconds(mean_s)}: {rates}, {failed}."
    )
    yield from _waiting(first)
    if early := early_errors_text([s.before_window for s in run.streams if s.before_window]):
        yield early
    yield "One trial gives no verdict." if len(run.trials) == 1 else "A run alone has no interval."


def _rate(run: Run, stream: Summary) -> str:
    """Return `1,024 a second with 16 users`; with its name where it is one of several."""
    named = f" of {stream.name}" if len(run.streams) > 1 else ""
    users = _spec_of(run, stream).load.phrase(figures(offered_per_s(run, stream) or 0))
    return f"{figures(stream.throughput_per_s)} a second{named} {users}"


def offered_per_s(run: Run, stream: Summary) -> float | None:
    """Return the requests per second that were meant to start.

    None for a load that waits for responses.
    """
    specs = (spec for spec in run.spec.workload.streams if spec.name == stream.name)
    offers = any(spec.load.is_open for spec in specs)
    return stream.intended / stream.duration_s if offers else None


def _waiting(stream: Summary) -> Iterator[str]:
    mean_s, done = mean_with_waiting_s(stream), stream.response_time_s
    if mean_s is not None and done is not None and mean_s > 1.05 * done.mean_of_completed:
        yield (
            f"Counting the {count(stream.censored.count)} still waiting at the end, the mean is "
            f"at least {seconds(mean_s)}, not {seconds(done.mean_of_completed)}."
        )


def _headlines(validity: Validity) -> str:
    """Return what the gates of the worst level found."""
    level = validity.reasons[0].level
    worst = [reason for reason in validity.reasons if reason.level == level]
    return joined(GATES[reason.gate].headline for reason in worst)


def _ended_early(run: Run, kind: BannerKind) -> Banner:
    reason = run.reason or ""
    title = reason if reason.lower().startswith(kind) else f"{kind}: {reason}".rstrip(": ")
    title += raised(reason, run.log)
    text = [_kept(run)]
    if run.log:
        text.append("What the target printed last stands below.")
    return Banner(kind, title[:1].upper() + title[1:], " ".join(text))


def _kept(run: Run) -> str:
    """Return what is left of a run that ended early; its environment is known from a warm-up on."""
    done = len(run.trials)
    if not done:
        if run.started_at is None:
            return "It never began."
        under_way = "Trial 1 was under way and is not kept: only whole trials are."
        return "Nothing was measured." if run.environment is None else under_way
    trials = "Trial 1 is" if done == 1 else f"Trials 1 {'and' if done == 2 else 'to'} {done} are"
    return f"{trials} kept, of {run.spec.trials} planned. An unfinished run gives no verdict."


def requests_before_text(sent: Sequence[int]) -> str:
    """Return `12 requests before the window` from those of each trial; empty where none were."""
    if not any(sent):
        return ""
    each = " in each trial" if len(sent) > 1 else ""
    return f"{number_of(max(sent), 'request')} before the window{each}"


def early_errors_text(early: Sequence[EarlyRequests]) -> str:
    """Return how many requests failed before the window; empty where none did."""
    failed = sum(sum(part.errors.values()) for part in early)
    if not failed:
        return ""
    total = sum(part.requests for part in early)
    requests = number_of(total, "request")
    which = f"All {requests}" if failed == total else f"{count(failed)} of {requests}"
    return f"{which} before the window failed ({', '.join(_kinds(early))})."


def _kinds(early: Sequence[EarlyRequests]) -> Iterator[str]:
    names = dict.fromkeys(name for part in early for name in part.errors)
    for name in names:
        yield f"{count(sum(part.errors.get(name, 0) for part in early))} × {name}"


def told_of_run(detail: RunDetail) -> tuple[object, ...]:
    """Return all that is said of a run. Raises where it is not as we write runs."""
    run = detail.run
    facts = environment_facts(run), environment_line(run), settings_text(run.environment)
    said = headline(run), lede(run), banner(run), gate_rows(run.validity, run.spec)
    return *facts, *said, run_document(run, None)

"""What requests without an answer leave of the times of those that had one.

Nobody answered is not quick: percentiles are those of completed requests as far as the share of
requests that completed reaches, and no further.
"""

from collections import ChainMap
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import compress, zip_longest
from typing import TYPE_CHECKING, Any

from control_plane.domain.metrics_and_objectives import ERRORS_OR_NO_ANSWER
from control_plane.domain.result import BegunAnswers, Censored, Summary
from control_plane.domain.spec import Spec, Stream
from control_plane.domain.stream_record import UNANSWERED_CLASSES, StreamRecord, sum_counts
from control_plane.domain.times_and_percentiles import PERCENTILES, Times, Unanswered
from control_plane.domain.units import count, part_of

if TYPE_CHECKING:
    from control_plane.domain.histogram import Histogram


def with_unanswered(summary: Summary, deadline_s: float) -> Summary:
    """Return a summary whose times tell of requests without an answer.

    Those that come in are of the completed requests alone. `deadline_s` is that of a request.
    """
    lag_s = summary.send_lag_s.max if summary.send_lag_s else 0.0
    return replace(
        summary,
        failed_share=_failed_share(summary),
        first_byte_time_s=_bounded_first_byte(summary, deadline_s, lag_s),
        service_time_s=_bounded(summary.service_time_s, summary, deadline_s, lag_s),
        response_time_s=_bounded(summary.response_time_s, summary, deadline_s, 0.0),
    )


def _failed_share(summary: Summary) -> float | None:
    """Return the share of requests that failed in any way; None where there was none."""
    total = summary.failed + summary.completed
    return summary.failed / total if total else None


def failed_text(streams: Sequence[Summary]) -> str:
    """Return `errors or no answer: 0.8 %`; empty where all that failed were errors.

    Where none was an error, `1 without an answer (0.019 %)`.
    """
    failed = sum(stream.failed for stream in streams)
    errors = sum(sum(stream.errors.values()) for stream in streams)
    if failed == errors:
        return ""
    part = part_of(failed, failed + sum(stream.completed for stream in streams))
    if not errors:
        return f"{count(failed)} without an answer ({part})"
    return f"{ERRORS_OR_NO_ANSWER.lower()}: {part}"


def no_answer(errors: Mapping[str, int]) -> int:
    """Return how many of the errors by class ended without an answer."""
    return sum(number for name, number in errors.items() if name in UNANSWERED_CLASSES)


def unanswered_of(summary: Summary, deadline_s: float, lag_s: float = 0.0) -> Unanswered:
    """Return the requests of a stream without an answer.

    A timeout was waited for until the deadline, one in flight at the end for its age, less what it
    was sent late at most: `lag_s`, for the clock that runs from the actual start. How long others
    were waited for is not known.
    """
    timeouts, flying = summary.errors.get("timeout", 0), summary.censored.unanswered or 0
    unsent = max(0, summary.not_sent)
    count = no_answer(summary.errors) + flying + unsent
    return _waited_for(summary, (count, summary.completed), (timeouts, flying), deadline_s, lag_s)


def unanswered_of_all(trials: Sequence[Summary], deadline_s: float) -> Unanswered:
    """Return the requests without an answer of one stream over these trials."""
    if not trials:
        return Unanswered()
    together = replace(
        trials[0],
        completed=sum(trial.completed for trial in trials),
        errors=sum_counts(trial.errors for trial in trials),
        not_sent=sum(trial.not_sent for trial in trials),
        censored=merged_censored([trial.censored for trial in trials]),
    )
    return unanswered_of(together, deadline_s)


def _without_first_byte(
    summary: Summary, begun: BegunAnswers, deadline_s: float, lag_s: float
) -> Unanswered:
    """Return the requests of which no answer began.

    Ages were kept of all that was in flight, so they tell how long these were waited for only where
    none of the others had begun.
    """
    timeouts = summary.errors.get("timeout", 0) - begun.timeouts
    flying = (summary.censored.unanswered or 0) - begun.in_flight
    ended = summary.completed + sum(summary.errors.values())
    count = max(0, ended - begun.count) + flying + max(0, summary.not_sent)
    aged = 0 if begun.in_flight else flying
    return _waited_for(summary, (count, begun.count), (timeouts, aged), deadline_s, lag_s)


def _waited_for(
    summary: Summary,
    counts: tuple[int, int],
    waiting: tuple[int, int],
    deadline_s: float,
    lag_s: float,
) -> Unanswered:
    """Return the first of `counts` beside the second, which had an answer.

    `waiting` are those of them that timed out, and that were in flight at the end.
    """
    (count, others), (timeouts, flying) = counts, waiting
    waited = timeouts + flying
    share = unanswered_share(count, others)
    if not waited:
        return Unanswered(count, share, deadline_s)
    age_s = max(0.0, (summary.censored.unanswered_age_s or 0.0) - lag_s)
    oldest_s = max(0.0, (summary.censored.max_age_s or 0.0) - lag_s)
    return Unanswered(
        count,
        share,
        deadline_s,
        waited,
        (timeouts * deadline_s + flying * age_s) / waited,
        max(deadline_s if timeouts else 0.0, oldest_s if flying else 0.0),
    )


def censored_of(record: StreamRecord, longest_ns: int) -> Censored:
    """Return what was in flight at the end, of a stream whose slowest completed request is given.

    Where a request counts in the window in which it ends, each that was in flight at the end stands
    for one that was at the begin and ended inside. So only those count as unanswered there that had
    waited longer than any completed one took, and were not answered right after.
    """
    ages_ns, awaited_s = record.in_flight_ns, record.awaited_ns / 1e9
    if not ages_ns:
        return Censored(unserved=0, unanswered=0)
    older_ns = list(compress(ages_ns, _unanswered_mask(record, longest_ns)))
    unserved = sum(age - record.awaited_ns >= record.duration_ns for age in ages_ns)
    mean_s, oldest_s = sum(ages_ns) / len(ages_ns) / 1e9, max(ages_ns) / 1e9
    return Censored(
        len(ages_ns),
        mean_s,
        oldest_s,
        unserved,
        awaited_s,
        unanswered=len(older_ns),
        unanswered_age_s=sum(older_ns) / len(older_ns) / 1e9 if older_ns else None,
    )


def _unanswered_mask(record: StreamRecord, longest_ns: int) -> list[bool]:
    """Return which of those in flight at the end count as unanswered."""
    if record.answered is not None:
        return [True] * len(record.in_flight_ns)
    both = zip_longest(record.in_flight_ns, record.in_flight_answered, fillvalue=0)
    return [age > longest_ns and not came for age, came in both]


def begun_of(
    record: StreamRecord, first_byte: "Histogram | None", longest_ns: int
) -> BegunAnswers | None:
    """Return the answers that began; None where nobody looked."""
    if first_byte is None:
        return None
    flying = zip(_unanswered_mask(record, longest_ns), record.in_flight_begun, strict=True)
    return BegunAnswers(
        first_byte.total,
        record.begun_timeouts,
        sum(unanswered and begun for unanswered, begun in flying),
        record.open_ends,
    )


def merged_censored(parts: Sequence[Censored]) -> Censored:
    """Return what was in flight at the ends of all trials."""
    count = sum(part.count for part in parts)
    known = [part.unserved for part in parts if part.unserved is not None]
    unserved = sum(known) if len(known) == len(parts) else None
    older = sum(part.unanswered or 0 for part in parts)
    if not count:
        return Censored(unserved=unserved, unanswered=older)
    return Censored(
        count,
        sum(part.count * (part.mean_age_s or 0.0) for part in parts) / count,
        max(part.max_age_s or 0.0 for part in parts),
        unserved,
        max(part.awaited_s for part in parts),
        older,
        sum((part.unanswered or 0) * (part.unanswered_age_s or 0.0) for part in parts) / older
        if older
        else None,
    )


def merged_begun(parts: Sequence[BegunAnswers | None]) -> BegunAnswers | None:
    """Return those of all trials; None where one did not look."""
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    return BegunAnswers(
        sum(part.count for part in known),
        sum(part.timeouts for part in known),
        sum(part.in_flight for part in known),
        dict(ChainMap(*(dict(part.open_ends) for part in known))),
    )


def believed(share: float, completed: int, unanswered: int) -> bool:
    """Whether a percentile (`share`: from 0 to 1) lies within the requests that completed."""
    return round(share * (completed + unanswered), 6) <= completed


def unanswered_share(count: int, completed: int) -> float:
    """Return the share of requests without an answer of these and the completed ones together."""
    return count / (count + completed) if count else 0.0


def _bounded(
    times: Times | None, summary: Summary, deadline_s: float, lag_s: float
) -> Times | None:
    if times is None:
        return None
    return as_far_as_believed(times, summary.completed, unanswered_of(summary, deadline_s, lag_s))


def _bounded_first_byte(summary: Summary, deadline_s: float, lag_s: float) -> Times | None:
    times, begun = summary.first_byte_time_s, summary.begun
    if times is None or begun is None:
        return None
    found = _without_first_byte(summary, begun, deadline_s, lag_s)
    return as_far_as_believed(times, begun.count, found)


def as_far_as_believed(times: Times, completed: int, found: Unanswered) -> Times:
    """Return the times of completed requests as far as they hold beside those without an answer."""
    if not found.count:
        return replace(times, unanswered=found)
    beyond: dict[str, Any] = {
        name: None
        for name, share in PERCENTILES.items()
        if not believed(share, completed, found.count)
    }
    waited_s = found.waited * (found.mean_wait_s or 0.0)
    return replace(
        times,
        **beyond,
        mean=(completed * times.mean + waited_s) / (completed + found.waited),
        max=max(times.max, found.max_wait_s or 0.0),
        unanswered=found,
        at_least=("mean", "max"),
        completed_mean=times.mean,
        completed_max=times.max,
    )


def as_told_now(summary: Summary, spec: Spec) -> Summary:
    """Return a stored summary with what older versions did not tell, as far as it can be known.

    They kept the mean and the largest age of what was in flight at the end, and how many requests
    were during the whole window.
    """
    if summary.bytes_received_per_request is None:
        summary = replace(summary, bytes_received_per_request=body_bytes(summary))
    if summary.failed_share is None:
        summary = replace(summary, failed_share=_failed_share(summary))
    times = summary.response_time_s
    if times is None or times.unanswered is not None:
        return summary
    stream = next((stream for stream in spec.workload.streams if stream.name == summary.name), None)
    return with_unanswered(
        replace(summary, censored=_censored(summary, times, stream)), spec.timeout_s
    )


def body_bytes(summary: Summary) -> float | None:
    """Return the mean size of an answer's body, of those that were no success too; None of none."""
    answers = summary.completed + sum(summary.errors.values()) - no_answer(summary.errors)
    return summary.bytes_received / answers if answers else None


def _censored(summary: Summary, times: Times, stream: Stream | None) -> Censored:
    """Return what was in flight with how much of it counts, where single ages were not kept."""
    censored = summary.censored
    oldest_s = censored.max_age_s or 0.0
    if not censored.count:
        return replace(censored, unanswered=0)
    if stream is None or not counts_by_end(stream):
        return replace(censored, unanswered=censored.count, unanswered_age_s=censored.mean_age_s)
    older = max(censored.unserved or 0, int(oldest_s > times.max))
    mean_s = (oldest_s + (older - 1) * (censored.mean_age_s or 0.0)) / older if older else None
    return replace(censored, unanswered=older, unanswered_age_s=mean_s)


def counts_by_end(stream: Stream) -> bool:
    """Whether a request counts in the window in which it ends: closed, periodic, by duration."""
    return stream.stop.duration_s is not None and not stream.load.is_open

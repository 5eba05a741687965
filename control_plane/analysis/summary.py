"""From the raw records of load workers to the summary of a stream, of one trial or of all."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from control_plane.analysis.validity.steadiness import drift_share, least_waiting, silent_s
from control_plane.domain import histogram
from control_plane.domain.histogram import EMPTY, Histogram
from control_plane.domain.result import (
    ClientUse,
    EarlyRequests,
    SendLag,
    Summary,
    Timeline,
    WarmUp,
)
from control_plane.domain.run import StreamResult
from control_plane.domain.spec import Spec, Stream
from control_plane.domain.stream_record import Second, StreamRecord, merged_if_known, sum_counts
from control_plane.domain.times_and_percentiles import PERCENTILES, Times
from control_plane.domain.unanswered import (
    begun_of,
    believed,
    body_bytes,
    censored_of,
    merged_begun,
    merged_censored,
    with_unanswered,
)
from control_plane.domain.units import count


def summarize(
    record: StreamRecord,
    spec: Spec,
    *,
    target_cpu_s: float | None,
    target_peak_memory_bytes: int | None,
    completed_by_all: int | None = None,
) -> StreamResult:
    """Return the result of one stream of one trial.

    The target's processor time cannot be told apart by stream:
    it is divided by `completed_by_all`, the completed requests of all streams together (None: this
    is the only one). Both target values are None where the target's processes cannot be seen.
    """
    service = histogram.merge([second.service for second in record.seconds])
    response = histogram.merge([second.response for second in record.seconds])
    first_byte = merged_if_known([second.first_byte for second in record.seconds])
    shared_by = service.total if completed_by_all is None else completed_by_all
    summary = Summary(
        **_counts(service.total, record.errors, len(record.in_flight_ns)),
        name=record.name,
        statuses=dict(record.statuses),
        censored=censored_of(record, response.maximum_ns),
        intended=record.intended,
        sent=record.sent,
        not_sent=record.intended - record.sent,
        send_lag_s=_send_lag(record.send_lag),
        bytes_sent=record.bytes_sent,
        bytes_received=record.bytes_received,
        **_clocks(service, response, first_byte),
        duration_s=record.duration_ns / 1e9,
        throughput_per_s=_throughput(record, service.total),
        cpu_s_per_request=_quotient(target_cpu_s, shared_by),
        peak_memory_bytes=target_peak_memory_bytes,
        **_over_time(record, spec),
        begun=begun_of(record, first_byte, response.maximum_ns),
    )
    kept = timeline(record), record.seconds, record.warmup, record.send_lag
    return StreamResult(_told_whole(summary, spec.timeout_s), service, response, *kept, first_byte)


def _over_time(record: StreamRecord, spec: Spec) -> dict[str, Any]:
    streams = (part for part in spec.workload.streams if part.name == record.name)
    least = next(map(least_waiting, streams), 1)
    return {
        "drift_share": drift_share(record.seconds, record.duration_ns / 1e9),
        "before_window": EarlyRequests(record.early, record.early_errors),
        "silent_s": silent_s(record, least),
    }


def _told_whole(summary: Summary, deadline_s: float) -> Summary:
    """Return the summary with what follows from its counts."""
    summary = replace(summary, bytes_received_per_request=body_bytes(summary))
    return with_unanswered(summary, deadline_s)


def merge(trials: Sequence[Sequence[StreamResult]], deadline_s: float) -> list[StreamResult]:
    """Return each stream over all trials, as if they had been one.

    Shape (trials, streams), at least one trial; `deadline_s` is that of a request. Histograms are
    added, counts and durations summed; peaks are the largest. CPU per request is the same in all
    streams, and counts only if it was measured in every trial.
    """
    spent_s = _merged_cpu([[result.summary for result in streams] for streams in trials])
    merged = [_merged(results, spent_s) for results in zip(*trials, strict=True)]
    return [replace(result, summary=_told_whole(result.summary, deadline_s)) for result in merged]


def _merged(results: Sequence[StreamResult], cpu_s_per_request: float | None) -> StreamResult:
    parts = [result.summary for result in results]
    service = histogram.merge([result.service for result in results])
    response = histogram.merge([result.response for result in results])
    first_byte = merged_if_known([result.first_byte for result in results])
    lag = _merged_lag(results)
    duration_s = sum(part.duration_s for part in parts)
    answered = sum(round(part.throughput_per_s * part.duration_s) for part in parts)
    summary = Summary(
        **_counts(
            sum(part.completed for part in parts),
            sum_counts(part.errors for part in parts),
            sum(part.censored.count for part in parts),
        ),
        name=parts[0].name,
        statuses=sum_counts(part.statuses for part in parts),
        censored=merged_censored([part.censored for part in parts]),
        intended=sum(part.intended for part in parts),
        sent=sum(part.sent for part in parts),
        not_sent=sum(part.not_sent for part in parts),
        send_lag_s=_send_lag(lag),
        bytes_sent=sum(part.bytes_sent for part in parts),
        bytes_received=sum(part.bytes_received for part in parts),
        **_clocks(service, response, first_byte),
        duration_s=duration_s,
        throughput_per_s=_quotient(answered, duration_s) or 0.0,
        cpu_s_per_request=cpu_s_per_request,
        peak_memory_bytes=max(
            (part.peak_memory_bytes for part in parts if part.peak_memory_bytes is not None),
            default=None,
        ),
        before_window=_merged_early([part.before_window for part in parts]),
        silent_s=max((s for part in parts if (s := part.silent_s) is not None), default=None),
        begun=merged_begun([part.begun for part in parts]),
    )
    return StreamResult(summary, service, response, send_lag=lag, first_byte=first_byte)


def _merged_early(parts: Sequence[EarlyRequests | None]) -> EarlyRequests | None:
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    return EarlyRequests(
        sum(part.requests for part in known), sum_counts(part.errors for part in known)
    )


def _clocks(
    service: Histogram, response: Histogram, first_byte: Histogram | None
) -> dict[str, Any]:
    return {
        "service_time_s": times(service),
        "response_time_s": times(response),
        "first_byte_time_s": times(first_byte) if first_byte else None,
    }


def times(samples: Histogram) -> Times | None:
    """Return the times of completed requests in seconds, by nearest rank; None of none."""
    if not samples.total:
        return None
    shares = np.array(list(PERCENTILES.values()))
    found = samples.quantiles_ns(shares) / 1e9
    percentiles: dict[str, Any] = dict(zip(PERCENTILES, found.tolist(), strict=True))
    return Times(
        min=samples.minimum_ns / 1e9,
        mean=samples.mean_ns / 1e9,
        max=samples.maximum_ns / 1e9,
        support={name: samples.beyond(share) for name, share in PERCENTILES.items()},
        **percentiles,
    )


def timeline(record: StreamRecord) -> Timeline:
    """Return response times and counts of each second of the window, and of its warm-up.

    Responses after the window are in the response times of its last second, not in its count.
    """
    found = timeline_of(record.seconds, record.duration_ns / 1e9)
    *before, last = found.completed or (0,)
    return replace(
        found,
        completed=(*before, max(0, last - record.late)) if found.completed else (),
        warmup=warmup_of(record.warmup, record.warmup_s),
    )


def warmup_of(seconds: Sequence[Second], length_s: float, expected: int = 0) -> WarmUp | None:
    """Return the seconds before a window, of which so many are `expected`; None of none."""
    known = [second.index for second in seconds]
    length = max(expected, -min(known, default=0))
    if not length:
        return None
    end = max(known, default=-length - 1) + 1
    columns = _columns(_filled(seconds, range(-length, end)))
    return WarmUp(**columns, length_s=length_s, to_come=-end)


def timeline_of(seconds: Sequence[Second], measured_s: float) -> Timeline:
    """Return an entry for each second begun within `measured_s`; missing ones are empty."""
    last = max((second.index for second in seconds), default=-1)
    length = max(-int(-measured_s // 1), last + 1)
    rest = measured_s - (length - 1)
    columns = _columns(_filled(seconds, range(length)))
    return Timeline(**columns, last_s=rest if 0 < rest <= 1 else 1.0)


def _filled(seconds: Sequence[Second], indices: Iterable[int]) -> list[Second]:
    """Return a second for each index; those that are missing are empty."""
    by_index = {second.index: second for second in seconds}
    return [
        by_index.get(index, Second(index, 0, EMPTY, EMPTY, first_byte=EMPTY)) for index in indices
    ]


def _columns(seconds: Sequence[Second]) -> dict[str, Any]:
    """Return counts and percentiles of each row; None where nothing completed."""
    points = np.array([0.5, 0.95, 0.99])
    quantiles = [_quantiles_s(second, points) for second in seconds]
    p50, p95, p99 = (tuple(row[column] for row in quantiles) for column in range(3))
    return {
        "body_bytes": tuple(_body_bytes(second) for second in seconds),
        "completed": tuple(second.completed for second in seconds),
        "errors": tuple(second.errors for second in seconds),
        "p50": p50,
        "p95": p95,
        "p99": p99,
    }


def _quantiles_s(second: Second, points: NDArray[np.float64]) -> list[float | None]:
    """Return percentiles of a second; None beyond the share of its requests that had an answer."""
    found = second.response.quantiles_ns(points) / 1e9
    pairs = zip(points.tolist(), found.tolist(), strict=True)
    return [
        value if second.completed and believed(point, second.completed, second.unanswered) else None
        for point, value in pairs
    ]


def _body_bytes(second: Second) -> float | None:
    return _quotient(second.received, second.completed + second.errors - second.unanswered)


def mean_with_waiting_s(summary: Summary) -> float | None:
    """Return the mean response time when each request in flight counts with its age: a lower bound.

    None where nothing was in flight at the end.
    """
    waiting, done = summary.censored, summary.response_time_s
    if not waiting.count or waiting.mean_age_s is None:
        return None
    completed_s = done.mean_of_completed * summary.completed if done else 0.0
    total_s = completed_s + waiting.mean_age_s * waiting.count
    return total_s / (summary.completed + waiting.count)


def error_kinds(parts: Iterable[Summary]) -> str:
    """Return `412 × timeout, 9 × status 404`, the most frequent first; empty without errors."""
    kinds: Counter[str] = Counter()
    for part in parts:
        kinds.update({name: number for name, number in part.errors.items() if name != "status"})
        kinds.update(_wrong_statuses(part))
    return ", ".join(f"{count(number)} × {name}" for name, number in kinds.most_common())


def _wrong_statuses(part: Summary) -> dict[str, int]:
    """Return failed statuses by code where all outside of 2xx and 3xx add up to the class."""
    wrong = part.errors.get("status", 0)
    codes = {f"status {code}": n for code, n in part.statuses.items() if code[0] not in "23"}
    if not wrong or sum(codes.values()) == wrong:
        return codes if wrong else {}
    return {"unexpected status": wrong}


def _counts(completed: int, errors: Mapping[str, int], waiting: int) -> dict[str, Any]:
    failed = sum(errors.values())
    return {
        "requests": completed + failed + waiting,
        "completed": completed,
        "errors": {name: count for name, count in errors.items() if count},
        "error_share": _quotient(failed, completed + failed),
    }


def _throughput(record: StreamRecord, completed: int) -> float:
    """Return responses per second inside the window.

    Those that an open load awaits after it are no throughput.
    """
    answered = completed if record.answered is None else record.answered
    return _quotient(answered, record.duration_ns / 1e9) or 0.0


def _send_lag(samples: Histogram | None) -> SendLag | None:
    if samples is None or not samples.total:
        return None
    p50, p99 = samples.quantiles_ns(np.array([0.5, 0.99])) / 1e9
    return SendLag(float(p50), float(p99), samples.maximum_ns / 1e9)


def _merged_lag(results: Sequence[StreamResult]) -> Histogram | None:
    """Return the send lags of all trials; None unless every trial has one."""
    lags = [result.send_lag for result in results if result.send_lag is not None]
    return histogram.merge(lags) if len(lags) == len(results) else None


def _merged_cpu(trials: Sequence[Sequence[Summary]]) -> float | None:
    """Return CPU per request of all trials; None where one was not measured.

    Weighted by what each trial's value was divided by: the completed requests of all streams.
    """
    spent_s, completed = 0.0, 0
    for streams in trials:
        done = sum(stream.completed for stream in streams)
        value = streams[0].cpu_s_per_request
        if done and value is None:
            return None
        spent_s += done * (value or 0.0)
        completed += done
    return _quotient(spent_s, completed)


def _quotient(value: float | None, by: float) -> float | None:
    return None if value is None or not by else value / by


def client_use(
    streams: Sequence[Stream], workers: Sequence[StreamRecord], records: Sequence[StreamRecord]
) -> ClientUse:
    """Return the use by all workers, without what is known of the machine alone.

    `workers` are the records of single processes, `records` those of whole streams, in the order
    of `streams`. Each has at least one.
    """
    return ClientUse(
        busiest_cpu_share=max(map(_busy_share, workers)),
        cpu_s=sum(record.cpu_s for record in records),
        peak_memory_bytes=max(record.peak_memory_bytes for record in records),
        connections={record.name: record.connections for record in records},
        new_connections={record.name: record.new_connections for record in records},
        sent_again={record.name: record.sent_again for record in records},
        read_enough={record.name: record.read_enough for record in records},
        in_flight={
            record.name: record.in_system_ns / max(record.duration_ns, 1) for record in records
        },
        little_ratio=little_ratios(streams, records),
    )


def _busy_share(worker: StreamRecord) -> float:
    """Return its processor time over its window, without what it spent waiting actively."""
    return (worker.cpu_s - worker.spin_s) * 1e9 / max(worker.duration_ns, 1)


LEAST_PRESENT = 0.05
"""Of the users' time; less of it is decided by when the last one began to send."""


def little_ratios(
    streams: Sequence[Stream], records: Sequence[StreamRecord]
) -> Mapping[str, float]:
    """Return by stream the time in the system over the time in which its users could be in it.

    1 by Little's law, for closed streams that stop by duration; a user who thinks is not in the
    system. Streams whose users are hardly ever in it are left out: there is too little to judge.
    """
    ratios = {}
    for stream, record in zip(streams, records, strict=True):
        if stream.stop.duration_s is None or not stream.load.obeys_littles_law:
            continue
        users_ns = record.duration_ns * stream.load.users
        present_ns = users_ns - record.away_ns
        if present_ns >= LEAST_PRESENT * users_ns:
            ratios[stream.name] = record.in_system_ns / present_ns
    return ratios

"""One stream that several load workers drove at the same time, as if one had done it. Pure."""

from collections.abc import Iterable, Sequence

from control_plane.analysis.summary import sum_counts
from control_plane.domain import histogram
from control_plane.domain.histogram import Histogram
from control_plane.domain.stream_record import Second, StreamRecord


def merge_records(parts: Sequence[StreamRecord]) -> StreamRecord:
    """At least one part, all of one stream.

    The window reaches from the first begin to the last end, which differ by some milliseconds where
    it stops by requests; seconds are added by their index. Counts, connections and processor time
    are summed, the memory is that of the largest process.
    """
    opened_ns = min(part.opened_ns for part in parts)
    closed_ns = max(part.opened_ns + part.duration_ns for part in parts)
    return StreamRecord(
        name=parts[0].name,
        opened_ns=opened_ns,
        duration_ns=closed_ns - opened_ns,
        seconds=merge_seconds(second for part in parts for second in part.seconds),
        errors=sum_counts(part.errors for part in parts),
        statuses=sum_counts(part.statuses for part in parts),
        in_flight_ns=tuple(age for part in parts for age in part.in_flight_ns),
        intended=sum(part.intended for part in parts),
        sent=sum(part.sent for part in parts),
        send_lag=_merged_lag([part.send_lag for part in parts]),
        bytes_sent=sum(part.bytes_sent for part in parts),
        bytes_received=sum(part.bytes_received for part in parts),
        in_system_ns=sum(part.in_system_ns for part in parts),
        awaited_ns=max(part.awaited_ns for part in parts),
        answered=_answered([part.answered for part in parts]),
        late=sum(part.late for part in parts),
        away_ns=sum(part.away_ns for part in parts),
        new_connections=sum(part.new_connections for part in parts),
        connections=sum(part.connections for part in parts),
        cpu_s=sum(part.cpu_s for part in parts),
        spin_s=sum(part.spin_s for part in parts),
        peak_memory_bytes=max(part.peak_memory_bytes for part in parts),
        warmup=merge_seconds(second for part in parts for second in part.warmup),
        warmup_s=max(part.warmup_s for part in parts),
    )


def _answered(parts: Sequence[int | None]) -> int | None:
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None


def merge_seconds(seconds: Iterable[Second]) -> tuple[Second, ...]:
    """One for each index, ascending."""
    by_index: dict[int, list[Second]] = {}
    for second in seconds:
        by_index.setdefault(second.index, []).append(second)
    return tuple(_merged(index, by_index[index]) for index in sorted(by_index))


def _merged(index: int, seconds: Sequence[Second]) -> Second:
    """Where both times are the same object, as in the closed model, they stay so."""
    if len(seconds) == 1:
        return seconds[0]
    service = histogram.merge([second.service for second in seconds])
    same = all(second.response is second.service for second in seconds)
    response = service if same else histogram.merge([second.response for second in seconds])
    return Second(index, sum(second.errors for second in seconds), service, response)


def _merged_lag(lags: Sequence[Histogram | None]) -> Histogram | None:
    known = [lag for lag in lags if lag is not None]
    return histogram.merge(known) if known else None

"""One stream that several load workers drove at the same time, as if one had done it. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from itertools import chain
from operator import itemgetter
from typing import Any

from control_plane.analysis.summary import sum_counts
from control_plane.domain import histogram
from control_plane.domain.histogram import Histogram
from control_plane.domain.stream_record import Second, StreamRecord


def merge_records(parts: Sequence[StreamRecord]) -> StreamRecord:
    """Return the record of one stream from those of its processes, at least one.

    The window reaches from the first begin to the last end, which differ by some milliseconds where
    it stops by requests; seconds are added by their index. Counts, connections and processor time
    are summed, the memory is that of the largest process.
    """
    columns = {
        field.name: [getattr(part, field.name) for part in parts] for field in fields(StreamRecord)
    }
    merged = {name: _RULES.get(name, sum)(values) for name, values in columns.items()}
    duration_ns = max(part.closed_ns for part in parts) - merged["opened_ns"]
    return StreamRecord(**merged | {"duration_ns": duration_ns})


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


def _merge_parts(parts: Iterable[Sequence[Second]]) -> tuple[Second, ...]:
    return merge_seconds(chain.from_iterable(parts))


_RULES: Mapping[str, Callable[[Sequence[Any]], Any]] = {
    "name": itemgetter(0),
    "opened_ns": min,
    "errors": sum_counts,
    "statuses": sum_counts,
    "in_flight_ns": lambda ages: tuple(chain.from_iterable(ages)),
    "send_lag": _merged_lag,
    "awaited_ns": max,
    "answered": _answered,
    "peak_memory_bytes": max,
    "seconds": _merge_parts,
    "warmup": _merge_parts,
    "warmup_s": max,
}
"""How the values of the processes become one, by field; those that are not named are summed."""

"""What several processes recorded, put together, is what one would have recorded."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from control_plane.domain.histogram import Histogram
from control_plane.domain.stream_record import Second, StreamRecord, merge_records, merge_seconds

SECONDS = 3
Sample = tuple[int, int, bool]
"""Second in which it ended, duration in nanoseconds, whether it failed."""

samples = st.lists(
    st.tuples(st.integers(0, SECONDS - 1), st.integers(1_000, 10**10), st.booleans()), max_size=40
)


def second(index: int, found: list[Sample]) -> Second:
    mine = [sample for sample in found if sample[0] == index]
    durations = Histogram.of(np.array([sample[1] for sample in mine if not sample[2]], np.int64))
    return Second(index, sum(sample[2] for sample in mine), durations, durations)


def record(found: list[Sample], opened_ns: int = 0, closed_ns: int = 10**9) -> StreamRecord:
    """Seconds without a sample are left out, as a process that is through leaves them out."""
    errors = Counter("reset" for sample in found if sample[2])
    return StreamRecord(
        name="items",
        opened_ns=opened_ns,
        duration_ns=closed_ns - opened_ns,
        seconds=tuple(second(index, found) for index in sorted({sample[0] for sample in found})),
        errors=dict(errors),
        statuses={"200": len(found) - errors.total()} if len(found) > errors.total() else {},
        in_flight_ns=(),
        intended=len(found),
        sent=len(found),
        send_lag=Histogram.of(np.array([sample[1] for sample in found], np.int64)),
        bytes_sent=len(found),
        bytes_received=2 * len(found),
        in_system_ns=sum(sample[1] for sample in found),
        new_connections=0,
        sent_again=0,
        connections=0,
        cpu_s=float(len(found)),
        spin_s=0.0,
        peak_memory_bytes=100,
    )


def shown(second: Second) -> tuple[int, int, list[int], list[int], int]:
    times = second.response
    return (
        second.index, second.errors, times.indices.tolist(), times.counts.tolist(), times.sum_ns
    )  # fmt: skip


@given(st.lists(samples, min_size=1, max_size=4))
def test_merged_parts_are_the_whole(parts: list[list[Sample]]) -> None:
    merged = merge_records([record(part) for part in parts])
    whole = record([sample for part in parts for sample in part])
    assert [shown(row) for row in merged.seconds] == [shown(row) for row in whole.seconds]
    assert merged.send_lag
    assert whole.send_lag
    assert merged.send_lag.counts.tolist() == whole.send_lag.counts.tolist()
    for name in ("errors", "statuses", "intended", "sent", "bytes_sent", "bytes_received"):
        assert getattr(merged, name) == getattr(whole, name)
    assert merged.in_system_ns == whole.in_system_ns
    assert merged.cpu_s == whole.cpu_s
    assert all(row.response is row.service for row in merged.seconds)


def test_the_window_reaches_from_the_first_begin_to_the_last_end() -> None:
    merged = merge_records([record([], 100, 900), record([], 80, 700), record([], 90, 1_000)])
    assert (merged.opened_ns, merged.duration_ns) == (80, 920)


def test_sums_and_peaks() -> None:
    merged = merge_records([record([], 0, 10), record([], 0, 10)])
    assert (merged.peak_memory_bytes, merged.send_lag and merged.send_lag.total) == (100, 0)
    assert merge_seconds([]) == ()

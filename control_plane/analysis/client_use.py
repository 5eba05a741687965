"""What the load workers of one trial used, and whether their times add up. Pure."""

from collections.abc import Mapping, Sequence

from control_plane.domain.result import ClientUse
from control_plane.domain.spec import Stream
from control_plane.domain.stream_record import StreamRecord

LEAST_PRESENT = 0.05
"""Of the users' time; less of it is decided by when the last one began to send."""


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
        in_flight={
            record.name: record.in_system_ns / max(record.duration_ns, 1) for record in records
        },
        little_ratio=little_ratios(streams, records),
    )


def little_ratios(
    streams: Sequence[Stream], records: Sequence[StreamRecord]
) -> Mapping[str, float]:
    """Return by stream the time in the system over the time in which its users could be in it.

    1 by Little's law, for closed streams that stop by duration; a user who thinks is not in the
    system. Streams whose users are hardly ever in it are left out: there is too little to judge.
    """
    ratios = {}
    for stream, record in zip(streams, records, strict=True):
        if stream.stop.duration_s is None or stream.load.starts_by != "response":
            continue
        users_ns = record.duration_ns * stream.load.users
        present_ns = users_ns - record.away_ns
        if present_ns >= LEAST_PRESENT * users_ns:
            ratios[stream.name] = record.in_system_ns / present_ns
    return ratios


def _busy_share(worker: StreamRecord) -> float:
    """Return its processor time over its window, without what it spent waiting actively."""
    return (worker.cpu_s - worker.spin_s) * 1e9 / max(worker.duration_ns, 1)

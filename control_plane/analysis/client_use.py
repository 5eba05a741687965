"""What the load workers of one trial used. Pure."""

from collections.abc import Sequence

from control_plane.analysis.validity.littles_law import little_ratios
from control_plane.domain.result import ClientUse
from control_plane.domain.spec import Stream
from control_plane.domain.stream_record import StreamRecord


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
        in_flight={
            record.name: record.in_system_ns / max(record.duration_ns, 1) for record in records
        },
        little_ratio=little_ratios(streams, records),
    )


def _busy_share(worker: StreamRecord) -> float:
    """Return its processor time over its window, without what it spent waiting actively."""
    return (worker.cpu_s - worker.spin_s) * 1e9 / max(worker.duration_ns, 1)

"""Little's law: whether the times that the load workers recorded add up. Pure."""

from collections.abc import Mapping, Sequence

from control_plane.domain.spec import Stream
from control_plane.domain.stream_record import StreamRecord

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

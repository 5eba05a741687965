"""Whether the work of each stream can be divided among the processes of the client. Pure."""

from control_plane.domain.bounds import Wrong, bounded
from control_plane.domain.errors import FieldError
from control_plane.domain.limits import Limits
from control_plane.domain.loads import concurrency_of
from control_plane.domain.spec import Spec, StopRequests, Stream

_FIELD = "client.processes"


def wrong_processes(spec: Spec, limits: Limits) -> Wrong:
    """Each process of each stream needs a user and a request of its own."""
    processes = spec.client.processes
    most = max(1, limits.max_processes // max(1, len(spec.workload.streams)))
    if not 1 <= processes <= most:
        yield from bounded(_FIELD, processes, 1, most, "max_processes")
        return
    for stream in spec.workload.streams:
        count, what = _least(stream)
        if 1 <= count < processes:
            whose = f"{count:,} {what} of {stream.name[:40]}"
            message = f"{processes:,} processes cannot share {whose}: use {count:,} or fewer."
            yield FieldError(_FIELD, message, count)
            return


def _least(stream: Stream) -> tuple[int, str]:
    """The smallest number that is divided, and what of."""
    users = (concurrency_of(stream.load), "requests in flight")
    if isinstance(stream.stop, StopRequests):
        return min((stream.stop.requests, "requests"), users)
    return users

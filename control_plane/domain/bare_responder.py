"""The bare responder as a target: it costs next to nothing, so that what it shows is the client."""

from control_plane.domain.errors import FieldError
from control_plane.domain.limits import Wrong, bounded
from control_plane.domain.spec import BUNDLED, SubmittedSpec, Target

RESPONDER = Target(
    server="responder",
    loop=None,
    http=None,
    threads=None,
    reload=None,
    access_log=None,
    keep_alive_s=None,
    backlog=None,
)


def faces_responder(spec: SubmittedSpec) -> bool:
    """Whether the run measures its client rather than its target."""
    started = spec.target.started
    return started is not None and started.server == RESPONDER.server


def wrong_for_responder(spec: SubmittedSpec) -> Wrong:
    """It is one process, runs no application, and reads no further than the end of a head."""
    started = spec.target.started
    if started is None or not faces_responder(spec):
        return
    yield from bounded("target.workers", started.workers or 1, 1, 1)
    if started.application != BUNDLED or started.settings:
        message = "The bare responder runs no application: leave application and settings out."
        yield FieldError("target.settings", message)
    for at, stream in enumerate(spec.workload.streams):
        for index, request in enumerate(stream.requests):
            if request.method != "GET":
                message = "The bare responder answers GET only: choose another server."
                yield FieldError(f"workload.streams.{at}.requests.{index}.method", message)

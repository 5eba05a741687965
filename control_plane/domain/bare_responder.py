"""The bare responder as a target: it costs next to nothing, so that what it shows is the client."""

from control_plane.domain.errors import FieldError
from control_plane.domain.limits import Wrong, bounded
from control_plane.domain.spec import BUNDLED, Spec, Target

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


def faces_responder(spec: Spec) -> bool:
    """Whether the run measures its client rather than its target."""
    return isinstance(spec.target, Target) and spec.target.server == RESPONDER.server


def wrong_for_responder(spec: Spec) -> Wrong:
    """It is one process, runs no application, and reads no further than the end of a head."""
    if not isinstance(spec.target, Target) or not faces_responder(spec):
        return
    yield from bounded("target.workers", spec.target.workers or 1, 1, 1)
    if spec.target.application != BUNDLED or spec.target.settings:
        message = "The bare responder runs no application: leave application and settings out."
        yield FieldError("target.settings", message)
    for at, stream in enumerate(spec.workload.streams):
        for index, request in enumerate(stream.requests):
            if request.method != "GET":
                message = "The bare responder answers GET only: choose another server."
                yield FieldError(f"workload.streams.{at}.requests.{index}.method", message)

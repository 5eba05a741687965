"""What is said of a run in which nothing completed."""

from control_plane.analysis.prose.sentence import listed
from control_plane.domain.result import Summary
from control_plane.domain.run import Run
from control_plane.domain.spec import BUNDLED, Target
from control_plane.domain.units import count

_REMEDIES = {"404": "Correct the path", "405": "Correct the method or the path"}


def nothing_completed(run: Run) -> bool:
    """Requests ended, and every one of every stream failed."""
    return bool(run.streams) and _failed(run) > 0 and not any(one.completed for one in run.streams)


def all_failed(run: Run) -> str:
    """`All 8,331 requests failed: GET /itemz answered 404 every time.`"""
    failed, how = _failed(run), listed(_how(run, stream) for stream in run.streams)
    return f"{'All ' if failed > 1 else 'The only '}{_requests(failed)} failed: {how}."


def failed_remedy(run: Run) -> str:
    """What to correct, where the status tells it; else \"\"."""
    statuses = {status for stream in run.streams for status in stream.statuses}
    if len(statuses) != 1 or (remedy := _REMEDIES.get(*statuses)) is None:
        return ""
    bundled = isinstance(run.spec.target, Target) and run.spec.target.application == BUNDLED
    return f"{remedy}: Workloads lists what it serves." if bundled else f"{remedy}."


def _failed(run: Run) -> int:
    return sum(sum(one.errors.values()) for one in run.streams)


def _requests(failed: int) -> str:
    return f"{count(failed)} requests" if failed > 1 else "request"


def _how(run: Run, stream: Summary) -> str:
    asked = next(one for one in run.spec.workload.streams if one.name == stream.name).requests
    first = f"{asked[0].method} {asked[0].path}" if len(asked) == 1 else f"{stream.name} requests"
    if set(stream.errors) == {"status"} and len(stream.statuses) == 1:
        (status,) = stream.statuses
        return f"{first} answered {status} every time"
    named = listed(f"{name} {count(many)}" for name, many in stream.errors.items())
    return f"{first} ended with {named or 'nothing'}"

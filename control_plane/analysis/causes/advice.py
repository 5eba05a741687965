"""What a change of the code would do about a blocked event loop."""

from collections.abc import Sequence
from dataclasses import dataclass

from control_plane.analysis.causes.remedies import UNBLOCKED
from control_plane.domain.result import Cause
from control_plane.domain.spec import BUNDLED, Spec, Target


@dataclass(frozen=True)
class Advice:
    """`place` is where the loop stood, empty where no stack told; `path` is empty where a load has
    several request classes.
    """

    place: str
    path: str


def advice(spec: Spec, causes: Sequence[Cause]) -> Advice | None:
    """None unless the loop was blocked in code that has no other endpoint to try."""
    blocked = [one for one in causes if one.found and one.cause == "loop_blocked"]
    if not blocked or not isinstance(spec.target, Target):
        return None
    paths = {request.path for one in spec.workload.streams for request in one.requests}
    if spec.target.application == BUNDLED and any(map(_has_sibling, paths)):
        return None
    place = str(blocked[0].evidence.get("frame") or "")
    return Advice(place, paths.pop() if _single(spec) else "")


def _has_sibling(path: str) -> bool:
    return any(path.startswith(start) for start in UNBLOCKED)


def _single(spec: Spec) -> bool:
    return sum(len(one.requests) for one in spec.workload.streams) == 1

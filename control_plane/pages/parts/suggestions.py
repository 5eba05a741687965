"""Runs that could be set beside those of a page, the likest first."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from control_plane.domain.run import Run

LOOKED_AT = 60
"""How many of the newest finished runs are looked at."""

OFFERED = 10


@dataclass(frozen=True)
class OtherRun:
    """`alike`: its requests are those of the page; `url` opens the comparison."""

    run: Run
    alike: bool
    url: str


def other_runs(
    recent: Sequence[Run], shown: Run, taken: Collection[str], url_of: Callable[[str], str]
) -> tuple[OtherRun, ...]:
    """Those of `recent` (newest first) that are not `taken`; same requests come first."""
    wanted = _requests(shown)
    found = [
        OtherRun(run, _requests(run) == wanted, url_of(run.id))
        for run in recent
        if run.id not in taken
    ]
    return tuple(sorted(found, key=lambda one: not one.alike)[:OFFERED])


def _requests(run: Run) -> list[tuple[str, str, str]]:
    return [
        (stream.name, request.method, request.path)
        for stream in run.spec.workload.streams
        for request in stream.requests
    ]

"""Runs that could be set beside those of a page, the likest first."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from control_plane.domain.run import Run

MAX_RECENT = 60
"""How many of the newest finished runs are looked at."""

MAX_SUGGESTIONS = 10


@dataclass(frozen=True)
class Suggestion:
    """`alike`: its requests are those of the page; `url` opens the comparison."""

    run: Run
    alike: bool
    url: str


def suggested_runs(
    recent: Sequence[Run], shown: Run, taken: Collection[str], url_of: Callable[[str], str]
) -> tuple[Suggestion, ...]:
    """Those of `recent` (newest first) that are not `taken`; same requests come first."""
    wanted = _requests(shown)
    found = [
        Suggestion(run, _requests(run) == wanted, url_of(run.id))
        for run in recent
        if run.id not in taken
    ]
    return tuple(sorted(found, key=lambda one: not one.alike)[:MAX_SUGGESTIONS])


def _requests(run: Run) -> list[tuple[str, str, str]]:
    return [
        (stream.name, request.method, request.path)
        for stream in run.spec.workload.streams
        for request in stream.requests
    ]

"""Why the times of a run are what they are: causes found and ruled out, stacks, what to try."""

from collections.abc import Iterator
from dataclasses import dataclass

from control_plane.analysis.causes.frames import Frame
from control_plane.analysis.causes.remedies import remedies
from control_plane.analysis.causes.stacks import StackGroup, stack_groups
from control_plane.analysis.causes.words import CAUSES
from control_plane.domain.result import Cause
from control_plane.domain.run import Run, RunDetail
from control_plane.domain.units import count, seconds, share

MOST_STACKS = 20


@dataclass(frozen=True)
class CauseRow:
    """`code` names a place in the source, between `text` and `rest`; it may be empty."""

    cause: str
    found: bool
    label: str
    value: str
    text: str
    code: str
    rest: str


@dataclass(frozen=True)
class StackRow:
    """Equal stacks of stalls. The frames of the application are marked.

    `place` is in the source unless the loop `waited`.
    """

    place: str
    waited: bool
    count: str
    longest: str
    total: str
    share: str
    frames: tuple[tuple[str, bool], ...]


@dataclass(frozen=True)
class WhyView:
    """`more` counts the stacks that are left out. `links`: name and address of a changed form."""

    rows: tuple[CauseRow, ...]
    none_found: bool
    links: tuple[tuple[str, str], ...]
    stacks: tuple[StackRow, ...]
    more: int


def why_view(detail: RunDetail) -> WhyView | None:
    """None for a run whose causes were not judged."""
    run = detail.run
    if not run.causes:
        return None
    groups = stack_groups(detail.gauges)
    return WhyView(
        rows=tuple(_row(one) for one in run.causes),
        none_found=not any(one.found for one in run.causes),
        links=tuple(_links(run)),
        stacks=tuple(_stack_row(one) for one in groups[:MOST_STACKS]),
        more=max(0, len(groups) - MOST_STACKS),
    )


def _row(cause: Cause) -> CauseRow:
    words = CAUSES[cause.cause]
    code = str(cause.evidence.get("frame") or "")
    before, _, rest = cause.text.partition(code) if code else (cause.text, "", "")
    value = words.value(cause.evidence)
    return CauseRow(cause.cause, cause.found, words.label, value, before, code, rest)


def _links(run: Run) -> Iterator[tuple[str, str]]:
    for one in remedies(run.spec, run.causes):
        yield one.label, f"/runs/new?from={run.id}&try={one.key}"


def _stack_row(group: StackGroup) -> StackRow:
    place = group.place.short if group.place else "no stack was sampled"
    return StackRow(
        place="the loop itself, waiting for a processor" if group.waited else place,
        waited=group.waited,
        count=count(group.count),
        longest=seconds(group.longest_s),
        total=seconds(group.total_s),
        share=share(group.share),
        frames=tuple((_written(one), one.application) for one in group.frames),
    )


def _written(frame: Frame) -> str:
    return f"{frame.file}:{frame.line} {frame.function}".rstrip()

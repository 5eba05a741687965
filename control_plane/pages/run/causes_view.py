"""Why a run has the times that it has: causes, stacks, what to try, the ceiling of its client."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from control_plane.analysis.causes import CAUSES, Advice, advice, none_found, remedies
from control_plane.analysis.causes.loop_stacks import StackGroup, stack_groups
from control_plane.analysis.client_ceiling import (
    Headroom,
    ceiling_spec,
    ceilings_of,
    headroom,
    headroom_explanation,
    headroom_sentence,
    same_setup,
)
from control_plane.analysis.prose import Sentence, sentence
from control_plane.domain.limits import Limits
from control_plane.domain.result import Cause
from control_plane.domain.run import Run, RunDetail, State
from control_plane.domain.units import SPACE, about, count, seconds, share
from control_plane.jobs.run_service import RunService
from control_plane.pages.urls import remedy_url
from control_plane.store.store import Store

MOST_STACKS, MOST_TIMES = 20, 40


@dataclass(frozen=True)
class CauseRow:
    """One cause that was judged.

    `state` is found, open or out. `code` names a place in the source, between `text` and `rest`;
    it may be empty.
    """

    cause: str
    state: str
    label: str
    value: str
    text: str
    code: str
    rest: str


@dataclass(frozen=True)
class StackRow:
    """Equal stacks of stalls. The frames of the application are marked.

    `place` is in the source unless the loop `waited`. `at` says when the longest began,
    `times` when each did.
    """

    place: str
    waited: bool
    count: str
    longest: str
    at: str
    times: str
    total: str
    share: str
    frames: tuple[tuple[str, bool], ...]


@dataclass(frozen=True)
class CausesView:
    """What explains the times of a run, and what to try.

    `more` counts the stacks that are left out. `links`: name and address of a changed form.
    `advice` is what to change in the code, None where there is nothing to say.

    `none_found` is empty where something was found, or not decided.
    """

    rows: tuple[CauseRow, ...]
    none_found: str
    advice: Advice | None
    links: tuple[tuple[str, str], ...]
    stacks: tuple[StackRow, ...]
    more: int


def explained(detail: RunDetail, limits: Limits) -> CausesView | None:
    """Return what explains a run; None where its causes were not judged."""
    run = detail.run
    if not run.causes:
        return None
    groups = stack_groups(detail.gauges)
    return CausesView(
        rows=tuple(_row(cause) for cause in run.causes),
        none_found=none_found(run.causes),
        advice=advice(run.spec, run.causes),
        links=tuple(
            (remedy.label, remedy_url(run.id, remedy.key))
            for remedy in remedies(run.spec, run.causes, limits)
        ),
        stacks=tuple(_stack_row(group, len(detail.gauges)) for group in groups[:MOST_STACKS]),
        more=max(0, len(groups) - MOST_STACKS),
    )


def _row(cause: Cause) -> CauseRow:
    rule = CAUSES[cause.cause]
    code = str(cause.evidence.get("frame") or "")
    before, _, rest = cause.text.partition(code) if code else (cause.text, "", "")
    value = rule.value(cause.evidence)
    state = {True: "found", None: "open", False: "out"}[cause.found]
    return CauseRow(cause.cause, state, rule.label, value, before, code, rest)


def _times(begins: Sequence[tuple[int, float]], trials: int) -> str:
    """Return `Began at 0.5, 3.2 s`; of several trials one after the other."""
    shown = groupby(begins[:MOST_TIMES], key=lambda begin: begin[0])
    parts = [
        f"{', '.join(f'{at_s:.1f}' for _, at_s in each)}{SPACE}s"
        + (f" of trial {trial}" if trials > 1 else "")
        for trial, each in shown
    ]
    more = len(begins) - MOST_TIMES
    return f"Began at {'; '.join(parts)}" + (f", and {count(more)} more" if more > 0 else "")


def _stack_row(group: StackGroup, trials: int) -> StackRow:
    at = f"at {group.at_s:.1f}{SPACE}s" + (f" of trial {group.trial}" if trials > 1 else "")
    place = group.place.short if group.place else "no stack was sampled"
    return StackRow(
        place="the loop itself, waiting for a processor" if group.waited else place,
        waited=group.waited,
        count=count(group.count),
        longest=seconds(group.longest_s),
        at=at,
        times=_times(group.begins, trials),
        total=seconds(group.total_s),
        share=share(group.share),
        frames=tuple((frame.written, frame.application) for frame in group.frames),
    )


@dataclass(frozen=True)
class CeilingPart:
    """How near a run came to the ceiling of its client.

    `share` is that of the ceiling, in per cent; None where none is known or a run exceeded it.
    Then `time` is how long the measuring takes, "" where it is not offered. `run_id` and `at` are
    those of the run that measured the ceiling.
    """

    sentence: Sentence
    explanation: str
    share: float | None
    share_text: str
    run_id: str | None
    at: datetime | None
    time: str


def ceiling_part(run: Run, store: Store, service: RunService) -> CeilingPart | None:
    """Return how near a run came to the ceiling of its client.

    None where nothing was measured, where the client is what was measured, and where its ceiling
    is not known and cannot be measured here.
    """
    if not run.streams or run.spec.target.is_responder:
        return None
    measured = store.responder_runs(State.FINISHED, run.spec.client.strategy)
    found = headroom(run, ceilings_of(measured))
    offers = found is None or found.outdated
    is_here = offers and same_setup(run.environment, service.environment())
    time = about(service.expected_seconds(ceiling_spec(run.spec.client))) if is_here else ""
    if found is not None:
        return _known(found, time)
    return _unknown(time) if is_here else None


def _known(found: Headroom, time: str) -> CeilingPart:
    return CeilingPart(
        sentence=headroom_sentence(found),
        explanation=headroom_explanation(found),
        share=None if found.outdated else round(100 * found.share, 2),
        share_text=share(found.share),
        run_id=found.ceiling.run_id,
        at=found.ceiling.measured_at,
        time=time,
    )


def _unknown(time: str) -> CeilingPart:
    return CeilingPart(
        sentence=sentence("The most that this client can send is not known on this machine."),
        explanation="A bare responder, which costs next to nothing, shows it.",
        share=None,
        share_text="",
        run_id=None,
        at=None,
        time=time,
    )

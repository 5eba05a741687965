"""A run that is not over yet, as its page shows it each second."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from control_plane.analysis.charts.figure import Figure
from control_plane.analysis.charts.live_charts import live_charts
from control_plane.analysis.prose.run_sentences import so_far
from control_plane.analysis.validity.client_and_machine_gates import SENT
from control_plane.dependencies import RunId, RunServiceDep, StoreDep
from control_plane.domain.experiment import Experiment
from control_plane.domain.observations import Gauges
from control_plane.domain.result import Progress
from control_plane.domain.run import Live, LiveStream, Run, State
from control_plane.domain.units import (
    NONE,
    SPACE,
    about,
    count,
    figures,
    number_of,
    share,
    split_seconds,
)
from control_plane.jobs.progress_and_expected_time import Phases
from control_plane.jobs.run_service import RunService
from control_plane.pages.run.run_numbers import Tile, error_tile, load_text, time_tile
from control_plane.pages.run_rows import PHASES, ProgressView, progress_view
from control_plane.pages.site import PageMemory, View
from control_plane.pages.site.templating import NO_STORE, shared_fragment
from control_plane.store.store import Store

LIVE_POLL_S = 1.0
"""How long a page waits before it asks again, unless that takes too much from what is measured."""

RECENT_SAMPLES = 4
"""Gauge samples that a tile looks at: about two seconds."""


@dataclass(frozen=True)
class LiveFragment(View):
    """The part of the page that changes each second.

    `so_far` is a sentence. Tiles and figures are empty before the run starts.
    """

    template: ClassVar[str] = "partials/live.html"
    run: Run
    so_far: str
    progress: ProgressView
    tiles: tuple[Tile, ...]
    figures: tuple[Figure, ...]
    log: tuple[str, ...]
    seconds_note: str


@dataclass(frozen=True)
class LivePage(View):
    """The page of a run that is under way: what does not change, around what does.

    `loads` by stream. The run is an arm of `experiment`, where there is one.
    """

    template: ClassVar[str] = "pages/live.html"
    run: Run
    loads: tuple[str, ...]
    live: LiveFragment
    experiment: Experiment | None


def live_fragment(run: Run, progress: Progress, live: Live | None, phases: Phases) -> LiveFragment:
    """Return what changes each second while a run is under way."""
    view = progress_view(run.spec, progress, live, phases)
    return LiveFragment(
        run=run,
        so_far=so_far(live) if live else _waiting(view.phase, progress),
        progress=view,
        tiles=tuple(_tiles(view, live)) if live else (),
        figures=live_charts(live, window_s(run), _cores(run)) if live else (),
        log=live.log if live else (),
        seconds_note=_seconds_note(progress, live),
    )


def window_s(run: Run) -> float | None:
    """Return the length of the window; None unless every stream stops by duration."""
    ends = [
        stream.start_after_s + stream.stop.duration_s
        for stream in run.spec.workload.streams
        if stream.stop.duration_s is not None
    ]
    return max(ends) if len(ends) == len(run.spec.workload.streams) else None


def _cores(run: Run) -> int:
    """Return the cores that the target may use: one for each worker, where they are known."""
    return run.spec.target.workers or 1


def _seconds_note(progress: Progress, live: Live | None) -> str:
    each = f"Trial {progress.trial}, each second." if progress.trials > 1 else "Each second."
    warm = live is not None and any(stream.timeline.warmup for stream in live.streams)
    return f"{each} Grey: warm-up." if warm else each


def _waiting(phase: str, progress: Progress) -> str:
    """Return `Number 3 in the queue: 2 other runs come before it.`"""
    if progress.queue_position is None:
        return f"{phase.capitalize()}: nothing is measured yet."
    if progress.queue_position == 1:
        return "Next in the queue: it starts as soon as nothing else is under way."
    before = progress.queue_position - 1
    verb = "comes" if before == 1 else "come"
    return f"{phase.capitalize()}: {number_of(before, 'other run')} {verb} before it."


def _tiles(view: ProgressView, live: Live) -> Iterator[Tile]:
    yield _state(view, live)
    first = live.streams[0]
    which = f", {first.name}" if len(live.streams) > 1 else ""
    yield _throughput(first, which)
    for percentile in ("p50", "p95", "p99"):
        tile = time_tile(first.response_time_s, percentile)
        yield replace(tile, label=f"{tile.label}{which}")
    errors = sum(stream.errors for stream in live.streams)
    completed = sum(stream.completed for stream in live.streams)
    yield error_tile(errors, completed, f"{count(errors)} failed" if errors else "")
    yield _sent(live)
    yield _cpu("Target CPU", live.gauges, "target")
    yield _cpu("Client CPU", live.gauges, "client")
    yield _loop_lag(live.gauges)


def _state(view: ProgressView, live: Live) -> Tile:
    """Return the present phase, and how long the run still takes.

    Nobody knows when responses come that are awaited after the last window.
    """
    remaining, done = live.progress.remaining_s, f"{view.share} % done"
    phase = PHASES.get(State(live.progress.phase), live.progress.phase)
    if remaining is None or (live.awaited and not remaining):
        return Tile("State", phase, "", done)
    return Tile("State", phase, "", f"{about(remaining)} left, {done}")


def _throughput(stream: LiveStream, which: str) -> Tile:
    completed = number_of(stream.completed, "answer")
    if stream.throughput_per_s is None:
        return Tile(f"Throughput{which}", NONE, "", "not measured yet", "hidden")
    return Tile(f"Throughput{which}", figures(stream.throughput_per_s), "/s", completed)


def _sent(live: Live) -> Tile:
    """Return what part of the requests that were meant to start so far has gone out.

    Only arrivals can be late: of any other load users decide when they send.
    """
    known = [stream.intended for stream in live.streams if stream.intended is not None]
    intended = sum(map(sum, known))
    if not intended:
        why = "nothing was due yet" if known else "users decide when"
        return Tile("Sent", NONE, "", why, "hidden")
    sent = sum(sum(stream.sent) for stream in live.streams)
    value, unit = share(sent / intended).split()
    late = SENT.limits.suspect is not None and sent < SENT.limits.suspect * intended
    return Tile("Sent", value, unit, f"of {count(intended)} intended", "warned" if late else "full")


def _cpu(label: str, gauges: Gauges, role: str) -> Tile:
    """Return the cores used over the last samples by all processes of that role."""
    processes = (process for process in gauges.processes if process.role == role)
    recent = [process.cpu_share[-RECENT_SAMPLES:] for process in processes]
    known = [sum(shares) / len(shares) for shares in recent if shares]
    if not known:
        return Tile(label, NONE, "", "not measured yet", "hidden")
    if len(known) > 1:
        note = f"of {len(known)} processes, last 2{SPACE}s"
        return Tile(label, figures(sum(known)), "cores", note)
    value, unit = share(known[0]).split()
    return Tile(label, value, unit, f"of one core, last 2{SPACE}s")


def _loop_lag(gauges: Gauges) -> Tile:
    """Return the longest lag of an event loop in the last samples.

    Also where none was seen: tiles that come and go would move the others.
    """
    recent = (worker.loop_lag_s[-RECENT_SAMPLES:] for worker in gauges.workers)
    known = [lag_s for lags in recent for lag_s in lags if lag_s is not None]
    if not known:
        return Tile("Loop lag", NONE, "", f"no loop seen in last 2{SPACE}s", "hidden")
    value, unit = split_seconds(max(known))
    return Tile("Loop lag", value, unit, f"longest of last 2{SPACE}s")


router = APIRouter(include_in_schema=False)

OVER = {**NO_STORE, "HX-Refresh": "true"}
"""Tells htmx to load the page again: the result stands at the same address."""


class WorkingRun:
    """The run that works now and its plan, read once: nothing of them changes while it works."""

    def __init__(self) -> None:
        self._run: Run | None = None
        self._phases: Phases | None = None

    def fragment(self, run_id: str, store: Store, service: RunService) -> LiveFragment | None:
        """Return what the page of a run shows now; None once it is over. Raises NotFound."""
        works, known, phases = service.live(run_id) is not None, self._run, self._phases
        if not works or known is None or phases is None or known.id != run_id:
            known = store.run(run_id)
            phases = service.expected_phases(known.spec)
        if works:
            self._run, self._phases = known, phases
        return None if known.state.terminal else current_fragment(known, phases, service)


@router.get("/runs/{run_id}/live")
async def live(
    request: Request, run_id: RunId, store: StoreDep, service: RunServiceDep
) -> Response:
    """Return what changed; once the run is over the page is told to load its result."""
    memory: PageMemory = request.state.page_memory
    working = memory.of(WorkingRun)
    body = await shared_fragment(
        request, LIVE_POLL_S, lambda: working.fragment(run_id, store, service)
    )
    return HTMLResponse(body, headers=NO_STORE) if body else Response(status_code=204, headers=OVER)


def live_view(run: Run, service: RunService, experiment: Experiment | None = None) -> LivePage:
    """Return the page of a run that is under way, perhaps as an arm of an experiment."""
    loads = tuple(load_text(stream) for stream in run.spec.workload.streams)
    current = current_fragment(run, service.expected_phases(run.spec), service)
    return LivePage(run, loads, current, experiment)


def current_fragment(run: Run, phases: Phases, service: RunService) -> LiveFragment:
    """Return what the page shows of the run now."""
    progress = service.progress(run.id) or _unknown_progress(run)
    return live_fragment(run, progress, service.live(run.id), phases)


def _unknown_progress(run: Run) -> Progress:
    """Return the progress of a run that the queue has just taken or left, and that no job shows."""
    return Progress(run.state.value, 1, run.spec.trials, 0.0, None, None)

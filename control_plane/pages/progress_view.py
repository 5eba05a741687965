"""How far a run is: a segment for each trial, and its present phase as text."""

from dataclasses import dataclass

from control_plane.domain.result import Progress
from control_plane.domain.run import Live, State
from control_plane.domain.spec import Spec
from control_plane.domain.units import SPACE, count, number_of
from control_plane.jobs.progress import Phases

MOST_SEGMENTS = 20
"""More trials than this share one segment."""

PHASES = {
    State.QUEUED: "queued",
    State.STARTING: "starting",
    State.WARMING: "warming up",
    State.RUNNING: "measuring",
    State.FINALIZING: "finishing",
    State.PAUSED: "paused with its experiment",
}


@dataclass(frozen=True)
class ProgressSegment:
    """One trial in the bar of progress.

    In per cent: start and warm-up are grey up to `grey`, the window is ink up to `done`.
    """

    grey: float
    done: float
    text: str
    current: bool = False


@dataclass(frozen=True)
class ProgressView:
    """How far a run is.

    `phase` is the present phase for people, `share` in per cent.
    """

    segments: tuple[ProgressSegment, ...]
    phase: str
    share: int


def progress_view(
    spec: Spec, progress: Progress, live: Live | None, phases: Phases
) -> ProgressView:
    """Return how far a run is, by the phases that are expected of each trial."""
    phase = phase_text(spec, progress, live)
    measured = live is not None or progress.phase == State.RUNNING
    segments = _segments(progress, phase if measured else _trial(progress), phases)
    return ProgressView(segments, phase, round(100 * progress.share))


def _trial(progress: Progress) -> str:
    """Return the trial; before there are numbers its phase stands above the segments alone."""
    waits = progress.queue_position is not None or progress.trials == 1
    return "" if waits else f"trial {progress.trial}"


def phase_text(spec: Spec, progress: Progress, live: Live | None) -> str:
    """Return `trial 3 measuring, 37 of 60 s`, `waiting for 12 open requests, 30 s at most`."""
    phase = PHASES.get(State(progress.phase), progress.phase)
    if progress.queue_position == 1:
        return "next in the queue"
    if progress.queue_position is not None:
        return f"number {count(progress.queue_position)} in the queue"
    if live is not None and live.awaited:
        phase = _awaiting(spec, live)
    trial = f"trial {progress.trial} {phase}" if progress.trials > 1 else phase
    if live is None or live.awaited or progress.phase != State.RUNNING:
        return trial
    return f"{trial}, {_measured(spec, live)}"


def _awaiting(spec: Spec, live: Live) -> str:
    """Return for how many requests the run waits after its window, and how long at most."""
    most = f"{spec.timeout_s:g}{SPACE}s at most"
    return f"waiting for {number_of(live.awaited, 'open request')}, {most}"


def _measured(spec: Spec, live: Live) -> str:
    """Return how much of the first stream is done: seconds or requests, by what ends it."""
    stop = spec.workload.streams[0].stop
    if stop.duration_s is not None:
        so_far = min(live.measured_s, stop.duration_s)
        return f"{so_far:,.0f} of {stop.duration_s:g}{SPACE}s"
    done = live.streams[0].completed + live.streams[0].errors if live.streams else 0
    return f"{count(done)} of {stop.label}"


def _segments(progress: Progress, phase: str, phases: Phases) -> tuple[ProgressSegment, ...]:
    before = (phases.start_s + phases.warmup_s) / phases.trial_s if phases.trial_s else 0.0
    if progress.trials > MOST_SEGMENTS:
        return (ProgressSegment(0.0, _percent(progress.share), phase, current=True),)
    return tuple(
        _segment(number, progress, before, phase) for number in range(1, progress.trials + 1)
    )


def _segment(number: int, progress: Progress, before: float, phase: str) -> ProgressSegment:
    named = f"trial {number}" if progress.trials > 1 else ""
    if number < progress.trial:
        return ProgressSegment(0.0, 100.0, f"{named} done")
    if number > progress.trial:
        return ProgressSegment(0.0, 0.0, named)
    inside = min(1.0, max(0.0, progress.share * progress.trials - (number - 1)))
    return ProgressSegment(_percent(min(before, inside)), _percent(inside), phase, current=True)


def _percent(share: float) -> float:
    return round(100 * share, 2)

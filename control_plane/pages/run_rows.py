"""Runs as rows of a list, how far each is, and cells of tables of numbers.

A cell: a number with how far it can be trusted, and a ratio below it. How far a run is: a segment
for each trial, its phase as text.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Literal

from control_plane.analysis.causes import CAUSES
from control_plane.analysis.charts.metric_charts import Sparkline, sparkline, trial_sparkline
from control_plane.analysis.validity.response_gates import ERRORS_SUSPECT
from control_plane.domain.result import Progress, Summary
from control_plane.domain.run import Live, Run, State
from control_plane.domain.spec import Spec
from control_plane.domain.times_and_percentiles import (
    AT_LEAST,
    NO_ANSWER,
    PERCENTILES,
    Times,
    bounded,
    lost,
    percentile_level,
)
from control_plane.domain.unanswered import failed_text
from control_plane.domain.units import NONE, SPACE, count, figures, number_of, part_of
from control_plane.jobs.progress_and_expected_time import Phases
from control_plane.jobs.run_service import RunService
from control_plane.pages.experiment_cards import ExperimentAnswer, ExperimentAnswers
from control_plane.store.store import Store

CellLevel = Literal["full", "greyed", "hidden", "void", "alarm"]

TIME_PARTS = ("min", "p50", "mean", "p90", "p95", "p99", "p999", "max")
COLUMN_HEADS = {"p999": "p99.9"}
"""How the columns of times are headed where that is not their name."""

SCALES = {"s": 1.0, "ms": 1e3, "µs": 1e6}


@dataclass(frozen=True)
class Cell:
    """A cell of a table of numbers, with how far it may be believed.

    `below` is the ratio to the baseline, where there is one, and `below_level` its trust.
    """

    text: str
    level: CellLevel = "full"
    below: str = ""
    below_level: CellLevel = "full"


@dataclass(frozen=True)
class ColumnHead:
    """`term` is the key of the glossary that explains it; most need none."""

    text: str
    unit: str = ""
    term: str = ""


def time_unit(summaries: Sequence[Summary]) -> str:
    """Return one unit for all times of a table, chosen by the shortest median."""
    times = [stream.response_time_s for stream in summaries if stream.response_time_s]
    medians = [part.p50 or part.mean_of_completed for part in times]
    shortest = min(medians, default=0.001)
    if shortest >= 1:
        return "s"
    return "ms" if shortest >= 0.000_1 else "µs"


def time_cell(times: Times | None, part: str, unit: str) -> Cell:
    """Return a time; greyed or hidden by the samples beyond, where `part` is a percentile."""
    if times is None:
        return Cell(NONE, "hidden")
    if lost(times, part):
        return Cell(NO_ANSWER, "hidden")
    level: CellLevel = percentile_level(times, part) if part in PERCENTILES else "full"
    if level == "hidden":
        return Cell(NONE, "hidden")
    sign = AT_LEAST if bounded(times, part) else ""
    return Cell(f"{sign}{figures(getattr(times, part) * SCALES[unit])}", level)


def error_cell(summary: Summary) -> Cell:
    """Return the number, with its share below where it is not zero, and what had no answer."""
    failed, more = sum(summary.errors.values()), failed_text([summary])
    if not failed:
        return Cell("0", below=more)
    part = part_of(failed, summary.completed + failed)
    return Cell(count(failed), "alarm", f"{part}; {more}" if more else part)


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


@dataclass(frozen=True)
class RowNumbers:
    """The numbers of a row; times are in milliseconds. `trials`: the throughput of each."""

    throughput: Cell
    trials: Sparkline
    p50: Cell
    p95: Cell
    p99: Cell
    errors: Cell
    tail: Sparkline


@dataclass(frozen=True)
class RunListRow:
    """One run in a list; `pin` is the name under which it is pinned, else "".

    `numbers` None: `status` stands in their place. `cause` may be empty. `machine`: where an
    imported run was measured, else "".
    """

    id: str
    title: str
    tags: tuple[str, ...]
    state: State
    outcome: str | None
    configuration: str
    strategy: str
    load: str
    numbers: RowNumbers | None
    status: str
    cause: str
    machine: str
    created_at: datetime
    pin: str


@dataclass(frozen=True)
class RunListGroup:
    """Rows that stand together: the arms of one experiment with its answer, or one other run.

    `pin` is the name under which the experiment, or an arm of it, is pinned, else "".
    """

    answer: ExperimentAnswer | None
    rows: tuple[RunListRow, ...]
    pin: str = ""


def run_list_groups(
    runs: Sequence[Run],
    store: Store,
    service: RunService,
    answers: ExperimentAnswers,
    *,
    grouped: bool = True,
) -> tuple[RunListGroup, ...]:
    """Return the runs in their order, arms of an experiment that follow each other as one.

    Not `grouped`: each stands for itself, because their order is another one.
    """
    ids = [run.id for run in runs]
    experiments = store.experiments_of(ids) if grouped else {}
    pins = store.pinned(ids)

    def together(run: Run) -> str:
        return experiments[run.id].id if run.id in experiments else run.id

    groups = []
    for _, each in groupby(runs, key=together):
        found = list(each)
        experiment = experiments.get(found[0].id)
        answer = answers.listed(experiment, store) if experiment else None
        rows = (
            run_list_row(
                run,
                None if run.state.terminal else service.progress(run.id),
                "" if answer else pins.get(run.id, ""),
            )
            for run in found
        )
        pin = next((pins[run.id] for run in found if run.id in pins), "")
        groups.append(RunListGroup(answer, tuple(rows), pin))
    return tuple(groups)


def run_list_row(run: Run, progress: Progress | None = None, pin: str = "") -> RunListRow:
    """Return a run as a row; `progress` of one that is not over, `pin` of one that has a name."""
    outcome = run.validity.outcome if run.validity else None
    summary = run.streams[0] if run.streams and run.state is State.FINISHED else None
    return RunListRow(
        id=run.id,
        title=run.title,
        tags=run.tags,
        state=run.state,
        outcome=outcome,
        configuration=run.configuration,
        strategy=run.spec.client.strategy,
        load=", ".join(stream.load.size_label for stream in run.spec.workload.streams[:2]),
        numbers=_numbers(summary, run.trial_rates, invalid=outcome == "invalid")
        if summary
        else None,
        status=_status(run, progress),
        cause="; ".join(filter(None, (_objectives(run), _cause(run)))),
        machine=run.origin.machine if run.origin else "",
        created_at=run.created_at,
        pin=pin,
    )


def _objectives(run: Run) -> str:
    outcome = run.objectives_outcome
    return f"objective {outcome}" if outcome in {"failed", "undecided"} else ""


def _numbers(summary: Summary, rates: Sequence[float], *, invalid: bool) -> RowNumbers:
    times = summary.response_time_s
    return RowNumbers(
        throughput=Cell(figures(summary.throughput_per_s), "void" if invalid else "full"),
        trials=trial_sparkline(rates),
        p50=_time(times, "p50", invalid=invalid),
        p95=_time(times, "p95", invalid=invalid),
        p99=_time(times, "p99", invalid=invalid),
        errors=_errors(summary),
        tail=sparkline(times),
    )


def _time(times: Times | None, name: str, *, invalid: bool) -> Cell:
    level = percentile_level(times, name)
    if times is None or level == "hidden":
        return Cell(NO_ANSWER if lost(times, name) else NONE, "greyed")
    value_s = times.percentile(name) or 0.0
    return Cell(figures(1_000 * value_s), "void" if invalid else level)


def _errors(summary: Summary) -> Cell:
    failed = sum(summary.errors.values())
    if (summary.error_share or 0.0) > ERRORS_SUSPECT:
        return Cell(part_of(failed, summary.completed + failed), "alarm")
    return Cell(count(failed))


def _cause(run: Run) -> str:
    """Return the first cause that was found, unless a processor was the limit, which is usual."""
    usual = {"server_cpu", "client_limited"}
    found = (cause.cause for cause in run.causes if cause.found)
    return next((CAUSES[name].short for name in found if name not in usual), "")


def _status(run: Run, progress: Progress | None) -> str:
    if progress is None:
        return run.reason or ("nothing completed" if run.state is State.FINISHED else "")
    if progress.queue_position is not None:
        return f"number {progress.queue_position} in the queue"
    trials = f"trial {progress.trial} of {progress.trials}, " if progress.trials > 1 else ""
    return f"{trials}{100 * progress.share:.0f} % done"

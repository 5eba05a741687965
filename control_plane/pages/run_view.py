"""A run that is over, as its page shows it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from control_plane.analysis.charts.curve import curves_of_streams
from control_plane.analysis.charts.distribution import distribution_chart
from control_plane.analysis.charts.figure import Figure
from control_plane.analysis.charts.percentiles import percentile_chart
from control_plane.analysis.charts.timeline import timeline_chart
from control_plane.analysis.comparison import invalid
from control_plane.analysis.gates import GateRow, gate_rows
from control_plane.analysis.run_prose import Banner, banner, headline, lede
from control_plane.analysis.sentence import Sentence
from control_plane.domain.errors import FieldError, InvalidInput
from control_plane.domain.reading import write_spec
from control_plane.domain.run import Run, RunDetail
from control_plane.domain.units import count, seconds
from control_plane.pages.environment import Fact, environment_facts, environment_line
from control_plane.pages.streams_table import StreamsTable, streams_table
from control_plane.pages.tiles import Tile, run_tiles
from control_plane.pages.trials_view import TrialsView, trials_view


@dataclass(frozen=True)
class RunPage:
    """`trial` is the one drawn over time, None for all. Without a result the lower parts are empty.

    `log` is what the target printed last: that of the failure, or of the last trial.
    """

    run: Run
    headline: Sentence
    lede: str
    facts: tuple[str, ...]
    banner: Banner | None
    invalid: bool
    tiles: tuple[Tile, ...]
    trial: int | None
    timeline: Figure | None
    curves: tuple[Figure, ...]
    streams: StreamsTable | None
    trials: TrialsView | None
    gates: tuple[GateRow, ...]
    environment: tuple[Fact, ...]
    environment_line: str
    spec_text: str
    log: tuple[str, ...]


def run_page(detail: RunDetail, target_name: str, trial: int | None) -> RunPage:
    """Raises InvalidInput when there is no such trial."""
    run = detail.run
    _check_trial(run, trial)
    results = run.streams
    return RunPage(
        run=run,
        headline=headline(run),
        lede=lede(run),
        facts=_facts(run, target_name),
        banner=banner(run),
        invalid=invalid(run),
        tiles=run_tiles(results[0], invalid=invalid(run), named=len(results) > 1)
        if results
        else (),
        trial=trial,
        timeline=timeline_chart(detail, trial) if detail.timelines else None,
        curves=curve_figures(detail),
        streams=streams_table(run) if results else None,
        trials=trials_view(run) if run.trials else None,
        gates=gate_rows(run.validity) if run.validity else (),
        environment=environment_facts(run),
        environment_line=environment_line(run),
        spec_text=spec_text(run),
        log=run.log or (run.trials[-1].target.log if run.trials else ()),
    )


def curve_figures(detail: RunDetail) -> tuple[Figure, ...]:
    """Percentiles and distribution, where anything completed."""
    curves = curves_of_streams(detail)
    if not curves:
        return ()
    return percentile_chart(curves), distribution_chart(curves)


def run_figures(detail: RunDetail, trial: int | None) -> tuple[Figure, ...]:
    """All figures of the page, for their tables."""
    _check_trial(detail.run, trial)
    timeline = (timeline_chart(detail, trial),) if detail.timelines else ()
    return (*timeline, *curve_figures(detail))


def spec_text(run: Run) -> str:
    """Indented JSON, as `looplab run` and the API take it."""
    return json.dumps(write_spec(run.spec), indent=2, ensure_ascii=False)


def _check_trial(run: Run, trial: int | None) -> None:
    if trial is not None and not 1 <= trial <= len(run.trials):
        message = f"Trial {trial:,} is not among the {len(run.trials)} of this run."
        raise InvalidInput(message, (FieldError("trial", message, len(run.trials)),))


def _facts(run: Run, target_name: str) -> tuple[str, ...]:
    """How it was measured, for the line below the sentence."""
    facts = [target_name, f"client {run.spec.client.strategy}"]
    if not run.streams:
        return tuple(facts)
    return (_measured(run), _counted(run), *facts)


def _measured(run: Run) -> str:
    windows = sum(max(one.duration_s for one in trial.streams) for trial in run.trials)
    mean = seconds(windows / len(run.trials)) if run.trials else ""
    return f"{len(run.trials)} trials of {mean}" if len(run.trials) > 1 else f"one trial of {mean}"


def _counted(run: Run) -> str:
    """`2,033 small and 225 large requests, 0 errors`."""
    failed = sum(sum(one.errors.values()) for one in run.streams)
    errors = "1 error" if failed == 1 else f"{count(failed)} errors"
    return f"{_requests(run)}, {errors}"


def _requests(run: Run) -> str:
    named: Sequence[str] = [f"{count(one.completed)} {one.name}" for one in run.streams]
    if len(named) == 1:
        return f"{count(run.streams[0].completed)} requests"
    return f"{', '.join(named[:-1])} and {named[-1]} requests"

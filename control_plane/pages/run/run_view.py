"""A run that is over, as its page shows it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import orjson

from control_plane.analysis.charts.curve import curves_of_streams, time_base_note, with_other_clocks
from control_plane.analysis.charts.distribution import distribution_chart
from control_plane.analysis.charts.figure import Figure
from control_plane.analysis.charts.percentiles import percentile_chart
from control_plane.analysis.charts.timeline import timeline_chart, timeline_legend
from control_plane.analysis.comparison import invalid
from control_plane.analysis.field_labels import (
    FactGroup,
    address_facts,
    environment_facts,
    environment_line,
    settings_text,
)
from control_plane.analysis.prose import Sentence, joined
from control_plane.analysis.prose.run_sentences import (
    Banner,
    banner,
    headline,
    lede,
    load_elsewhere,
    requests_before_text,
)
from control_plane.analysis.validity.judged_run import GateRow, gate_rows
from control_plane.domain.errors import FieldError, InvalidInput
from control_plane.domain.experiment import Experiment
from control_plane.domain.result import Timeline, Trial
from control_plane.domain.run import Pin, Run, RunDetail, State
from control_plane.domain.spec import BUNDLED, Spec
from control_plane.domain.spec_json import write_spec
from control_plane.domain.times_and_percentiles import AT_LEAST_NOTE, bounded, cut_off
from control_plane.domain.unanswered import failed_text
from control_plane.domain.units import count, number_of, seconds
from control_plane.pages.compare_query import Suggestion
from control_plane.pages.run.causes_view import CausesView, CeilingPart
from control_plane.pages.run.run_numbers import (
    StreamsTable,
    Tile,
    TrialsView,
    run_tiles,
    streams_table,
    trials_view,
)
from control_plane.pages.site import View
from control_plane.pages.urls import run_figure_url, run_url


def elapsed(run: Run) -> str | None:
    """Return how long a run took; None also for an interrupted run: nobody saw when it ended."""
    if run.started_at is None or run.finished_at is None or run.state is State.INTERRUPTED:
        return None
    return seconds((run.finished_at - run.started_at).total_seconds())


def validity_text(run: Run) -> str | None:
    """Return `valid, 5 of 5 gates`; `suspect: 1 of 4 gates`."""
    if run.validity is None or run.validity.outcome is None:
        return None
    quiet = sum(reason.level == "ok" for reason in run.validity.judged)
    gates = f"of {len(run.validity.judged)} gates"
    if run.validity.outcome == "valid":
        return f"valid, {quiet} {gates}"
    return f"{run.validity.outcome}: {len(run.validity.judged) - quiet} {gates}"


def streams_note(run: Run) -> str:
    """Return how to read the table of streams."""
    merged = "All trials merged, counts added. " if len(run.trials) > 1 else ""
    bound = any(
        cut_off(stream.response_time_s) or bounded(stream.response_time_s, "max")
        for stream in run.streams
    )
    note = f" {AT_LEAST_NOTE}" if bound else ""
    return f"{merged}Response times; grey: 10 to 99 samples lie above it.{note}"


def repeated_values(spec: Spec) -> tuple[str, ...]:
    """Return the placeholders whose values come again on purpose: `{email}`."""
    requests = (request for stream in spec.workload.streams for request in stream.requests)
    values = (pair for request in requests for pair in request.values.items())
    return tuple(dict.fromkeys(f"{{{name}}}" for name, value in values if value.repeat))


def facts(run: Run) -> tuple[str, ...]:
    """Return how a run was measured, for the line below the sentence."""
    loads = [stream.load.label for stream in run.spec.workload.streams]
    facts = [
        *_asked(run),
        run.configuration,
        f"client {run.spec.client.strategy}",
        *dict.fromkeys(loads),
    ]
    if repeated := repeated_values(run.spec):
        facts.append(f"{', '.join(repeated)} the same in each run")
    facts += _before_and_data(run)
    facts += _read_until(run)
    facts += _target_facts(run)
    if not run.streams:
        return tuple(facts)
    return (_measured(run), _counted(run), *facts)


def _read_until(run: Run) -> Iterator[str]:
    """Yield which answers are not read to their end: `GET /events read until its first event`."""
    for stream in run.spec.workload.streams:
        for request in stream.requests:
            if request.until is not None:
                yield f"{request.line} read {request.until.label}, then closed by the client"


def _before_and_data(run: Run) -> Iterator[str]:
    """Yield what was sent before the load, and the files that requests were filled from."""
    yield from (value.label for _, request in run.spec.requests() for value in request.rows)
    if run.spec.client.cookies:
        yield "cookies kept for each user"
    if before := requests_before_text([trial.client.requests_before for trial in run.trials]):
        yield before


def _target_facts(run: Run) -> Iterator[str]:
    """Yield what is to be known of how the target was reached and ended."""
    used = [trial.target for trial in run.trials]
    yield from address_facts([target.address for target in used])
    if read := settings_text(run.environment):
        yield read
    killed = [target.killed_after_s for target in used if target.killed_after_s]
    if killed and run.spec.target.application != BUNDLED:
        how_often = f" in {len(killed)} of {len(used)} trials" if len(used) > 1 else ""
        yield f"target killed, not ended {killed[0]:g} s after SIGTERM{how_often}"


def _asked(run: Run) -> list[str]:
    """Return what each stream asks for, with its name where there are several."""
    streams = run.spec.workload.streams
    named = len(streams) > 1
    return [f"{stream.name}: {stream.asked}" if named else stream.asked for stream in streams]


def _measured(run: Run) -> str:
    windows = sum(max(stream.duration_s for stream in trial.streams) for trial in run.trials)
    mean = seconds(windows / len(run.trials)) if run.trials else ""
    lengths_s = [stream.duration_s for trial in run.trials for stream in trial.streams]
    most = "up to " if len(run.streams) > 1 and max(lengths_s) > 1.05 * min(lengths_s) else ""
    many = f"{len(run.trials)} trials" if len(run.trials) > 1 else "one trial"
    return f"{many} of {most}{mean}"


def _counted(run: Run) -> str:
    """Return `2,033 requests of small and 225 of large, 0 errors`."""
    failed = sum(sum(stream.errors.values()) for stream in run.streams)
    told = [_requests(run), number_of(failed, "error"), failed_text(run.streams)]
    return ", ".join(filter(None, told))


def _requests(run: Run) -> str:
    first, *others = run.streams
    if not others:
        return number_of(first.completed, "request")
    rest = (f"{count(stream.completed)} of {stream.name}" for stream in others)
    return joined([f"{number_of(first.completed, 'request')} of {first.name}", *rest])


TrialLink = tuple[str, str, bool]
"""Name and address of what can be drawn over time, and whether it is drawn now."""


@dataclass(frozen=True)
class RunPage(View):
    """The page of a run that is over.

    Without a result the lower parts are empty. `figure_file` has NAME for a figure's name.

    `log` is what the target printed last: that of the failure, or of the last trial; `hints` say
    why it did not start. `command` is the command that runs the spec. `key` makes one run of one
    press of the button, however often it is sent. `experiment`: the run is an arm of it. `pin`: it
    is kept as a baseline.
    """

    template: ClassVar[str] = "pages/run.html"

    run: Run
    elapsed: str | None
    headline: Sentence
    lede: str
    validity_text: str | None
    facts: tuple[str, ...]
    banner: Banner | None
    disturbed: bool
    tiles: tuple[Tile, ...]
    timeline: Figure | None
    timeline_note: str
    trial_links: tuple[TrialLink, ...]
    figure_file: str
    curves: tuple[Figure, ...]
    time_base_note: str
    streams: StreamsTable | None
    streams_note: str
    trials: TrialsView | None
    gates: tuple[GateRow, ...]
    environment: tuple[FactGroup, ...]
    environment_line: str
    spec_text: str
    log: tuple[str, ...]
    others: tuple[Suggestion, ...]
    key: str
    causes: CausesView | None = None
    client: CeilingPart | None = None
    hints: tuple[str, ...] = ()
    command: str = ""
    experiment: Experiment | None = None
    pin: Pin | None = None

    @property
    def elsewhere(self) -> tuple[str, ...]:
        """Which other machines get how much once it is run again."""
        return () if self.run.origin else load_elsewhere([self.run.spec])


def run_page(
    detail: RunDetail,
    trial: int | None,
    others: tuple[Suggestion, ...],
    key: str,
) -> RunPage:
    """Return the page of a finished run or of one trial.

    Raises InvalidInput when there is no such trial.
    """
    run = detail.run
    _check_trial(run, trial)
    timeline = timeline_chart(detail, trial) if detail.timelines else None
    return RunPage(
        run=run,
        elapsed=elapsed(run),
        headline=headline(run),
        lede=lede(run),
        validity_text=validity_text(run),
        facts=facts(run),
        banner=banner(run),
        disturbed=_disturbed(run),
        tiles=run_tiles(run.streams, invalid=invalid(run)) if run.streams else (),
        timeline=timeline,
        timeline_note=f"{_timeline_note(run, trial, timeline)}{_left_out_note(detail, trial)}",
        trial_links=_trial_links(run, trial),
        figure_file=run_figure_url(run.id, "NAME", trial),
        curves=curve_figures(detail),
        time_base_note=time_base_note(run.spec, detail.streams.values()),
        streams=streams_table(run) if run.streams else None,
        streams_note=streams_note(run),
        trials=trials_view(run) if run.trials else None,
        gates=gate_rows(run.validity, run.spec),
        environment=environment_facts(run),
        environment_line=environment_line(run),
        spec_text=spec_text(run),
        log=run.log or (run.trials[-1].target.log if run.trials else ()),
        others=others,
        key=key,
    )


def _disturbed(run: Run) -> bool:
    """Whether only other processes are to blame: the same spec, run again, may do."""
    reasons = run.validity.reasons if run.validity else ()
    return bool(reasons) and all(reason.gate == "other_load" for reason in reasons)


def curve_figures(detail: RunDetail) -> tuple[Figure, ...]:
    """Return percentiles and distribution, where anything completed."""
    curves = curves_of_streams(detail)
    if not curves:
        return ()
    return percentile_chart(with_other_clocks(curves, detail), "stream"), distribution_chart(curves)


def run_figures(detail: RunDetail, trial: int | None) -> tuple[Figure, ...]:
    """Return all figures of the page, for their tables."""
    _check_trial(detail.run, trial)
    timeline = (timeline_chart(detail, trial),) if detail.timelines else ()
    return (*timeline, *curve_figures(detail))


def spec_text(run: Run) -> str:
    """Return the spec as indented JSON, as `looplab run` and the API take it."""
    return orjson.dumps(write_spec(run.spec), option=orjson.OPT_INDENT_2).decode()


def _timeline_note(run: Run, trial: int | None, timeline: Figure | None) -> str:
    if len(run.trials) < 2:
        which = "Each second of the window."
    else:
        many = len(run.trials)
        which = f"Trial {trial} of {many}." if trial else "All trials, one after the other."
    return f"{which} {timeline_legend(timeline)}".strip() if timeline else which


def _left_out_note(detail: RunDetail, trial: int | None) -> str:
    return f"{_late_note(detail, trial)}{_unanswered_note(detail.run)}"


def _late_note(detail: RunDetail, trial: int | None) -> str:
    """Return how many responses of the drawn trials came after the window; empty where none did."""
    late = sum(
        _late(detail.run.trials[at], name, timeline)
        for name, timelines in detail.timelines.items()
        for at, timeline in enumerate(timelines)
        if trial in (None, at + 1)
    )
    if not late:
        return ""
    came = "answer that came" if late == 1 else "answers that came"
    return f" The times of the last second hold {count(late)} {came} after the window."


def _unanswered_note(run: Run) -> str:
    """Return what no cell of the heat map shows; empty where every request had an answer."""
    failed = sum(
        times.unanswered.count
        for stream in run.streams
        if (times := stream.response_time_s) and times.unanswered
    )
    if not failed:
        return ""
    verb = "is" if failed == 1 else "are"
    return f" {number_of(failed, 'request')} had no answer and {verb} in no time that is drawn."


def _late(trial: Trial, name: str, timeline: Timeline) -> int:
    completed = sum(stream.completed for stream in trial.streams if stream.name == name)
    return completed - sum(timeline.completed)


def _trial_links(run: Run, trial: int | None) -> tuple[TrialLink, ...]:
    if len(run.trials) < 2:
        return ()
    links = [
        (str(number), run_url(run.id, number, "over-time"), number == trial)
        for number in range(1, len(run.trials) + 1)
    ]
    return (("All", run_url(run.id, part="over-time"), trial is None), *links)


def _check_trial(run: Run, trial: int | None) -> None:
    if trial is not None and not 1 <= trial <= len(run.trials):
        message = f"Trial {trial:,} is not among the {len(run.trials)} of this run."
        raise InvalidInput(message, (FieldError("trial", message, len(run.trials)),))

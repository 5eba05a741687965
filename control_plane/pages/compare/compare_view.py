"""One to twelve runs side by side, as their page shows them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from secrets import token_urlsafe
from typing import ClassVar

from control_plane.analysis.charts.compared_timelines import (
    TimelineView,
    run_timelines,
    run_timelines_legend,
)
from control_plane.analysis.charts.curve import Curve, curves_of_runs, within
from control_plane.analysis.charts.distribution import distribution_chart
from control_plane.analysis.charts.figure import Figure
from control_plane.analysis.charts.metric_charts import (
    BarChart,
    metric_bars,
    metric_ratios,
    stream_names,
)
from control_plane.analysis.charts.percentiles import CurveKind, percentile_chart
from control_plane.analysis.charts.shift import shift_chart
from control_plane.analysis.comparison import PRIMARY, Comparison, compare, invalid
from control_plane.analysis.field_labels import FactGroup, environment_facts, environment_line
from control_plane.analysis.prose import Sentence
from control_plane.analysis.prose.comparison_scope import asked_of_runs, deleted_runs
from control_plane.analysis.prose.comparison_sentences import (
    caveats,
    comparison_title,
    sessions_text,
    shared_cause,
)
from control_plane.analysis.prose.run_sentences import arms_elsewhere
from control_plane.analysis.run_labels import (
    RunLabel,
    rename_stream_of_detail,
    rename_stream_of_live,
)
from control_plane.domain.errors import FieldError, InvalidInput
from control_plane.domain.experiment import DEFAULT_BLOCKS, Experiment, rounded_blocks
from control_plane.domain.metrics_and_objectives import ERRORS_OR_NO_ANSWER
from control_plane.domain.result import OUTCOMES, Progress, ValidityOutcome
from control_plane.domain.run import Live, Pin, Run, RunDetail, State
from control_plane.domain.unanswered import failed_text
from control_plane.domain.units import count
from control_plane.pages.compare.numbers_table import (
    NumbersTable,
    StreamRows,
    numbers_table,
    ratio_table,
)
from control_plane.pages.compare.ratio_plot import (
    RatioPlot,
    SessionPlot,
    ratio_plot,
    session_plot,
)
from control_plane.pages.compare.run_header import (
    HeaderRow,
    RunColumn,
    RunHeader,
    all_rows,
    run_header,
)
from control_plane.pages.compare_query import CompareQuery, Suggestion
from control_plane.pages.run.run_view import spec_text
from control_plane.pages.site import View

LINES_FROM = 3
"""So many runs are drawn as lines over the metrics too."""


@dataclass(frozen=True)
class ComparisonFigures:
    """All that is drawn of one stream.

    `curves`: percentiles, and with a baseline to differ from the shift. `shares`: the
    distribution, and from three runs on the lines over the metrics.
    """

    ratios: RatioPlot | None
    ratio_rows: tuple[StreamRows, ...]
    sessions: SessionPlot | None
    curves: tuple[Figure, ...]
    shares: tuple[Figure, ...]
    bars: BarChart
    timelines: tuple[Figure, ...]
    timeline_legend: str
    numbers: NumbersTable

    @property
    def figures(self) -> tuple[Figure | BarChart, ...]:
        """Return all that have a table."""
        return (*self.curves, *self.shares, self.bars, *self.timelines)


def comparison_figures(
    details: Sequence[RunDetail], comparison: Comparison, stream: str, query: CompareQuery
) -> ComparisonFigures | None:
    """Return the figures of one stream; None while no run has a result in it.

    Charts leave out the runs that the query hides.
    """
    if stream not in stream_names(comparison):
        return None
    drawn, labels = _shown(details, comparison, query)
    curves = curves_of_runs(_parts(drawn, stream, query), labels, stream)
    ratios = ratio_plot(comparison, stream, query.metric)
    several = ratios is not None and len(comparison.runs) >= LINES_FROM and not query.metric
    lines = (metric_ratios(comparison, stream),) if several else ()
    view = TimelineView(span=query.span, linear="timelines" in query.linear)
    timelines = run_timelines(drawn, labels, stream, view)
    return ComparisonFigures(
        ratios=ratios,
        ratio_rows=ratio_table(comparison),
        sessions=session_plot(comparison, stream),
        curves=_curves(comparison, curves, linear="percentiles" in query.linear),
        shares=(distribution_chart(curves), *lines),
        bars=metric_bars(comparison, stream, query.metric or PRIMARY),
        timelines=timelines,
        timeline_legend=run_timelines_legend(timelines),
        numbers=numbers_table(comparison, stream, query.metric),
    )


def _shown(
    details: Sequence[RunDetail], comparison: Comparison, query: CompareQuery
) -> tuple[list[RunDetail], list[RunLabel]]:
    """Return the runs that are not hidden, their streams called as the baseline's."""
    if comparison.own_names:
        pairs = zip(details, comparison.runs, strict=True)
        details = [
            rename_stream_of_detail(detail, run) if run.id in comparison.own_names else detail
            for detail, run in pairs
        ]
    shown = [
        (detail, label)
        for detail, label in zip(details, comparison.labels, strict=True)
        if label.id not in query.hidden
    ]
    return [detail for detail, _ in shown], [label for _, label in shown]


def _parts(details: Sequence[RunDetail], stream: str, query: CompareQuery) -> Sequence[RunDetail]:
    """Return the runs with the seconds alone that are asked for."""
    return details if query.is_whole else [within(each, stream, query.span) for each in details]


def _curves(comparison: Comparison, curves: Sequence[Curve], *, linear: bool) -> tuple[Figure, ...]:
    """Return the percentiles, and how much later than the baseline those of its machine are."""
    kind: CurveKind = "machine" if comparison.apart else "run"
    same_machine = [curve for curve in curves if curve.id not in comparison.apart]
    shift = shift_chart(same_machine, comparison.baseline)
    return (percentile_chart(curves, kind, linear=linear), *((shift,) if shift else ()))


@dataclass(frozen=True)
class Badge:
    """How many runs have one outcome.

    `text` is the count, with the letters of those that are in doubt: `1 suspect: B`.
    """

    outcome: ValidityOutcome
    text: str


@dataclass(frozen=True)
class SharedWorkload:
    """The workload that all runs have in common: `24,999 ×` and `GET /items/{item_id}`."""

    count: str
    request: str


@dataclass(frozen=True)
class CompareFragment(View):
    """The part of the page that changes while runs finish.

    `stream` is the one drawn. `waiting`: a run is not over. `specs` as JSON text by run.
    `refused` names both values where machines differ, `elsewhere` where another Looplab measured
    on another one; `instead` could be the baseline where that left no result; `shared` says why a
    ratio has several causes. `environment` is that of the first run that has one;
    `same_environment`: it is known to be that of all. All runs are arms of `experiment`, where
    there is one; `key` is sent with the form that starts one, once. `asked` says what was asked of
    each where that differs, `without` which runs were deleted; `fields` has all of specs and
    environments. `pins` are those of its runs that are pinned.
    """

    template: ClassVar[str] = "partials/compare.html"
    query: CompareQuery
    comparison: Comparison
    waiting: bool
    without: str
    asked: Sentence
    title: Sentence
    caveats: Sentence
    badges: tuple[Badge, ...]
    facts: tuple[str, ...]
    stream: str
    run_header: RunHeader
    refused: str | None
    elsewhere: str | None
    instead: RunLabel | None
    shared: str | None
    errors: str
    figures: ComparisonFigures | None
    environment: tuple[FactGroup, ...]
    environment_line: str
    same_environment: bool
    fields: tuple[HeaderRow, ...]
    specs: tuple[str, ...]
    experiment: Experiment | None = None
    pins: tuple[Pin, ...] = ()
    key: str = field(default_factory=partial(token_urlsafe, 12))

    @property
    def load_elsewhere(self) -> tuple[str, ...]:
        """Which other machines get how much once an experiment measures its specs again."""
        specs = [run.spec for run in self.comparison.runs]
        return arms_elsewhere(specs, rounded_blocks(len(specs), DEFAULT_BLOCKS))


@dataclass(frozen=True)
class ComparePage(View):
    """The page of a comparison: what does not change while runs finish, around what does.

    `others` could be added. `configuration` is the name that all have; None where they differ.
    """

    template: ClassVar[str] = "pages/compare.html"
    compare: CompareFragment
    workload: SharedWorkload | None
    configuration: str | None
    others: tuple[Suggestion, ...]


def compare_fragment(
    details: Sequence[RunDetail],
    comparison: Comparison,
    query: CompareQuery,
    progress: Mapping[str, Progress],
    live: Mapping[str, Live],
) -> CompareFragment:
    """Return what changes while runs finish. Raises InvalidInput for another stream.

    `progress` by id of the runs that are not over, `live` of those that are measured.
    """
    stream = drawn_stream(comparison, query.stream)
    if comparison.own_names:
        live = {run_id: rename_stream_of_live(state, stream) for run_id, state in live.items()}
    columns = run_header(comparison, query, stream, progress, live)
    known = next((run for run in comparison.runs if run.environment is not None), None)
    return CompareFragment(
        query=query,
        comparison=comparison,
        waiting=any(not run.state.terminal for run in comparison.runs),
        without=deleted_runs(comparison),
        asked=asked_of_runs(comparison),
        title=comparison_title(comparison, stream),
        caveats=caveats(comparison, stream),
        badges=_badges(columns.columns),
        facts=tuple(_facts(comparison)),
        stream=stream,
        run_header=columns,
        refused=None if query.anyway else _refused(comparison, "machine"),
        elsewhere=_refused(comparison, "elsewhere"),
        instead=_instead(comparison),
        shared=shared_cause(comparison),
        errors=_errors(comparison),
        figures=comparison_figures(details, comparison, stream, query),
        environment=environment_facts(known) if known else (),
        environment_line=environment_line(known) if known else "",
        same_environment=_same_environment(comparison),
        fields=all_rows(comparison),
        specs=tuple(spec_text(run) for run in comparison.measured_runs),
    )


def compared(details: Sequence[RunDetail], query: CompareQuery) -> Comparison:
    """Return the comparison that is asked for."""
    runs = [detail.run for detail in details]
    return compare(
        runs,
        query.baseline,
        anyway=query.anyway,
        deleted=query.deleted,
        places=query.taken_places,
    )


def shared_workload(runs: Sequence[Run]) -> SharedWorkload | None:
    """Return what all runs have in common; None where their first requests differ."""
    streams = [run.spec.workload.streams[0] for run in runs]
    requests = {stream.requests[0].line for stream in streams}
    if len(requests) > 1:
        return None
    stops = {stream.stop for stream in streams}
    stop = stops.pop()
    number = f"{count(stop.requests)} ×" if not stops and stop.requests is not None else ""
    return SharedWorkload(number, requests.pop())


def shared_configuration(comparison: Comparison) -> str | None:
    """Return the name of the configuration that all runs share; None where they differ."""
    names = set(comparison.configurations)
    return names.pop() if len(names) == 1 else None


def drawn_stream(comparison: Comparison, name: str | None) -> str:
    """Return the stream that is asked for, or the first.

    Raises InvalidInput for one that no run has.
    """
    if name is not None and name not in comparison.streams:
        message = f"No run has a stream {name[:40]!r}: there is {', '.join(comparison.streams)}."
        raise InvalidInput(message, (FieldError("stream", message),))
    return name or comparison.streams[0]


def _badges(columns: Sequence[RunColumn]) -> tuple[Badge, ...]:
    badges = []
    for outcome in OUTCOMES:
        letters = [column.label.letter for column in columns if column.outcome == outcome]
        if letters:
            named = "" if outcome == "valid" else f": {', '.join(letters)}"
            badges.append(Badge(outcome, f"{len(letters)} {outcome}{named}"))
    return tuple(badges)


def _facts(comparison: Comparison) -> Iterator[str]:
    if len(comparison.runs) == 1:
        return
    trials = sorted({run.spec.trials for run in comparison.runs})
    each = f"{trials[0]}" if len(trials) == 1 else f"{trials[0]} to {trials[-1]}"
    plural = "" if trials == [1] else "s"
    yield f"{each} trial{plural} of each run, not interleaved"
    if comparison.sessions:
        yield sessions_text(comparison)


def _refused(comparison: Comparison, kind: str) -> str | None:
    refusals = comparison.refusals.values()
    texts = [refusal.text for refusal in refusals if refusal.kind == kind]
    return "; ".join(dict.fromkeys(texts)) or None


def _instead(comparison: Comparison) -> RunLabel | None:
    """Return the first run with a result that counts, where the baseline has none; else None."""
    if not comparison.run(comparison.baseline).resultless:
        return None
    able = (run for run in comparison.runs if run.state is State.FINISHED and not invalid(run))
    return next((comparison.label(run.id) for run in able), None)


def _same_environment(comparison: Comparison) -> bool:
    known = all(run.environment is not None for run in comparison.runs)
    return known and not comparison.environment


def _errors(comparison: Comparison) -> str:
    """Return how many requests failed, also where none did; empty while nothing is measured."""
    failed = {
        run.id: sum(stream.failed for stream in run.streams)
        for run in comparison.runs
        if run.streams
    }
    if not failed:
        return ""
    if not any(failed.values()):
        return "No request failed in any run." if len(failed) > 1 else "No request failed."
    by_run = [
        f"{comparison.label(run_id).letter} {count(number)}"
        for run_id, number in failed.items()
        if number
    ]
    unanswered = any(failed_text(run.streams) for run in comparison.runs)
    what = ERRORS_OR_NO_ANSWER if unanswered else "Failed requests"
    return f"{what}: {', '.join(by_run)}."

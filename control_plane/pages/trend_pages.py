"""Trends: specs with points enough, the page of one, and what people do to its steps."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from control_plane.analysis.charts.figure import Figure
from control_plane.analysis.charts.metric_charts import Sparkline
from control_plane.analysis.charts.trend_chart import (
    course,
    step_text,
    trend_chart,
    trend_table,
    written,
)
from control_plane.analysis.differences import EnvironmentChange, MeasuredCommit
from control_plane.analysis.field_labels import text_of
from control_plane.analysis.prose.experiment_and_trend_json import trend_document
from control_plane.analysis.prose.markdown_and_junit import trend_markdown
from control_plane.analysis.trend import Trend, TrendPoint, TrendStep
from control_plane.dependencies import (
    RAW,
    RunServiceDep,
    StoreDep,
    TrendListQueryDep,
    TrendQuery,
    TrendQueryDep,
    TrendSpec,
    change_step,
    read_trend,
)
from control_plane.domain.errors import NotFound
from control_plane.domain.trend_runs import (
    ADDED,
    LEAST_TREND_POINTS,
    TREND_METRICS,
    LeftOutOfTrends,
    ListedTrend,
    StepChange,
    StepMark,
)
from control_plane.domain.units import figures, number_of, seconds
from control_plane.jobs.application_check import commits_of_step
from control_plane.jobs.run_service import RunService
from control_plane.pages.exports import FigureName, csv_file, figure_file, grid_file, markdown_file
from control_plane.pages.form import FormDep
from control_plane.pages.import_and_repeat import bundle_file
from control_plane.pages.site import View
from control_plane.pages.site.templating import page
from control_plane.pages.urls import TRENDS, compare_url, trend_url
from control_plane.store.stored_trends import MOST_LISTED_TRENDS

router = APIRouter(include_in_schema=False)

SHOWN_METRICS = {
    "throughput_per_s": "throughput",
    "response_time_s.p50": "p50",
    "response_time_s.p95": "p95",
    "response_time_s.p99": "p99",
    "error_share": "errors",
    "cpu_s_per_request": "CPU per request",
    "peak_memory_bytes": "peak memory",
    "ready_s": "start time",
}
"""The metrics that the page offers; the address takes every other one."""

_WITH_COMMITS = 3
"""For so many of the newest steps git is asked which commits lie in them."""

CommitsBetween = Callable[[str, str], tuple[tuple[str, str], ...]]

_NEAR, _OFFERED = 12, 200
"""A step is moved by so many points at most, or added before one of so many of the newest."""


@dataclass(frozen=True)
class TrendListRow:
    """A trend in the list, with its last p50 response time and their course."""

    trend: ListedTrend
    last: str
    line: Sparkline


@dataclass(frozen=True)
class TrendsPage(View):
    """The trends with points enough; `left_out`: the runs that make none."""

    template: ClassVar[str] = "pages/trends.html"
    rows: tuple[TrendListRow, ...]
    suspect: bool
    left_out: LeftOutOfTrends
    least: int = LEAST_TREND_POINTS
    most: int = MOST_LISTED_TRENDS


@dataclass(frozen=True)
class TrendChoice:
    """One way to look at a trend, and whether it is the present one."""

    name: str
    href: str
    current: bool


@dataclass(frozen=True)
class StepCard:
    """A step as the page tells it.

    It lies between the runs of `before` and `after`, most likely before that of `at`; `near` are
    those that it can be moved before. `commits` were measured in it, `between` are all after the
    first of them with their subjects where its repository tells, and `git` lists them. `chance` is
    the p-value; "" where a person set it.
    """

    number: int
    step: TrendStep
    text: str
    levels: str
    before: TrendPoint
    at: TrendPoint
    after: TrendPoint
    compare: str
    commits: tuple[MeasuredCommit, ...]
    between: tuple[tuple[str, str], ...]
    git: str
    chance: str
    near: tuple[tuple[int, TrendPoint], ...]

    @property
    def mark(self) -> StepMark | None:
        """What somebody did to it."""
        return self.step.mark if self.step.mark and self.step.mark.made_by else None


@dataclass(frozen=True)
class ChangeRow:
    """What differs between the runs of two points that follow each other: name, before, after."""

    before: TrendPoint
    after: TrendPoint
    facts: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class TrendPage(View):
    """A metric of all runs of one spec.

    `choices` by what is chosen. `behind` stands behind each address of it, "" or `?metric=…`.
    `for_others`: in a report or behind a share link, where nothing is chosen and nothing changed.
    """

    template: ClassVar[str] = "pages/trend.html"
    trend: Trend
    facts: tuple[str, ...]
    lede: str
    choices: tuple[tuple[str, tuple[TrendChoice, ...]], ...]
    figure: Figure | None
    steps: tuple[StepCard, ...]
    rejected: tuple[StepCard, ...]
    changes: tuple[ChangeRow, ...]
    offered: tuple[tuple[int, TrendPoint], ...]
    behind: str
    for_others: bool = False


@router.get(TRENDS)
def trends(request: Request, store: StoreDep, query: TrendListQueryDep) -> Response:
    """List the trends that have points enough."""
    listed = store.trends(**query.model_dump())
    lasts = (seconds(each.numbers[-1] if each.numbers else None) for each in listed)
    rows = (TrendListRow(t, last, course(t.numbers)) for t, last in zip(listed, lasts, strict=True))
    left_out = store.left_out_of_trends(suspect=query.suspect)
    return page(request, TrendsPage(tuple(rows), query.suspect, left_out))


@router.get(f"{TRENDS}/{{spec}}.md")
def trend_comment(
    request: Request, spec: TrendSpec, store: StoreDep, query: TrendQueryDep
) -> Response:
    """Return a trend as Markdown."""
    found = read_trend(store, spec, query)
    address = trend_url(found.runs.key.spec, query.changed())
    text = trend_markdown(trend_document(found), f"{str(request.base_url).rstrip('/')}{address}")
    return markdown_file(text, f"trend-{spec}")


@router.get(f"{TRENDS}/{{spec}}.tsv")
def trend_grid(spec: TrendSpec, store: StoreDep, query: TrendQueryDep) -> Response:
    """Return the points of a trend as a table for a spreadsheet."""
    return grid_file(trend_table(read_trend(store, spec, query)), f"trend-{spec}")


@router.get(f"{TRENDS}/{{spec}}.csv")
def trend_csv(spec: TrendSpec, store: StoreDep, query: TrendQueryDep) -> Response:
    """Return the points of a trend as CSV."""
    points = trend_table(read_trend(store, spec, query))
    return csv_file(f"trend-{spec}", points.columns, points.rows)


@router.get(f"{TRENDS}/{{spec}}.looplab")
def trend_bundle(spec: TrendSpec, store: StoreDep, query: TrendQueryDep) -> Response:
    """Return the runs of a trend as one file for another Looplab."""
    if not (ids := [point.run.id for point in read_trend(store, spec, query).points]):
        raise NotFound("This trend has no run yet.")
    return bundle_file(f"looplab-trend-{spec}", lambda file: store.export_bundle(file, ids))


@router.get(f"{TRENDS}/{{spec}}")
def trend(
    request: Request,
    spec: TrendSpec,
    store: StoreDep,
    service: RunServiceDep,
    query: TrendQueryDep,
) -> Response:
    """Show the trend of a spec; one that is named by a run has the address of its spec."""
    if (digest := store.trend_spec(spec)) != spec:
        return RedirectResponse(trend_url(digest, query.changed()), 307)
    found = read_trend(store, spec, query)
    return page(request, trend_page(found, query, commits_known(found, service)))


@router.get(f"{TRENDS}/{{spec}}/figures/{{name}}.csv")
def trend_figure(
    spec: TrendSpec, name: FigureName, store: StoreDep, query: TrendQueryDep
) -> Response:
    """Return the points of a trend as CSV."""
    found = read_trend(store, spec, query)
    return figure_file(f"trend-{spec}", name, [trend_chart(found)] if found.points else [])


@router.post(f"{TRENDS}/{{spec}}/steps")
def change_by_form(
    spec: TrendSpec, form: FormDep, store: StoreDep, query: TrendQueryDep
) -> Response:
    """Add, move, reject or annotate a step, put it back, or forget one that was added."""
    told = {field.name: form.text(field.name) for field in fields(StepChange)}
    key = change_step(store, spec, query, StepChange(**told))
    return RedirectResponse(f"{trend_url(key.spec, query.changed())}#steps", 303)


def commits_known(trend: Trend, service: RunService) -> CommitsBetween:
    """Return what finds the commits after one up to another, where the application is known."""
    applications, name = service.applications(), trend.runs.spec.target.application
    return lambda first, last: commits_of_step(applications, name, (first, last))


def trend_page(
    trend: Trend, query: TrendQuery, between: CommitsBetween, *, for_others: bool = False
) -> TrendPage:
    """Return the page of a trend; `between` finds the commits after one up to another."""
    return TrendPage(
        trend=trend,
        facts=tuple(_facts(trend)),
        lede=_lede(trend),
        choices=() if for_others else tuple(_choices(trend, query)),
        figure=trend_chart(trend) if trend.points else None,
        steps=_with_commits(tuple(reversed([*_cards(trend, trend.steps)])), between),
        rejected=tuple(_cards(trend, trend.rejected)),
        changes=tuple(_change(trend, change) for change in reversed(trend.changes)),
        offered=tuple(reversed([*enumerate(trend.points, 1)][1:][-_OFFERED:])),
        behind=f"?{query.changed()}" if query.changed() else "",
        for_others=for_others,
    )


def _facts(trend: Trend) -> Iterator[str]:
    """Yield how much there is, of which stream and machine, and what is left out."""
    runs = trend.runs
    yield number_of(len(trend.points), "run")
    if len(runs.spec.workload.streams) > 1:
        yield f"stream {trend.stream}"
    if runs.key.machine:
        yield f"on {runs.key.machine}"
    if trend.against:
        yield f"ratio to {trend.against}, measured in turns, with 95 % intervals"
    else:
        yield "raw numbers: what the machine did meanwhile is in them"
    if runs.doubted:
        yield f"{number_of(runs.doubted, 'suspect run')} left out"
    if trend.without_number:
        yield f"{trend.without_number} without such a number"


def _lede(trend: Trend) -> str:
    """Return where the newest step lies; of too few points, what to do."""
    if trend.newest is None and trend.enough:
        return ""
    if trend.newest is None:
        return (
            "Each finished and valid run of this spec is a point, whatever its title, tags and "
            "trials: run it again, or let a nightly job do it."
        )
    before, after = (trend.points[at].run for at in (trend.newest.first - 1, trend.newest.last))
    before_it, many = trend.steps.index(trend.newest), len(trend.steps)
    added = many - 1 - before_it
    more = f" {number_of(before_it, 'earlier step')}." if before_it else ""
    more += f" {number_of(added, 'later step')}, {ADDED}." if added else ""
    first, last = (f"{run.at:%-d %b %Y}" for run in (before, after))
    if first == last:
        first, last = f"{before.at:%H:%M}", f"{after.at:%H:%M} UTC on {last}"
    return f"Between run {before.id} of {first} and run {after.id} of {last}.{more}"


def _choices(trend: Trend, query: TrendQuery) -> Iterator[tuple[str, tuple[TrendChoice, ...]]]:
    """Yield what can be chosen, where there is a choice."""
    for label, field, names, current in _offers(trend, query):
        if len(names) > 1:
            yield (
                label,
                tuple(
                    TrendChoice(
                        name,
                        trend_url(trend.runs.key.spec, query.changed(**{field: value})),
                        value == current,
                    )
                    for value, name in names.items()
                ),
            )


def _offers(
    trend: Trend, query: TrendQuery
) -> Iterator[tuple[str, str, dict[Any, str], str | bool]]:
    """Yield what is chosen, its field of the query, the names of its values, the present one."""
    key, runs = trend.runs.key, trend.runs
    streams = [stream.name for stream in runs.spec.workload.streams]
    metrics = {key.metric: TREND_METRICS[key.metric].label} | SHOWN_METRICS
    able = () if trend.metric.unit == "share" else runs.baselines
    ratios = {each.spec: f"ratio to {each.name}" for each in able}
    yield "Metric", "metric", metrics, key.metric
    yield "Stream", "stream", {name: name for name in streams}, trend.stream
    yield "Over", "x", {"time": "time", "commit": "commits"}, trend.axis
    yield "Numbers", "against", {RAW: "raw"} | ratios, key.baseline or RAW
    yield "Machine", "machine", {name: name for name in runs.machines}, key.machine
    if runs.doubted or query.suspect:
        yield "Runs", "suspect", {False: "valid", True: "valid and suspect"}, query.suspect


def _cards(trend: Trend, steps: Sequence[TrendStep]) -> Iterator[StepCard]:
    for number, step in enumerate(steps, start=1):
        points = trend.points
        before, at, after = points[step.first - 1], points[step.at], points[step.last]
        near = [*enumerate(points, 1)][max(1, step.at - _NEAR) : step.at + _NEAR + 1]
        commits = trend.commits(step)
        ends = [commits[0].commit[:12], commits[-1].commit[:12]] if commits else []
        yield StepCard(
            number=number,
            step=step,
            text=step_text(trend, step),
            levels=f"{written(trend, step.before)} before, {written(trend, step.after)} after",
            before=before,
            at=at,
            after=after,
            compare=compare_url([before.run.id, after.run.id]),
            commits=commits,
            between=(),
            git=f"git log --oneline {'..'.join(ends)}" if len(set(ends)) > 1 else "",
            chance=_chance(step.p_value),
            near=tuple(near),
        )


def _chance(p_value: float | None) -> str:
    if p_value is None:
        return ""
    return "p < 0.000001" if p_value < 1e-6 else f"p {figures(p_value, 2)}"


def _with_commits(cards: Sequence[StepCard], between: CommitsBetween) -> tuple[StepCard, ...]:
    """Return the cards, the newest with the commits that lie in them, also those not measured."""
    newest = (
        replace(card, between=between(card.commits[0].commit, card.commits[-1].commit))
        if len(card.commits) > 1
        else card
        for card in cards[:_WITH_COMMITS]
    )
    return (*newest, *cards[_WITH_COMMITS:])


def _change(trend: Trend, change: EnvironmentChange) -> ChangeRow:
    before, after = trend.points[change.at - 1 : change.at + 1]
    facts = tuple(
        (each.label, *(text_of(each.field, value) for value in each.values.values()))
        for each in change.differences
    )
    return ChangeRow(before, after, facts)

"""One result as its share link shows it: each of its forms, without what the link hides."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

from control_plane.analysis.charts.figure import Figure, Table
from control_plane.analysis.charts.metric_charts import BarChart
from control_plane.analysis.charts.preview_picture import (
    Drawn,
    Picture,
    drawn_lines,
    drawn_marks,
    drawn_trend,
)
from control_plane.analysis.charts.trend_chart import trend_chart, trend_table
from control_plane.analysis.comparison import Comparison
from control_plane.analysis.comparison import compare as compared_runs
from control_plane.analysis.deciding.judged_experiment import judge_experiment
from control_plane.analysis.differences import Difference, EnvironmentChange, hidden_difference
from control_plane.analysis.prose import plain_text
from control_plane.analysis.prose.comparison_scope import own_commands
from control_plane.analysis.prose.comparison_sentences import comparison_title, described_comparison
from control_plane.analysis.prose.experiment_and_trend_json import (
    experiment_document,
    trend_document,
)
from control_plane.analysis.prose.markdown_and_junit import experiment_markdown, trend_markdown
from control_plane.analysis.trend import Trend, trend_of
from control_plane.dependencies import RAW, TrendQuery, asked_trend, read_trend
from control_plane.domain.api_documents import run_document
from control_plane.domain.errors import Conflict, InvalidInput, NotFound
from control_plane.domain.redaction import Redaction
from control_plane.domain.run import Run, RunDetail
from control_plane.domain.spec_json import Document
from control_plane.jobs.experiment_job import decided, judged_now, judged_together
from control_plane.jobs.run_service import RunService
from control_plane.pages.compare import over_blocks, read_details, without_deleted
from control_plane.pages.compare.compare_view import (
    ComparePage,
    compare_fragment,
    compared,
    shared_configuration,
    shared_workload,
)
from control_plane.pages.compare.numbers_table import comparison_grid
from control_plane.pages.compare_query import CompareQuery, parse_compare_query
from control_plane.pages.experiment_pages import ExperimentPage, experiment_curves, experiment_grid
from control_plane.pages.experiment_view import ExperimentCurves, experiment_part
from control_plane.pages.exports import (
    COMPARE_COLUMNS,
    RUN_COLUMNS,
    compare_rows,
    comparison_markdown,
    run_rows,
)
from control_plane.pages.run.causes_view import explained
from control_plane.pages.run.run_view import RunPage, run_figures, run_page, validity_text
from control_plane.pages.site import View
from control_plane.pages.trend_pages import TrendPage, trend_page
from control_plane.store.share_links import ShareLink, ShareSubject
from control_plane.store.store import Store

MOST_CARRIED = 100
"""So many of the newest runs of a trend stand in the bundle of its link."""

_DELETED = "The runs that this link shows were deleted."


class SharedResult(ABC):
    """A redacted result, in each form that its link gives.

    `sentence` leads its page; `description` says more; `note` what it is worth, which is as
    little as the `outcomes` of what it shows.
    """

    sentence: str
    description: str
    note: str
    outcomes: tuple[str | None, ...]

    @abstractmethod
    def page(self) -> View:
        """Return its page, which does not say what only the dashboard can do."""

    @abstractmethod
    def figures(self) -> Sequence[Figure | BarChart]:
        """Return all figures, for their tables."""

    @abstractmethod
    def document(self) -> Document:
        """Return it as the API tells it."""

    @abstractmethod
    def numbers(self) -> Table:
        """Return all of its numbers, one in each row."""

    @abstractmethod
    def grid(self) -> Table:
        """Return its numbers as a table for a spreadsheet."""

    @abstractmethod
    def markdown(self, address: str) -> str:
        """Return a comment to paste, which links to the address."""

    def curves(self) -> View | None:
        """Return what its page asks for once it stands; None where it asks for nothing."""
        return None

    def picture(self) -> Picture:
        """Return its main figure as a picture."""
        lines = (figure for figure in self.figures() if isinstance(figure, Figure))
        found = [drawn_lines(figure.plot) for figure in lines if figure.name == "percentiles"]
        return self._picture(found[0] if found else Drawn((), (), ()))

    def _picture(self, drawn: Drawn) -> Picture:
        return Picture(self.sentence, self.note, self.outcomes, drawn)


class SharedRun(SharedResult):
    """A run. `page` has neither the way to other runs, nor what to try next."""

    def __init__(self, link: ShareLink, store: Store, service: RunService) -> None:
        if store.tombstone(link.of.subject):
            raise NotFound("The run that this link shows was deleted.")
        detail = store.detail(link.of.subject, slices=True)
        self._detail = Redaction([detail.run], link.shown).detail(detail)
        self._limits = service.limits
        run = self._detail.run
        self._alone = compared_runs([run], run.id)
        self.sentence = plain_text(comparison_title(self._alone))
        self._page = run_page(self._detail, trial=None, others=(), key="")
        self.description = self._page.lede or ", ".join(self._page.facts)
        self.note = validity_text(run) or run.state.value
        self.outcomes = (run.validity.outcome if run.validity else None,)

    def page(self) -> RunPage:
        causes = explained(self._detail, self._limits)
        return replace(self._page, causes=replace(causes, links=()) if causes else None)

    def figures(self) -> Sequence[Figure | BarChart]:
        return run_figures(self._detail, None)

    def document(self) -> Document:
        return run_document(self._detail.run, None)

    def numbers(self) -> Table:
        return Table(RUN_COLUMNS, tuple(run_rows(self._detail.run)))

    def grid(self) -> Table:
        return comparison_grid(self._alone)

    def markdown(self, address: str) -> str:
        return comparison_markdown(self._alone, address)


class SharedComparison(SharedResult):
    """Runs side by side, without those that were deleted since."""

    def __init__(self, link: ShareLink, store: Store) -> None:
        query = _standing(link, store)
        self._judged = judged_together(store, query.ids)
        details = over_blocks(read_details(store, query), self._judged)
        redaction = Redaction([detail.run for detail in details], link.shown)
        self._pins = {name: redaction.text(pin) for name, pin in store.pinned(query.ids).items()}
        deleted = tuple(replace(run, title=redaction.text(run.title)) for run in query.deleted)
        self._query = replace(query, deleted=deleted)
        self._details = tuple(map(redaction.detail, details))
        self._fragment = compare_fragment(
            self._details, self._with_verdicts(details, store), self._query, {}, {}
        )
        self._comparison = self._fragment.comparison
        self.sentence = plain_text(self._fragment.title)
        self.description = plain_text(self._fragment.caveats) or ", ".join(self._fragment.facts)
        badges = self._fragment.badges
        self.note = ", ".join(badge.text for badge in badges)
        self.outcomes = tuple(badge.outcome for badge in badges)

    def _with_verdicts(self, details: Sequence[RunDetail], store: Store) -> Comparison:
        """Return the comparison with what sessions decide, and that what is hidden differs.

        Who repeats a run is known unhidden.
        """
        unhidden = decided(compared(details, self._query), store, self._judged)
        hidden = compared(self._details, self._query).called({} if self._judged else self._pins)
        rows = zip(hidden.rows, unhidden.rows, strict=True)
        told = (replace(row, verdicts=found.verdicts, ratios=found.ratios) for row, found in rows)
        gone = hidden_difference(_told_apart(unhidden), _told_apart(hidden))
        hidden = replace(hidden, rows=tuple(told), environment=(*gone, *hidden.environment))
        return replace(hidden, sessions=unhidden.sessions, interleaved=unhidden.interleaved)

    def page(self) -> ComparePage:
        workload = shared_workload(self._comparison.measured_runs)
        return ComparePage(self._fragment, workload, shared_configuration(self._comparison), ())

    def figures(self) -> Sequence[Figure | BarChart]:
        return self._fragment.figures.figures if self._fragment.figures else ()

    def document(self) -> Document:
        return described_comparison(self._comparison)

    def numbers(self) -> Table:
        return Table(COMPARE_COLUMNS, tuple(compare_rows(self._comparison)))

    def grid(self) -> Table:
        return comparison_grid(self._comparison)

    def markdown(self, address: str) -> str:
        return comparison_markdown(self._comparison, address)


def _told_apart(comparison: Comparison) -> tuple[Difference, ...]:
    """Return what runs are told apart by: fields, facts of environments, and command lines."""
    ids = [run.id for run in comparison.runs]
    commands = dict(zip(ids, own_commands(comparison.runs), strict=True))
    command = Difference("command", "Command", commands)
    return (*comparison.fields, *comparison.environment, command)


class SharedExperiment(SharedResult):
    """An experiment, with the arms that were not deleted since."""

    def __init__(self, link: ShareLink, store: Store, service: RunService) -> None:
        judged = judged_now(store, link.of.subject)
        measured = store.arm_runs(judged.experiment)
        redaction = Redaction([run for run in measured if run], link.shown)
        experiment = replace(redaction.experiment(judged.experiment), noise=judged.noise)
        self._runs = [redaction.run(run) if run else None for run in measured]
        # What is told of arms has their names.
        self._judged = judge_experiment(experiment, self._runs)
        self._store, self._stream = store, judged.experiment.design.stream
        self._part = experiment_part(self._judged, lambda _run: (), service.expected_seconds)
        self.sentence = plain_text(self._part.title)
        self.description = plain_text(self._part.rest) or ", ".join(self._part.facts)
        self.note = ", ".join(text for _, text in self._part.badges)
        self.outcomes = tuple(kind for kind, _ in self._part.badges)

    def page(self) -> ExperimentPage:
        return ExperimentPage(self._judged.experiment, self._part, None)

    def curves(self) -> View | None:
        return self._curves if self._part.arms.blocks else None

    def figures(self) -> Sequence[Figure | BarChart]:
        return (self._curves.figure,)

    def document(self) -> Document:
        return experiment_document(self._judged)

    def numbers(self) -> Table:
        return self.grid()

    def grid(self) -> Table:
        return experiment_grid(self.document())

    def markdown(self, address: str) -> str:
        return experiment_markdown(self.document(), address)

    def picture(self) -> Picture:
        marks = self._part.groups[0].marks if self._part.groups else ()
        ticks = [(tick.at, tick.text) for tick in self._part.ticks]
        return self._picture(drawn_marks([mark for mark in marks if mark.at is not None], ticks))

    @cached_property
    def _curves(self) -> ExperimentCurves:
        found = self._judged.experiment
        return experiment_curves(self._store, found, self._runs, self._stream)


class SharedTrend(SharedResult):
    """A trend as it is when its link is opened, with the runs that came since.

    No repository is asked which commits lie in its steps: nobody starts a program by a link.
    """

    def __init__(self, link: ShareLink, store: Store) -> None:
        spec, query = asked_trend(link.of.subject)
        known = _trend_with_points(store, spec, query)
        newest = store.run(known.points[-1].run.id)
        redaction = Redaction(_naming_runs(newest, known), link.shown)
        hidden = redaction.trend(known.runs)
        self._trend = _with_hidden_changes(
            trend_of(hidden, axis=known.axis, margin=known.margin), known
        )
        self._page = trend_page(self._trend, query, lambda *_: (), for_others=True)
        self.sentence = self._trend.sentence
        lede, doubt = self._page.lede, known.doubt
        self.description = f"{lede} {doubt}".strip() if lede else ", ".join(self._page.facts)
        self.note = doubt or ", ".join(self._page.facts[:2])
        self.outcomes = ("suspect",) if doubt else ()

    def page(self) -> TrendPage:
        return self._page

    def figures(self) -> Sequence[Figure | BarChart]:
        return (trend_chart(self._trend),)

    def document(self) -> Document:
        return trend_document(self._trend)

    def numbers(self) -> Table:
        return trend_table(self._trend)

    def grid(self) -> Table:
        return self.numbers()

    def markdown(self, address: str) -> str:
        return trend_markdown(self.document(), address)

    def picture(self) -> Picture:
        return self._picture(drawn_trend(trend_chart(self._trend).plot))


def trend_subject(store: Store, subject: str) -> ShareSubject:
    """Return a trend as it is looked at now: of one machine, and of the same numbers later.

    Raises as `read_trend`, and Conflict for one without a point.
    """
    spec, query = asked_trend(subject)
    found = read_trend(store, spec, query)
    if not found.points:
        raise Conflict("This trend has no point yet.")
    key = found.runs.key
    kept = query.changed(machine=key.machine, against=key.baseline or RAW)
    return ShareSubject("trend", f"{key.spec}?{kept}", f"{found.title}, {found.runs.title}")


def carried(link: ShareLink, store: Store) -> tuple[tuple[str, ...], list[Run]]:
    """Return ids of what the bundle of a link carries, and runs that tell what to hide.

    Raises NotFound where it was deleted.
    """
    if link.of.kind == "experiment":
        experiment = store.experiment(link.of.subject)
        return (experiment.id,), [run for run in store.arm_runs(experiment) if run]
    if link.of.kind == "run":
        ids: tuple[str, ...] = (link.of.subject,)
    elif link.of.kind == "comparison":
        ids = _standing(link, store).ids
    else:
        found = _trend_with_points(store, *asked_trend(link.of.subject))
        ids = tuple(point.run.id for point in found.points[-MOST_CARRIED:])
        runs = [store.run(run_id) for run_id in ids]
        return ids, [*runs, *_naming_runs(runs[-1], found)]
    return ids, [store.run(run_id) for run_id in ids]


def _naming_runs(newest: Run, known: Trend) -> list[Run]:
    """Return runs with the names that texts of a trend may tell: of environments and machines."""
    facts = {id(point.run.environment): point.run.environment for point in known.points}
    told = (str(each.get("hostname") or "") for each in facts.values())
    machines = filter(None, dict.fromkeys([*known.runs.machines, *told]))
    measured = replace(newest, environment={"measured_in": list(facts.values())})
    return [measured, *(replace(newest, environment={"hostname": name}) for name in machines)]


def _trend_with_points(store: Store, spec: str, query: TrendQuery) -> Trend:
    try:
        found = read_trend(store, spec, query)
    except (NotFound, InvalidInput) as error:
        wrong = error.fields if isinstance(error, InvalidInput) else ()
        if [each.field for each in wrong] == ["against"]:
            raise NotFound("The baseline of this link is not pinned any more.") from None
        raise NotFound(_DELETED) from None
    if not found.points:
        raise NotFound(_DELETED)
    return found


def _with_hidden_changes(shown: Trend, known: Trend) -> Trend:
    """Return a trend that tells also where what is hidden changed, but not how."""
    told = {change.at: change.differences for change in shown.changes}
    changes = (
        EnvironmentChange(
            change.at,
            (*hidden_difference(change.differences, own := told.get(change.at, ())), *own),
        )
        for change in known.changes
    )
    return replace(shown, changes=tuple(changes))


def _standing(link: ShareLink, store: Store) -> CompareQuery:
    """Return the query of a comparison without the runs that were deleted since."""
    try:
        return without_deleted(parse_compare_query(link.of.subject), store)
    except NotFound:
        raise NotFound(_DELETED) from None


def shared_result(link: ShareLink, store: Store, service: RunService) -> SharedResult:
    """Return what a link shows. Raises NotFound where it was deleted."""
    if link.of.kind == "run":
        return SharedRun(link, store, service)
    if link.of.kind == "comparison":
        return SharedComparison(link, store)
    if link.of.kind == "trend":
        return SharedTrend(link, store)
    return SharedExperiment(link, store, service)

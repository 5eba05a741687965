"""One result as its share link shows it: each of its forms, without what the link hides."""

import textwrap
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

from control_plane.analysis.charts.figure import Figure, Table
from control_plane.analysis.charts.metric_charts import BarChart
from control_plane.analysis.charts.preview_picture import Drawn, drawn_lines, drawn_marks
from control_plane.analysis.comparison import Comparison
from control_plane.analysis.comparison import compare as compared_runs
from control_plane.analysis.deciding.claims import with_sessions
from control_plane.analysis.deciding.judged_experiment import judge_experiment
from control_plane.analysis.differences import Difference, hidden_difference
from control_plane.analysis.prose import plain_text
from control_plane.analysis.prose.comparison_scope import own_commands
from control_plane.analysis.prose.comparison_sentences import comparison_title, described_comparison
from control_plane.analysis.prose.experiment_report import experiment_markdown
from control_plane.analysis.prose.experiment_sentences import experiment_document
from control_plane.domain.documents import run_document
from control_plane.domain.errors import NotFound
from control_plane.domain.redaction import Redaction
from control_plane.domain.run import RunDetail
from control_plane.domain.spec_json import Document
from control_plane.jobs.experiment_job import judged_now
from control_plane.jobs.run_service import RunService
from control_plane.pages.compare import markdown, read_details, without_deleted
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
from control_plane.pages.exports import COMPARE_COLUMNS, RUN_COLUMNS, compare_rows, run_rows
from control_plane.pages.run.run_view import RunPage, run_figures, run_page, validity_text
from control_plane.pages.run.why_view import explained
from control_plane.pages.site import View
from control_plane.store.share_links import ShareLink
from control_plane.store.store import Store


@dataclass(frozen=True)
class PreviewPicture(View):
    """The main figure of a result, as other programs show it beside a link: 1,200 by 630.

    `title` is the sentence by lines; `note` says what the result is worth.
    """

    template: ClassVar[str] = "partials/picture.svg"
    title: tuple[str, ...]
    note: str
    drawn: Drawn


class SharedResult(ABC):
    """A redacted result, in each form that its link gives.

    `sentence` leads its page; `description` says more; `note` what it is worth.
    """

    sentence: str
    description: str
    note: str

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

    def picture(self) -> PreviewPicture:
        """Return its main figure as a picture."""
        percentiles = next(figure for figure in self.figures() if figure.name == "percentiles")
        assert isinstance(percentiles, Figure)
        return _picture(self, drawn_lines(percentiles.plot))


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

    def page(self) -> RunPage:
        why = explained(self._detail, self._limits)
        return replace(self._page, why=replace(why, links=()) if why else None)

    def figures(self) -> Sequence[Figure | BarChart]:
        return run_figures(self._detail, None)

    def document(self) -> Document:
        return run_document(self._detail.run, None)

    def numbers(self) -> Table:
        return Table(RUN_COLUMNS, tuple(run_rows(self._detail.run)))

    def grid(self) -> Table:
        return comparison_grid(self._alone)

    def markdown(self, address: str) -> str:
        return markdown(self._alone, address)


class SharedComparison(SharedResult):
    """Runs side by side, without those that were deleted since."""

    def __init__(self, link: ShareLink, store: Store) -> None:
        query = _standing(link, store)
        details = read_details(store, query)
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
        self.note = ", ".join(badge.text for badge in self._fragment.badges)

    def _with_verdicts(self, details: Sequence[RunDetail], store: Store) -> Comparison:
        """Return the comparison with what sessions decide, and that what is hidden differs.

        Who repeats a run is known unhidden.
        """
        decided = with_sessions(compared(details, self._query), store)
        hidden = compared(self._details, self._query).called(self._pins)
        rows = zip(hidden.rows, decided.rows, strict=True)
        told = tuple(replace(row, verdicts=found.verdicts) for row, found in rows)
        gone = hidden_difference(_told_apart(decided), _told_apart(hidden))
        environment = (*gone, *hidden.environment)
        return replace(hidden, rows=told, sessions=decided.sessions, environment=environment)

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
        return markdown(self._comparison, address)


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

    def picture(self) -> PreviewPicture:
        marks = self._part.groups[0].marks if self._part.groups else ()
        return _picture(self, drawn_marks([mark for mark in marks if mark.at is not None]))

    @cached_property
    def _curves(self) -> ExperimentCurves:
        found = self._judged.experiment
        return experiment_curves(self._store, found, self._runs, self._stream)


def _standing(link: ShareLink, store: Store) -> CompareQuery:
    """Return the query of a comparison without the runs that were deleted since."""
    try:
        return without_deleted(parse_compare_query(link.of.subject), store)
    except NotFound:
        raise NotFound("The runs that this link shows were deleted.") from None


def shared_result(link: ShareLink, store: Store, service: RunService) -> SharedResult:
    """Return what a link shows. Raises NotFound where it was deleted."""
    if link.of.kind == "run":
        return SharedRun(link, store, service)
    if link.of.kind == "comparison":
        return SharedComparison(link, store)
    return SharedExperiment(link, store, service)


def _picture(result: SharedResult, drawn: Drawn) -> PreviewPicture:
    title = textwrap.wrap(result.sentence, 50, max_lines=3, placeholder="…")
    return PreviewPicture(tuple(title), result.note, drawn)

"""A control plane in the process of the command line, for a database that no dashboard has."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from control_plane.analysis.client_ceiling import ceiling_documents
from control_plane.analysis.deciding.noise_floor import floor_documents
from control_plane.analysis.prose.comparison_sentences import described_comparison
from control_plane.analysis.prose.experiment_and_trend_json import (
    experiment_document,
    trend_document,
    trend_list_document,
)
from control_plane.analysis.tool_comparison import measured_document, measured_sides
from control_plane.dashboard_client import REPORT_S, Report, Tell
from control_plane.domain.api_documents import run_document
from control_plane.domain.errors import InvalidInput, NotFound
from control_plane.domain.experiment import read_experiment
from control_plane.domain.ids import experiment_address, is_digest
from control_plane.domain.run import LastRun, State
from control_plane.domain.spec_json import Document
from control_plane.domain.tool_result import ToldOfFile
from control_plane.experiments.experiment_file import bundled_documents
from control_plane.jobs import Runtime, lower_priority, recover
from control_plane.jobs.confirmations import confirm_experiment, confirmation_document
from control_plane.jobs.experiment_job import compared_now, judged_now
from control_plane.jobs.progress_and_expected_time import expected_seconds, experiment_left_s
from control_plane.jobs.repeats import chosen_here, planned_repeat, repeat_document, start_repeat
from control_plane.jobs.run_service import RunService
from control_plane.jobs.submissions import Submissions
from control_plane.other_tools import recognized_format
from control_plane.settings import Settings
from control_plane.store.store import Store, open_store, refuse_unknown_file
from control_plane.targets.configurations import resolved
from control_plane.targets.cores_and_run_environment import SHARED_CORES, run_environment

if TYPE_CHECKING:
    from control_plane.dependencies import TrendQuery


class LocalDashboard:
    """Runs a control plane in this process, from the first run that is submitted.

    Its event loop runs while `wait` waits. A spec that is refused makes no database.
    """

    remote = False
    url: str | None = None

    def __init__(self, settings: Settings, runner: asyncio.Runner) -> None:
        self._settings, self._runner = settings, runner
        self._service: RunService | None = None

    @cached_property
    def _store(self) -> Store:
        return open_store(self._settings.db)

    def submit(self, document: Document) -> Document:
        if not self._settings.db.expanduser().exists():
            _submissions(self._settings).resolve(document)
        (run,) = self._started().submit([document])
        return run_document(run, None)

    def submit_experiment(self, document: Document) -> Document:
        if not self._settings.db.expanduser().exists():
            _submissions(self._settings).planned_arms(read_experiment(document), expected_seconds)
        made = self._started().submit_experiment(document)
        return {"id": made.id, "url": experiment_address(made.id)}

    def bundled(self) -> Sequence[Document]:
        submissions = _submissions(self._settings)
        return bundled_documents(
            lambda documents: submissions.seconds_of_experiments(
                documents, lambda kinds: dict.fromkeys(kinds, LastRun())
            )
        )

    def confirmation(self, experiment_id: str, blocks: int | None) -> Document:
        return confirmation_document(self._store, self._started(), experiment_id, blocks)

    def confirm_experiment(self, experiment_id: str, blocks: int | None) -> Document:
        made = confirm_experiment(self._store, self._started(), experiment_id, blocks)
        return {"id": made.id}

    def experiment(self, experiment_id: str) -> Document:
        return experiment_document(judged_now(self._store, experiment_id))

    def wait_for_experiment(self, experiment_id: str, report: Report) -> Document:
        return self._runner.run(self._until_decided(experiment_id, report))

    def wait(self, run_id: str, report: Report) -> Document:
        return self._runner.run(self._until_over(run_id, report))

    def compare(self, ids: Sequence[str], baseline: str) -> Document:
        if named := self._store.tool_result_ids(ids):
            peers = {peer_id: self._store.tool_result(peer_id) for peer_id in named}
            return measured_document(measured_sides(ids, peers, self._store.detail), ratios=False)
        standing = self._store.standing(ids, baseline)
        made = compared_now(self._store, standing.ids, standing.baseline, deleted=standing.deleted)
        return described_comparison(made.called(self._store.pinned(standing.ids)))

    def report(self, ids: Sequence[str], query: Mapping[str, str | float]) -> bytes:
        # Templates, which other commands need not wait for.
        from control_plane.pages.compare_query import CompareQuery
        from control_plane.pages.report import Reports
        from control_plane.pages.tool_compare import tool_compare_page
        from control_plane.pages.tool_result_pages import tool_result_page

        folders = (self._settings.templates_dir, self._settings.static_dir)
        reports = Reports(*folders, self._store, self._started())
        if is_digest(ids[0]):
            return reports.trend(ids[0], _trend_query(query)).encode()
        if self._store.tool_result_ids(ids):
            if len(ids) == 1:
                return reports.one_file(
                    tool_result_page(self._store.tool_result(ids[0]), ())
                ).encode()
            view = tool_compare_page(self._store, ",".join(ids), "")
            return reports.one_file(view).encode()
        if len(ids) == 1:
            with suppress(NotFound):
                return reports.experiment(ids[0]).encode()
            return reports.run(ids[0]).encode()
        standing = self._store.standing(ids, ids[0])
        compared = CompareQuery(standing.ids, standing.baseline, deleted=standing.deleted)
        return reports.comparison(compared).encode()

    def import_file(self, file: Path, told: ToldOfFile, tell: Tell) -> Document:
        del tell
        if not self._settings.db.expanduser().exists():
            refuse_unknown_file(file, told, recognized_format)
        return asdict(self._runner.run(self._started().import_file(file, told)))

    def trends(self, *, suspect: bool, machine: str) -> Document:
        listed = self._store.trends(suspect=suspect, machine=machine)
        left_out = self._store.left_out_of_trends(suspect=suspect)
        return trend_list_document(listed, left_out)

    def trend(self, spec: str, query: Mapping[str, str | float], *, told: bool) -> Document:
        # What endpoints take, which other commands need not wait for.
        from control_plane.dependencies import read_trend, tell_trend

        asked = _trend_query(query)
        if told:
            return tell_trend(self._store, spec, asked)
        return trend_document(read_trend(self._store, spec, asked))

    def repeat(self, subject: str, serve: Mapping[str, Document], *, start: bool) -> Document:
        asked = (self._store, self._started(), subject, chosen_here(serve))
        planned = planned_repeat(*asked)
        return repeat_document(planned, start_repeat(*asked) if start else None)

    def noise_floors(self) -> Document:
        return {"noise_floors": floor_documents(self._store.block_variances())}

    def ceilings(self) -> Document:
        measured = self._store.responder_runs(State.FINISHED)
        return {"ceilings": ceiling_documents(measured, run_environment(SHARED_CORES))}

    def close(self) -> None:
        """End what still runs, and close the database."""
        try:
            if self._service is not None:
                self._runner.run(self._service.close())
        finally:
            if "_store" in self.__dict__:
                self._store.close()

    def _started(self) -> RunService:
        if self._service is None:
            runtime = recover(self._store, (), lower_priority(), self._settings.applications)
            self._service = self._runner.run(_service(self._store, self._settings, runtime))
        return self._service

    async def _until_decided(self, experiment_id: str, report: Report) -> Document:
        service = self._started()
        while True:
            judged = await asyncio.to_thread(judged_now, self._store, experiment_id)
            left_s = experiment_left_s(judged, service.expected_seconds)
            told = {**experiment_document(judged), "remaining_s": left_s}
            if not judged.state.waiting:
                return told
            report(told)
            await asyncio.sleep(REPORT_S)

    async def _until_over(self, run_id: str, report: Report) -> Document:
        while not (run := self._store.run(run_id)).state.terminal:
            report(run_document(run, self._service.progress(run_id) if self._service else None))
            await asyncio.sleep(REPORT_S)
        return run_document(run, None, self._service.hints(run) if self._service else ())


def _trend_query(query: Mapping[str, str | float]) -> "TrendQuery":
    """Return how a trend is looked at. Raises InvalidInput."""
    from control_plane.dependencies import TrendQuery

    try:
        return TrendQuery.model_validate(query)
    except ValueError:
        raise InvalidInput("A name has at most 200 characters.") from None


def _submissions(settings: Settings) -> Submissions:
    """Return what refuses a wrong spec before a database is made for it."""
    return Submissions(resolved, settings.limits, settings.applications)


async def _service(store: Store, settings: Settings, runtime: Runtime) -> RunService:
    return RunService(store, settings.limits, runtime)

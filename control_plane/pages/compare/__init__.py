"""Runs side by side: the page, which fills as they finish."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import HTMLResponse

from control_plane.analysis.charts.compared_timelines import MOST_HEAT_MAPS
from control_plane.analysis.deciding.judged_experiment import JudgedExperiment
from control_plane.analysis.deciding.sessions import arm_over_blocks
from control_plane.dependencies import RunServiceDep, StoreDep
from control_plane.domain.experiment import Experiment
from control_plane.domain.result import Progress
from control_plane.domain.run import RunDetail
from control_plane.jobs.experiment_job import decided, judged_together
from control_plane.jobs.run_service import RunService
from control_plane.pages.compare.compare_view import (
    CompareFragment,
    ComparePage,
    compare_fragment,
    compared,
    shared_configuration,
    shared_workload,
)
from control_plane.pages.compare_query import (
    AskedDrawing,
    CompareQuery,
    read_compare_query,
    read_drawing,
    suggested_runs,
)
from control_plane.pages.run.live import LIVE_POLL_S
from control_plane.pages.site.templating import NO_STORE, page, shared_fragment
from control_plane.pages.urls import COMPARE, tool_compare_url
from control_plane.store.store import Store

router = APIRouter(include_in_schema=False)


def standing_query(
    request: Request,
    query: Annotated[CompareQuery, Depends(read_compare_query)],
    store: StoreDep,
    drawing: Annotated[AskedDrawing, Depends()],
) -> CompareQuery:
    """Return what is asked for without the runs that were deleted, which it names.

    With a result of another tool among them, it stands at the address of those: so does its file.
    """
    if store.tool_result_ids(query.ids):
        others = (name for name in query.ids if name != query.baseline)
        file = request.url.path.removeprefix(COMPARE)
        ending = file if file in {".html", ".csv", ".md"} else ""
        where = tool_compare_url((query.baseline, *others), ending=ending)
        raise HTTPException(303, f"Results of other tools are at {where}.", {"Location": where})
    return without_deleted(read_drawing(query, drawing), store)


def without_deleted(query: CompareQuery, store: Store) -> CompareQuery:
    """Return a query without the runs that were deleted, which it names. Raises NotFound."""
    standing = store.standing(query.ids, query.baseline)
    left = query.of_runs(standing.ids)
    return replace(left, baseline=standing.baseline, deleted=standing.deleted)


CompareQueryDep = Annotated[CompareQuery, Depends(standing_query)]


@router.get("/compare")
def compare(
    request: Request, query: CompareQueryDep, store: StoreDep, service: RunServiceDep
) -> HTMLResponse:
    """Show runs side by side."""
    with store.one_view():
        return page(request, compare_page(store, service, query))


def compare_page(store: Store, service: RunService, query: CompareQuery) -> ComparePage:
    """Return the page of a comparison as it is now."""
    current = current_fragment(store, service, query)
    runs = current.comparison.measured_runs
    others = suggested_runs(store, runs[0], query)
    configuration = shared_configuration(current.comparison)
    return ComparePage(current, shared_workload(runs), configuration, others)


@router.get("/compare/live")
async def compare_live(
    request: Request, query: CompareQueryDep, store: StoreDep, service: RunServiceDep
) -> HTMLResponse:
    """Return what changed; the page stops to ask for it when every run is over."""
    body = await shared_fragment(
        request, LIVE_POLL_S, lambda: current_fragment(store, service, query), query
    )
    return HTMLResponse(body, headers=NO_STORE)


def current_fragment(store: Store, service: RunService, query: CompareQuery) -> CompareFragment:
    """Return what the page shows of the runs now."""
    judged = judged_together(store, query.ids)
    details = over_blocks(read_details(store, query), judged)
    progress = _progress(service, details)
    states = ((run_id, service.live(run_id)) for run_id in progress)
    live = {run_id: state for run_id, state in states if state is not None}
    comparison = decided(compared(details, query), store, judged)
    comparison = comparison.called(store.pinned(query.ids))
    shown = compare_fragment(details, comparison, query, progress, live)
    pins = tuple(pin for pin in store.pins() if pin.run_id in query.ids)
    experiment = _common_experiment(store, query)
    facts = () if experiment else shown.facts
    return replace(shown, experiment=experiment, facts=facts, pins=pins)


def _common_experiment(store: Store, query: CompareQuery) -> Experiment | None:
    """Return the experiment that all of the runs are arms of; None where there is none."""
    experiment = store.experiment_of(query.ids[0])
    arms = {arm.run_id for arm in experiment.arms} if experiment else set()
    return experiment if arms.issuperset(query.ids) else None


def read_details(store: Store, query: CompareQuery) -> list[RunDetail]:
    """Return the runs in the order of the URL. Raises NotFound."""
    heats = len(query.ids) <= MOST_HEAT_MAPS
    first = query.is_whole
    return store.details(query.ids, slices=heats or not first, first=first)


def over_blocks(
    details: Sequence[RunDetail], judged: JudgedExperiment | None
) -> Sequence[RunDetail]:
    """Return arms of one experiment with the numbers that it judges; other runs as they are."""
    if judged is None:
        return details
    return [replace(each, run=arm_over_blocks(each.run, judged)) for each in details]


def _progress(service: RunService, details: Sequence[RunDetail]) -> dict[str, Progress]:
    waiting = [detail.run.id for detail in details if not detail.run.state.terminal]
    found = ((run_id, service.progress(run_id)) for run_id in waiting)
    return {run_id: progress for run_id, progress in found if progress is not None}

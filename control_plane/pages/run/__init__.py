"""One run: live, its result after, and what people change about it; deletion, and the way back."""

import secrets
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from control_plane.dependencies import RunId, RunServiceDep, StoreDep, asked_trend, read_trend
from control_plane.domain.errors import Conflict, FieldError, InvalidInput, NotFound
from control_plane.domain.ids import checked_id, experiment_address
from control_plane.domain.run import DeletedRun, Pin, Run, RunDetail
from control_plane.domain.spec_json import spec_digest
from control_plane.domain.units import read_words
from control_plane.jobs.run_service import RunService
from control_plane.pages.compare_query import CompareQuery, parse_compare_query, suggested_runs
from control_plane.pages.form import FormData, FormDep
from control_plane.pages.history import Back, Ids, read_moment, safe_query
from control_plane.pages.new_run.preview import run_command
from control_plane.pages.run.causes_view import ceiling_part, explained
from control_plane.pages.run.live import live_view
from control_plane.pages.run.run_view import RunPage, run_page
from control_plane.pages.site import View
from control_plane.pages.site.templating import page
from control_plane.pages.urls import SHARES, history_url, run_url, trend_url
from control_plane.store.pins_and_deletions import KEPT_DAYS
from control_plane.store.share_links import ShareLink
from control_plane.store.store import Store


@dataclass(frozen=True)
class DeletedRunPage(View):
    """What is left of a deleted run, which can be put back for some days."""

    template: ClassVar[str] = "pages/deleted_run.html"
    gone: DeletedRun
    days: int


router = APIRouter(include_in_schema=False)

TrialNumber = Annotated[str | None, Query(pattern=r"^[1-9][0-9]{0,2}$")]
FormKey = Annotated[str, Form(max_length=64)]


@router.get("/runs/{run_id}")
def run(
    request: Request,
    run_id: RunId,
    store: StoreDep,
    service: RunServiceDep,
    trial: TrialNumber = None,
) -> HTMLResponse:
    """Show a run: live while it is under way, else its result; of a deleted one what is left."""
    with store.one_view():
        if gone := store.tombstone(run_id):
            return page(request, DeletedRunPage(gone, KEPT_DAYS), 404)
        if store.is_over(run_id):
            detail = store.detail(run_id, slices=True)
            return page(request, result_view(detail, store, service, trial))
        live = live_view(store.run(run_id), service, store.experiment_of(run_id))
        return page(request, live)


@router.post("/runs/{run_id}/cancel")
async def cancel(run_id: RunId, service: RunServiceDep) -> RedirectResponse:
    """Cancel a run; one that ended in the meantime shows its result."""
    try:
        await service.cancel(run_id)
    except Conflict:
        return _to(run_id)
    return _to(run_id)


@router.post("/runs/{run_id}/again")
def again(
    run_id: RunId, store: StoreDep, service: RunServiceDep, key: FormKey = ""
) -> RedirectResponse:
    """Start the same spec as a new run, once for each time the page was shown."""
    return _to(service.rerun(store.run(run_id), key=key or None).id)


def result_view(detail: RunDetail, store: Store, service: RunService, trial: str | None) -> RunPage:
    """Return the page of a run that is over."""
    shown = run_page(
        detail,
        trial=int(trial) if trial else None,
        others=suggested_runs(store, detail.run, CompareQuery((detail.run.id,), detail.run.id)),
        key=secrets.token_urlsafe(12),
    )
    client = ceiling_part(detail.run, store, service)
    causes = explained(detail, service.limits)
    command = run_command(service.database)
    return replace(
        shown,
        causes=causes,
        client=client,
        hints=service.hints(detail.run),
        command=command,
        experiment=store.experiment_of(detail.run.id),
        pin=store.pin_of(detail.run.id),
    )


def _to(run_id: str) -> RedirectResponse:
    return RedirectResponse(run_url(run_id), 303)


@dataclass(frozen=True)
class Dependent:
    """A result that rests on what is to be deleted, and what becomes of it then."""

    kind: str
    title: str
    url: str
    becomes: str


@dataclass(frozen=True)
class DeletePage(View):
    """The question whether to delete runs; `kept` stay, with the reason.

    `pins` keep some of them: what is pinned, and its page. `dependents` change where the others go.
    """

    template: ClassVar[str] = "pages/delete_runs.html"
    runs: tuple[Run, ...]
    kept: tuple[tuple[Run, str], ...]
    pins: tuple[tuple[Pin, str], ...]
    dependents: tuple[Dependent, ...]
    back: str
    days: int = KEPT_DAYS


@router.get("/history/delete")
def ask_delete(request: Request, store: StoreDep, run: Ids = (), back: Back = "") -> Response:
    """Ask whether to delete the ticked runs; nothing is deleted before that."""
    runs = store.chosen(_chosen(run))
    names = store.pinned([stored.id for stored in runs])
    unfinished = {stored.id: "not over yet" for stored in runs if not stored.state.terminal}
    reasons = {run_id: f"pinned as {name}" for run_id, name in names.items()} | unfinished
    kept = tuple((stored, reasons[stored.id]) for stored in runs if stored.id in reasons)
    able = tuple(stored for stored in runs if stored.id not in reasons)
    pins = (pin for pin in store.pins() if pin.name in names.values())
    pages = tuple((pin, _page_of(pin.experiment_id, pin.run_id)) for pin in pins)
    dependents = tuple(_dependents(able, store))
    return page(request, DeletePage(able, kept, pages, dependents, safe_query(back)))


def _dependents(runs: Sequence[Run], store: Store) -> Iterator[Dependent]:
    """Yield what becomes of experiments, open share links and marked steps of trends."""
    going = {run.id: run for run in runs}
    gone = {*going}
    of_arms = store.experiments_of([*going]).values()
    experiments = {experiment.id: experiment for experiment in of_arms}
    for experiment in experiments.values():
        names = [arm.name for arm in experiment.arms if arm.run_id in going]
        becomes = f"loses its verdict on {', '.join(names)}"
        if all(arm.run_id is None or arm.run_id in going for arm in experiment.arms):
            gone.add(experiment.id)
            becomes = "goes with all of its arms"
        elif experiment.arms[0].run_id in going:
            becomes = f"loses every verdict, because its baseline {names[0]} goes"
        elif experiment.design.control and experiment.arms[-1].run_id in going:
            becomes = f"loses every verdict: {names[-1]} was to show a machine that changed"
        address = experiment_address(experiment.id)
        yield Dependent("Experiment", experiment.question, address, becomes)
    specs = {spec_digest(run.spec) for run in runs}
    for link in store.share_links():
        shown = set() if link.ended() else _shown_by(link, store, specs)
        if not shown.isdisjoint(going.keys() | experiments.keys()):
            less = "shows less then" if link.of.kind == "trend" else "shows less then, or nothing"
            becomes = "shows nothing then" if shown <= gone else less
            yield Dependent("The share link of", link.of.title, SHARES, becomes)
    for run_id in store.marked_steps_before([*going]):
        becomes = "has a step that somebody marked before this run; it moves to the next, if any"
        yield Dependent("The trend of", going[run_id].title, trend_url(run_id), becomes)


def _shown_by(link: ShareLink, store: Store, specs: Collection[str]) -> set[str]:
    """Return the ids that a link shows; of trends those of these specs alone are read."""
    if link.of.kind == "comparison":
        return {*parse_compare_query(link.of.subject).ids}
    if link.of.kind != "trend":
        return {link.of.subject}
    with suppress(NotFound, InvalidInput):  # It shows nothing as it is.
        spec, query = asked_trend(link.of.subject)
        if spec in specs:
            return {point.run.id for point in read_trend(store, spec, query).points}
    return set()


@router.post("/runs/delete")
def delete(form: FormDep, store: StoreDep) -> Response:
    """Delete the ticked runs, and offer to take that back."""
    runs = store.chosen(_chosen(form.all("run")))
    moment = store.delete([run.id for run in runs])
    return _return(form, [("deleted", moment.isoformat())])


@router.post("/runs/restore")
def restore(form: FormDep, store: StoreDep) -> Response:
    """Put back a deleted run, or those that were deleted at one moment."""
    if run_id := form.text("run"):
        store.put_back_run(checked_id(run_id))
        return RedirectResponse(run_url(run_id), 303)
    moment = read_moment(form.text("deleted"))
    if moment is None:
        raise _wrong("deleted", "This is no moment of a deletion.")
    store.put_back(moment)
    return _return(form, [])


@router.post("/runs/tag")
def tag(form: FormDep, store: StoreDep) -> Response:
    """Add a tag to the ticked runs and arms of experiments, or take it away from them."""
    name = form.text("tag")
    if not name:
        raise _wrong("tag", "Write the tag first.")
    ids = _chosen(form.all("run"))
    runs = [run.id for run in store.chosen(ids)]
    store.tag(runs, name, remove=form.text("do") == "remove")
    return _return(form, [("run", run_id) for run_id in ids])


@router.post("/runs/{run_id}/edit")
def edit(run_id: RunId, form: FormDep, store: StoreDep) -> Response:
    """Change what people wrote about a run: its title, tags and note; go `back` to the history."""
    tags = tuple(read_words(form.text("tags")))
    store.edit(run_id, title=form.text("title"), tags=tags, note=form.text("note"))
    if form.all("back"):
        return _return(form, [("run", ticked) for ticked in form.all("run")])
    return RedirectResponse(run_url(run_id), 303)


@router.post("/pins")
def pin(form: FormDep, store: StoreDep) -> Response:
    """Keep a run or an experiment under a name, as a baseline."""
    pinned = store.pin(checked_id(form.text("id")), form.text("name"))
    return RedirectResponse(_page_of(pinned.experiment_id, pinned.run_id), 303)


@router.post("/pins/remove")
def unpin(form: FormDep, store: StoreDep) -> Response:
    """Let a pinned run or experiment be like any other."""
    subject_id = checked_id(form.text("id"))
    removed = store.unpin(subject_id)
    return RedirectResponse(_page_of(removed.experiment_id, removed.run_id), 303)


def _page_of(experiment_id: str | None, run_id: str) -> str:
    return experiment_address(experiment_id) if experiment_id else run_url(run_id)


def _chosen(ids: tuple[str, ...]) -> list[str]:
    """Raises InvalidInput for none, NotFound for what cannot be an id."""
    if not ids:
        raise _wrong("run", "Tick at least one run.")
    return list(dict.fromkeys(map(checked_id, ids)))


def _wrong(field: str, message: str) -> InvalidInput:
    return InvalidInput(message, (FieldError(field, message),))


def _return(form: FormData, more: list[tuple[str, str]]) -> RedirectResponse:
    query = [safe_query(form.text("back")), urlencode(more)]
    return RedirectResponse(history_url("&".join(filter(None, query))), 303)

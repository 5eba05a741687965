"""What people change about runs: title, tags, note, pins; and deletion, which can be taken back."""

from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from control_plane.dependencies import RunId, StoreDep
from control_plane.domain.errors import FieldError, InvalidInput
from control_plane.domain.ids import checked_id, experiment_address
from control_plane.domain.run import Run
from control_plane.pages.form.form_data import FormData, FormDep
from control_plane.pages.history import FilterText, Ids, read_moment, safe_query
from control_plane.pages.site import View
from control_plane.pages.site.templating import page
from control_plane.pages.urls import history_url, run_url
from control_plane.store.deletions import KEPT_DAYS

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class DeletePage(View):
    """The question whether to delete runs; `kept` stay, with the reason."""

    template: ClassVar[str] = "pages/delete.html"
    runs: tuple[Run, ...]
    kept: tuple[tuple[Run, str], ...]
    back: str
    days: int = KEPT_DAYS


@router.get("/history/delete")
def ask_delete(request: Request, store: StoreDep, run: Ids = (), back: FilterText = "") -> Response:
    """Ask whether to delete the ticked runs; nothing is deleted before that."""
    runs = store.chosen(_chosen(run))
    names = store.pinned([stored.id for stored in runs])
    unfinished = {stored.id: "not over yet" for stored in runs if not stored.state.terminal}
    reasons = {run_id: f"pinned as {name}" for run_id, name in names.items()} | unfinished
    kept = tuple((stored, reasons[stored.id]) for stored in runs if stored.id in reasons)
    able = tuple(stored for stored in runs if stored.id not in reasons)
    return page(request, DeletePage(able, kept, safe_query(back)))


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
    tags = tuple(filter(None, (part.strip() for part in form.text("tags").split(","))))
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

"""GET /history and what can be done with the runs that are chosen in it."""

from dataclasses import dataclass, replace
from typing import Annotated, ClassVar
from urllib.parse import parse_qsl, urlencode

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import RedirectResponse

from control_plane.domain.choice import chosen_ids
from control_plane.domain.errors import FieldError, InvalidInput
from control_plane.domain.identity import known_id
from control_plane.domain.run import Run
from control_plane.pages.form.given import Given
from control_plane.pages.form.sent import FormDep
from control_plane.pages.history.history_view import LABELS, Asked, history_page
from control_plane.pages.site.dependencies import DeskDep, StoreDep
from control_plane.pages.site.templating import page
from control_plane.pages.site.view import View
from control_plane.store.store import Store

router = APIRouter()

Text = Annotated[str, Query(max_length=200)]
Ids = Annotated[tuple[str, ...], Query(max_length=200)]


@dataclass(frozen=True)
class DeletePage(View):
    """`kept` are not over yet, and stay."""

    template: ClassVar[str] = "pages/delete.html"
    runs: tuple[Run, ...]
    kept: tuple[Run, ...]
    back: str


@router.get("/history")
def history(
    request: Request,
    store: StoreDep,
    desk: DeskDep,
    asked: Annotated[Asked, Depends()],
    run: Ids = (),
) -> Response:
    return page(request, replace(history_page(asked, store, desk), ticked=frozenset(run)))


@router.get("/runs", include_in_schema=False)
def guessed() -> RedirectResponse:
    return RedirectResponse("/history", 308)


@router.get("/history/chosen")
def chosen(run: Ids = ()) -> Response:
    """The ticked runs beside each other, oldest first: the list shows the newest first."""
    if not run:
        raise _wrong("run", "Tick 2 to 12 runs of the history first.")
    ids, _ = chosen_ids(",".join(reversed(run)), None)
    return RedirectResponse(f"/compare?runs={','.join(ids)}", 303)


@router.get("/history/delete")
def ask_delete(request: Request, store: StoreDep, run: Ids = (), back: Text = "") -> Response:
    """Nothing is deleted before this question is answered."""
    runs = _runs(run, store)
    over = tuple(one for one in runs if one.state.terminal)
    kept = tuple(one for one in runs if not one.state.terminal)
    return page(request, DeletePage(over, kept, _safe(back)))


@router.post("/runs/delete")
def delete(form: FormDep, store: StoreDep) -> Response:
    for run in _runs(form.all("run"), store):
        store.delete(run.id)
    return _return(form)


@router.post("/runs/tag")
def tag(form: FormDep, store: StoreDep) -> Response:
    """Add a tag to the ticked runs, or take it away from them."""
    name = form.text("tag")
    if not name:
        raise _wrong("tag", "Write the tag first.")
    for run in _runs(form.all("run"), store):
        rest = tuple(one for one in run.tags if one != name)
        store.edit(run.id, tags=rest if form.text("do") == "remove" else (*rest, name))
    return _return(form, ticked=form.all("run"))


def _runs(ids: tuple[str, ...], store: Store) -> tuple[Run, ...]:
    """Raises InvalidInput for none, NotFound for one that does not exist."""
    if not ids:
        raise _wrong("run", "Tick at least one run.")
    known = [known_id(one) for one in ids]
    return tuple(store.run(one) for one in dict.fromkeys(known))


def _wrong(field: str, message: str) -> InvalidInput:
    return InvalidInput(message, (FieldError(field, message),))


def _return(form: Given, ticked: tuple[str, ...] = ()) -> RedirectResponse:
    query = [_safe(form.text("back")), urlencode([("run", one) for one in ticked])]
    return RedirectResponse(f"/history?{'&'.join(filter(None, query))}".rstrip("?"), 303)


def _safe(back: str) -> str:
    """Only the filters and the cursor of a query, written anew."""
    known = {*LABELS, "cursor"}
    return urlencode([(name, value) for name, value in parse_qsl(back[:500]) if name in known])

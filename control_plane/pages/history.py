"""The list of runs: which are asked for, and what dropping a filter would bring."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, get_args
from urllib.parse import parse_qsl, urlencode

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel

from control_plane.analysis.run_labels import LETTERS, MARKERS, RunLabel
from control_plane.dependencies import RunServiceDep, StoreDep
from control_plane.domain.client_strategies import STRATEGIES
from control_plane.domain.errors import FieldError, InvalidInput
from control_plane.domain.ids import MAX_COMPARED_RUNS, checked_id, compared_ids
from control_plane.domain.objectives import ObjectiveOutcome
from control_plane.domain.result import OUTCOMES
from control_plane.domain.run import Run, State
from control_plane.jobs.run_service import RunService
from control_plane.pages.experiment_cards import AnswersDep, ExperimentAnswers
from control_plane.pages.form.form_data import FormData, FormDep
from control_plane.pages.run_rows import RunListGroup, run_list_groups
from control_plane.pages.site import View
from control_plane.pages.site.templating import page
from control_plane.pages.urls import HISTORY, compare_url, history_url
from control_plane.store.store import RunListPage, Store

PAGE = 50

FilterText = Annotated[str, Query(max_length=200)]
Ids = Annotated[tuple[str, ...], Query(max_length=200)]

FILTER_LABELS = {
    "text": "Search",
    "state": "State",
    "validity": "Validity",
    "objectives": "Objectives",
    "configuration": "Configuration",
    "strategy": "Strategy",
    "tag": "Tag",
}


class HistoryQuery(BaseModel, frozen=True):
    """The query of /history; empty text asks for all. `run`: the ids that are ticked."""

    text: FilterText = ""
    state: State | Literal[""] = ""
    validity: FilterText = ""
    objectives: FilterText = ""
    configuration: FilterText = ""
    strategy: FilterText = ""
    tag: FilterText = ""
    cursor: FilterText = ""
    run: Ids = ()

    @property
    def filters(self) -> dict[str, str]:
        """Return the filters that are set."""
        named = {name: getattr(self, name) for name in FILTER_LABELS}
        return {name: str(value) for name, value in named.items() if value}

    def without(self, name: str) -> "HistoryQuery":
        """Return the query with one filter dropped, from the first page on."""
        return self.model_copy(update={name: "", "cursor": ""})

    @property
    def encoded(self) -> str:
        """Return the query as it stands in an address."""
        return urlencode(self.filters | ({"cursor": self.cursor} if self.cursor else {}))


@dataclass(frozen=True)
class Filter:
    """A select of the history: `value` is chosen, or "" for any."""

    name: str
    label: str
    value: str
    options: tuple[str, ...]


@dataclass(frozen=True)
class WiderSearch:
    """A filter that could go, and how many runs that would bring."""

    label: str
    href: str
    total: int


@dataclass(frozen=True)
class HistoryPage(View):
    """The list of runs.

    `slots` are the letters that chosen runs will get; `back` leads here again.

    `ticked` are the ids that are chosen already.
    """

    template: ClassVar[str] = "pages/history.html"
    text: str
    filters: tuple[Filter, ...]
    filtered: bool
    groups: tuple[RunListGroup, ...]
    total: int
    unreadable: tuple[str, ...]
    older: str
    newest: str
    drops: tuple[WiderSearch, ...]
    slots: tuple[RunLabel, ...]
    back: str
    ticked: frozenset[str]


def history_page(
    query: HistoryQuery, store: Store, service: RunService, answers: ExperimentAnswers
) -> HistoryPage:
    """Return one page of the runs that the filters leave."""
    found = _read(query, store, PAGE)
    following = query.model_copy(update={"cursor": found.next_cursor or ""})
    return HistoryPage(
        text=query.text,
        filters=tuple(_filters(query, store, service)),
        filtered=bool(query.filters),
        groups=run_list_groups(found.runs, store, service, answers),
        total=found.total,
        unreadable=found.unreadable,
        older=history_url(following.encoded) if following.cursor else "",
        newest=history_url(query.without("cursor").encoded) if query.cursor else "",
        drops=() if found.total else tuple(_drops(query, store)),
        slots=tuple(slot_label(index) for index in range(MAX_COMPARED_RUNS)),
        back=query.encoded,
        ticked=frozenset(query.run),
    )


def slot_label(index: int) -> RunLabel:
    """Return letter and mark of the run that is ticked as number `index`, from 0."""
    mark = MARKERS[index % len(MARKERS)]
    return RunLabel(index, "", LETTERS[index], "", mark, hollow=index >= len(MARKERS))


def _read(query: HistoryQuery, store: Store, limit: int) -> RunListPage:
    return store.runs(
        limit=limit,
        cursor=query.cursor or None,
        text=query.text,
        state=query.state or None,
        validity=query.validity,
        objectives=query.objectives,
        called=query.configuration,
        strategy=query.strategy,
        tag=query.tag,
    )


def _filters(query: HistoryQuery, store: Store, service: RunService) -> Iterator[Filter]:
    options = {
        "state": tuple(state.value for state in State),
        "validity": OUTCOMES,
        "objectives": get_args(ObjectiveOutcome),
        "configuration": _names(store, service),
        "strategy": tuple(STRATEGIES),
        "tag": tuple(store.tags()),
    }
    for name, known in options.items():
        value = str(getattr(query, name) or "")
        offered = known if value in {"", *known} else (*known, value)
        yield Filter(name, FILTER_LABELS[name], value, offered)


def _names(store: Store, service: RunService) -> tuple[str, ...]:
    """Return the configurations that can be chosen now, then others that runs keep."""
    offered = [configuration.name for configuration in service.configurations.all()]
    return tuple(dict.fromkeys([*offered, *store.given_names()]))


def _drops(query: HistoryQuery, store: Store) -> Iterator[WiderSearch]:
    for name in query.filters:
        wider = query.without(name)
        total = _read(wider, store, 1).total
        if total:
            yield WiderSearch(FILTER_LABELS[name], history_url(wider.encoded), total)


router = APIRouter()


@dataclass(frozen=True)
class DeletePage(View):
    """The question whether to delete runs; `kept` are not over yet, and stay."""

    template: ClassVar[str] = "pages/delete.html"
    runs: tuple[Run, ...]
    kept: tuple[Run, ...]
    back: str


@router.get(HISTORY)
def history(
    request: Request,
    store: StoreDep,
    service: RunServiceDep,
    answers: AnswersDep,
    query: Annotated[HistoryQuery, Query()],
) -> Response:
    """Show the list of runs."""
    return page(request, history_page(query, store, service, answers))


@router.get("/runs", include_in_schema=False)
def runs_redirect() -> RedirectResponse:
    """Redirect the address that somebody would guess."""
    return RedirectResponse(HISTORY, 308)


@router.get("/history/chosen")
def compare_ticked(run: Ids = ()) -> Response:
    """Redirect to the ticked runs side by side, oldest first: the list shows the newest first."""
    if not run:
        raise _wrong("run", "Tick 2 to 12 runs of the history first.")
    ids, _ = compared_ids(",".join(reversed(run)), None)
    return RedirectResponse(compare_url(ids), 303)


@router.get("/history/delete")
def ask_delete(request: Request, store: StoreDep, run: Ids = (), back: FilterText = "") -> Response:
    """Ask whether to delete the ticked runs; nothing is deleted before that."""
    runs = _runs(run, store)
    over = tuple(stored for stored in runs if stored.state.terminal)
    kept = tuple(stored for stored in runs if not stored.state.terminal)
    return page(request, DeletePage(over, kept, _safe(back)))


@router.post("/runs/delete")
def delete(form: FormDep, store: StoreDep) -> Response:
    """Delete the ticked runs."""
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
        rest = tuple(other for other in run.tags if other != name)
        store.edit(run.id, tags=rest if form.text("do") == "remove" else (*rest, name))
    return _return(form, ticked=form.all("run"))


def _runs(ids: tuple[str, ...], store: Store) -> tuple[Run, ...]:
    """Raises InvalidInput for none, NotFound for one that does not exist."""
    if not ids:
        raise _wrong("run", "Tick at least one run.")
    known = dict.fromkeys(map(checked_id, ids))
    return tuple(store.run(run_id) for run_id in known)


def _wrong(field: str, message: str) -> InvalidInput:
    return InvalidInput(message, (FieldError(field, message),))


def _return(form: FormData, ticked: tuple[str, ...] = ()) -> RedirectResponse:
    query = [_safe(form.text("back")), urlencode([("run", run_id) for run_id in ticked])]
    return RedirectResponse(history_url("&".join(filter(None, query))), 303)


def _safe(back: str) -> str:
    """Return only the filters and the cursor of a query, written anew."""
    known = {*FILTER_LABELS, "cursor"}
    return urlencode([(name, value) for name, value in parse_qsl(back[:500]) if name in known])

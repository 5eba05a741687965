"""The list of runs: which are asked for, and what dropping a filter would bring."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Annotated, ClassVar, Literal, get_args
from urllib.parse import parse_qsl, urlencode

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel

from control_plane.analysis.run_labels import LETTERS, MARKERS, RunLabel
from control_plane.dependencies import RunServiceDep, StoreDep
from control_plane.domain.client_strategies import STRATEGIES
from control_plane.domain.errors import FieldError, InvalidInput
from control_plane.domain.ids import MAX_COMPARED_RUNS, compared_ids
from control_plane.domain.objectives import ObjectiveOutcome
from control_plane.domain.result import OUTCOMES
from control_plane.domain.run import State
from control_plane.jobs.run_service import RunService
from control_plane.pages.experiment_cards import AnswersDep, ExperimentAnswers
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
    "application": "Application",
    "strategy": "Strategy",
    "tag": "Tag",
    "machine": "Machine",
    "since": "From",
    "until": "To",
}


class HistoryQuery(BaseModel, frozen=True):
    """The query of /history; empty text asks for all.

    `run`: the ids that are ticked. `deleted`: the moment of a deletion that can be taken back.
    """

    text: FilterText = ""
    state: State | Literal[""] = ""
    validity: FilterText = ""
    objectives: FilterText = ""
    configuration: FilterText = ""
    application: FilterText = ""
    strategy: FilterText = ""
    tag: FilterText = ""
    machine: FilterText = ""
    since: date | Literal[""] = ""
    until: date | Literal[""] = ""
    cursor: FilterText = ""
    run: Ids = ()
    deleted: FilterText = ""

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
    """A field of the history: `value` is chosen, or "" for any; a day has no options."""

    name: str
    label: str
    value: str
    options: tuple[str, ...] = ()


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

    `ticked` are the ids that are chosen already. `deleted` runs can be put back by the moment of
    their deletion, `undo`.
    """

    template: ClassVar[str] = "pages/history.html"
    text: str
    filters: tuple[Filter, ...]
    days: tuple[Filter, ...]
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
    deleted: int
    undo: str


def history_page(
    query: HistoryQuery, store: Store, service: RunService, answers: ExperimentAnswers
) -> HistoryPage:
    """Return one page of the runs that the filters leave."""
    found = _read(query, store, PAGE)
    following = query.model_copy(update={"cursor": found.next_cursor or ""})
    return HistoryPage(
        text=query.text,
        filters=tuple(_filters(query, store, service)),
        days=tuple(
            Filter(name, FILTER_LABELS[name], query.filters.get(name, ""))
            for name in ("since", "until")
        ),
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
        deleted=store.deleted_at(moment) if (moment := read_moment(query.deleted)) else 0,
        undo=query.deleted,
    )


def read_moment(text: str) -> datetime | None:
    """Return the moment that an address names; None for what is none."""
    with suppress(ValueError, OverflowError):
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else None
    return None


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
        application=query.application,
        machine=query.machine,
        since=query.since or None,
        until=query.until or None,
        strategy=query.strategy,
        tag=query.tag,
    )


def _filters(query: HistoryQuery, store: Store, service: RunService) -> Iterator[Filter]:
    options = {
        "state": tuple(state.value for state in State),
        "validity": OUTCOMES,
        "objectives": get_args(ObjectiveOutcome),
        "configuration": _names(store, service),
        "application": tuple(store.values("application")),
        "strategy": tuple(STRATEGIES),
        "tag": tuple(store.tags()),
        "machine": tuple(store.values("machine")),
    }
    for name, known in options.items():
        value = str(getattr(query, name) or "")
        offered = known if value in {"", *known} else (*known, value)
        yield Filter(name, FILTER_LABELS[name], value, offered)


def _names(store: Store, service: RunService) -> tuple[str, ...]:
    """Return the configurations that can be chosen now, then others that runs keep."""
    offered = [configuration.name for configuration in service.configurations.all()]
    return tuple(dict.fromkeys([*offered, *store.values("given_name")]))


def _drops(query: HistoryQuery, store: Store) -> Iterator[WiderSearch]:
    for name in query.filters:
        wider = query.without(name)
        total = _read(wider, store, 1).total
        if total:
            yield WiderSearch(FILTER_LABELS[name], history_url(wider.encoded), total)


router = APIRouter()


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
        message = "Tick 2 to 12 runs of the history first."
        raise InvalidInput(message, (FieldError("run", message),))
    ids, _ = compared_ids(",".join(reversed(run)), None)
    return RedirectResponse(compare_url(ids), 303)


def safe_query(back: str) -> str:
    """Return only the filters and the cursor of a query, written anew."""
    known = {*FILTER_LABELS, "cursor"}
    return urlencode([(name, value) for name, value in parse_qsl(back[:500]) if name in known])

"""The list of runs: which are asked for, in which order, and what dropping a filter would bring."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Annotated, ClassVar, Literal, get_args
from urllib.parse import parse_qsl, urlencode

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import PlainTextResponse, RedirectResponse
from pydantic import BaseModel

from control_plane.analysis.deciding.verdicts import VerdictName
from control_plane.analysis.run_labels import LETTERS, MARKERS, RunLabel
from control_plane.dependencies import RunServiceDep, StoreDep
from control_plane.domain.client_strategies import STRATEGIES
from control_plane.domain.errors import FieldError, InvalidInput, NotFound, UnreadableRun
from control_plane.domain.ids import checked_id, compared_ids, is_id, tool_result_address
from control_plane.domain.limits import MAX_COMPARED_RUNS
from control_plane.domain.metrics_and_objectives import ObjectiveOutcome
from control_plane.domain.result import OUTCOMES, ValidityOutcome
from control_plane.domain.run import Run, State
from control_plane.domain.units import count
from control_plane.jobs.run_service import RunService
from control_plane.pages.experiment_cards import AnswersDep, ExperimentAnswers
from control_plane.pages.run_rows import RunListGroup, run_list_groups
from control_plane.pages.site import View
from control_plane.pages.site.templating import page
from control_plane.pages.urls import HISTORY, LONGEST_QUERY, compare_url, history_url
from control_plane.store.run_query import RunListPage, RunOrder, RunSort, SortOrder
from control_plane.store.store import Store

PAGE = 50

FilterText = Annotated[str, Query(max_length=200)]
Back = Annotated[str, Query(max_length=LONGEST_QUERY)]
Ids = Annotated[tuple[str, ...], Query(max_length=200)]

FILTER_LABELS = {
    "text": "Search",
    "state": "State",
    "validity": "Validity",
    "verdict": "Verdict",
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

    `run`: the ids of runs and experiments that are ticked. `edit`: the run whose title, tags and
    note are edited in its row. `deleted`: the moment of a deletion that can be taken back.
    """

    text: FilterText = ""
    state: State | Literal[""] = ""
    validity: ValidityOutcome | Literal[""] = ""
    verdict: VerdictName | Literal[""] = ""
    objectives: ObjectiveOutcome | Literal[""] = ""
    configuration: FilterText = ""
    application: FilterText = ""
    strategy: FilterText = ""
    tag: FilterText = ""
    machine: FilterText = ""
    since: date | Literal[""] = ""
    until: date | Literal[""] = ""
    sort: RunSort = "created"
    order: SortOrder = "desc"
    cursor: FilterText = ""
    run: Ids = ()
    edit: FilterText = ""
    deleted: FilterText = ""

    @property
    def filters(self) -> dict[str, str]:
        """Return the filters that are set."""
        named = {name: getattr(self, name) for name in FILTER_LABELS}
        return {name: str(value) for name, value in named.items() if value}

    def without(self, name: str) -> "HistoryQuery":
        """Return the query with one filter dropped, from the first page on."""
        return self.model_copy(update={name: "", "cursor": ""})

    def sorted_by(self, sort: RunSort, order: SortOrder) -> "HistoryQuery":
        """Return the query in another order, from the first page on."""
        return self.model_copy(update={"sort": sort, "order": order, "cursor": ""})

    @property
    def sorting(self) -> dict[str, str]:
        """Return what of the order is not as it is without being asked for."""
        sort = {"sort": self.sort} if self.sort != "created" else {}
        return sort | ({"order": self.order} if self.order != "desc" else {})

    @property
    def is_newest_first(self) -> bool:
        """Whether no other order is asked for."""
        return not self.sorting

    @property
    def encoded(self) -> str:
        """Return the query as it stands in an address, without what is ticked."""
        cursor = {"cursor": self.cursor} if self.cursor else {}
        return urlencode({**self.filters, **self.sorting, **cursor})

    @property
    def url(self) -> str:
        """Return the address of the page, with what is ticked."""
        ticked = urlencode([("run", run_id) for run_id in self.run])
        return history_url("&".join(filter(None, (self.encoded, ticked))))


@dataclass(frozen=True)
class Filter:
    """A field of the history: `value` is chosen, or "" for any; a day has no options."""

    name: str
    label: str
    value: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class WiderSearch:
    """A filter that could go: `href` lists the runs without it."""

    name: str
    label: str
    href: str


@dataclass(frozen=True)
class SortLink:
    """The head of a column: `direction` in which the list is sorted by it now, `none` or one."""

    href: str
    direction: Literal["none", "ascending", "descending"]


@dataclass(frozen=True)
class FoundToolResult:
    """A result of another tool that the search finds too."""

    title: str
    href: str


MOST_FOUND_TOOL_RESULTS = 5


@dataclass(frozen=True)
class HistoryPage(View):
    """The list of runs. `peers` are what the search finds of other tools.

    `slots` are the letters that chosen runs will get; `back` leads here again. `total` is written
    out; `order` says in which order they stand, `sorts` leads to others, `sorting` is what the
    address says of it.

    `ticked` are the ids that are chosen already, `elsewhere` those runs of them that are not on
    this page. `url` leads to this page as it is. The row of the run `edited` is a form. `deleted`
    runs can be put back by the moment of their deletion, `undo`.
    """

    template: ClassVar[str] = "pages/history.html"
    text: str
    peers: tuple[FoundToolResult, ...]
    filters: tuple[Filter, ...]
    days: tuple[Filter, ...]
    filtered: bool
    groups: tuple[RunListGroup, ...]
    total: str
    order: str
    sorts: Mapping[RunSort, SortLink]
    sorting: Mapping[str, str]
    unreadable: tuple[str, ...]
    older: str
    older_label: str
    newest: str
    newest_label: str
    wider: tuple[WiderSearch, ...]
    slots: tuple[RunLabel, ...]
    back: str
    ticked: frozenset[str]
    elsewhere: tuple[Run, ...]
    url: str
    edited: Run | None
    deleted: int
    undo: str


def history_page(
    query: HistoryQuery, store: Store, service: RunService, answers: ExperimentAnswers
) -> HistoryPage:
    """Return one page of the runs that the filters leave."""
    found = read_runs(query, store, PAGE)
    following = query.model_copy(update={"cursor": found.next_cursor or ""})
    groups = run_list_groups(found.runs, store, service, answers, grouped=query.sort == "created")
    return HistoryPage(
        text=query.text,
        peers=tuple(_found_tool_results(query, store)),
        filters=tuple(_filters(query, store, service)),
        days=tuple(
            Filter(name, FILTER_LABELS[name], query.filters.get(name, ""))
            for name in ("since", "until")
        ),
        filtered=bool(query.filters),
        groups=groups,
        total=_runs_text(found),
        order=_ORDERS[query.sort][query.order == "asc"],
        sorts={sort: _sort_link(query, sort) for sort in _ORDERS},
        sorting=query.sorting,
        unreadable=found.unreadable,
        older=following.url if following.cursor else "",
        older_label="Older runs" if query.is_newest_first else "Next runs",
        newest=query.without("cursor").url if query.cursor else "",
        newest_label="Newest runs" if query.is_newest_first else "First runs",
        wider=() if found.total else tuple(_wider(query)),
        slots=tuple(slot_label(index) for index in range(MAX_COMPARED_RUNS)),
        back=query.encoded,
        ticked=frozenset(query.run),
        elsewhere=tuple(_elsewhere(query, store, groups)),
        url=query.url,
        edited=next((run for run in found.runs if run.id == query.edit), None),
        deleted=store.deleted_at(moment) if (moment := read_moment(query.deleted)) else 0,
        undo=query.deleted,
    )


_ORDERS: dict[RunSort, tuple[str, str]] = {
    "created": ("newest first", "oldest first"),
    "throughput": ("highest throughput first", "lowest throughput first"),
    "p50": ("slowest p50 first", "quickest p50 first"),
    "p95": ("slowest p95 first", "quickest p95 first"),
    "p99": ("slowest p99 first", "quickest p99 first"),
    "errors": ("largest share of errors first", "smallest share of errors first"),
}
"""The orders of the list: from the greatest, and from the least."""


def _sort_link(query: HistoryQuery, sort: RunSort) -> SortLink:
    """Return the head of a column: it turns the order round, or begins with the greatest."""
    if query.sort != sort:
        return SortLink(query.sorted_by(sort, "desc").url, "none")
    if query.order == "desc":
        return SortLink(query.sorted_by(sort, "asc").url, "descending")
    return SortLink(query.sorted_by(sort, "desc").url, "ascending")


def _found_tool_results(query: HistoryQuery, store: Store) -> Iterator[FoundToolResult]:
    """Yield results of other tools where nothing but a text is asked for."""
    if set(query.filters) == {"text"}:
        for peer_id, title in store.search_tool_results(query.text, MOST_FOUND_TOOL_RESULTS):
            yield FoundToolResult(title, tool_result_address(peer_id))


def _runs_text(found: RunListPage) -> str:
    more = "more than " if found.more else ""
    return f"{more}{count(found.total)} run{'' if found.total == 1 else 's'}"


def _elsewhere(query: HistoryQuery, store: Store, groups: Sequence[RunListGroup]) -> Iterator[Run]:
    """Yield what is ticked of other pages; what was deleted since is left out."""
    here = {row.id for group in groups for row in group.rows}
    here |= {group.answer.experiment.id for group in groups if group.answer}
    for run_id in query.run:
        if is_id(run_id) and run_id not in here:
            with suppress(NotFound, UnreadableRun):
                yield from (run for run in store.chosen([run_id]) if run.id not in here)


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


def read_runs(query: HistoryQuery, store: Store, limit: int) -> RunListPage:
    """Return one page of the runs that a query asks for."""
    return store.runs(
        limit=limit,
        cursor=query.cursor or None,
        order=RunOrder(query.sort, query.order),
        text=query.text,
        state=query.state or None,
        validity=query.validity,
        verdict=query.verdict,
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
    offered_now = [configuration.name for configuration in service.configurations.all()]
    options = {
        "state": tuple(state.value for state in State),
        "validity": OUTCOMES,
        "verdict": get_args(VerdictName),
        "objectives": get_args(ObjectiveOutcome),
        "configuration": tuple(store.measured_configurations(offered_now)),
        "application": tuple(store.values("application")),
        "strategy": tuple(STRATEGIES),
        "tag": tuple(store.tags()),
        "machine": tuple(store.values("machine")),
    }
    for name, known in options.items():
        value = str(getattr(query, name) or "")
        offered = known if value in {"", *known} else (*known, value)
        yield Filter(name, FILTER_LABELS[name], value, offered)


def _wider(query: HistoryQuery) -> Iterator[WiderSearch]:
    for name in query.filters:
        yield WiderSearch(name, FILTER_LABELS[name], query.without(name).url)


router = APIRouter(include_in_schema=False)


@router.get(HISTORY)
def history(
    request: Request,
    store: StoreDep,
    service: RunServiceDep,
    answers: AnswersDep,
    query: Annotated[HistoryQuery, Query()],
) -> Response:
    """Show the list of runs."""
    with store.one_view():
        return page(request, history_page(query, store, service, answers))


@router.get("/history/without/{name}")
def without(
    name: str, store: StoreDep, query: Annotated[HistoryQuery, Query()]
) -> PlainTextResponse:
    """Say how many runs match once a filter is dropped: each count may go through all runs."""
    if name not in query.filters:
        raise NotFound("This filter is not set.")
    # To count them takes no order, and one by a number takes long.
    found = read_runs(query.without(name).sorted_by("created", "desc"), store, 1)
    return PlainTextResponse(_runs_text(found))


@router.get("/runs", include_in_schema=False)
def runs_redirect() -> RedirectResponse:
    """Redirect the address that somebody would guess."""
    return RedirectResponse(HISTORY, 308)


@router.get("/history/chosen")
def compare_ticked(store: StoreDep, run: Ids = ()) -> Response:
    """Redirect to what is ticked, of experiments the arms, side by side and oldest first."""
    if not run:
        message = "Tick 2 to 12 runs of the history first."
        raise InvalidInput(message, (FieldError("run", message),))
    chosen = store.chosen([checked_id(run_id) for run_id in run])
    ids, _ = compared_ids(",".join(run.id for run in chosen), None)
    return RedirectResponse(compare_url(ids), 303)


@router.get("/history/keep")
def keep_ticked(run: Ids = (), back: Back = "") -> Response:
    """Redirect to the list with what is ticked in its address, so that other pages keep it."""
    ticked = urlencode([("run", run_id) for run_id in run])
    return RedirectResponse(history_url("&".join(filter(None, (safe_query(back), ticked)))), 303)


def safe_query(back: str) -> str:
    """Return only the filters, the order and the cursor of a query, written anew."""
    known = {*FILTER_LABELS, "sort", "order", "cursor"}
    return urlencode([(name, value) for name, value in parse_qsl(back) if name in known])

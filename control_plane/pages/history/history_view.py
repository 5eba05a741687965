"""The list of runs: which are asked for, and what dropping a filter would bring."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlencode

from fastapi import Query

from control_plane.analysis.labels import LETTERS, MARKS, RunLabel
from control_plane.domain.choice import MOST
from control_plane.domain.states import State
from control_plane.domain.strategies import STRATEGIES
from control_plane.jobs.desk import Desk
from control_plane.pages.history.run_rows import RunRow, run_row
from control_plane.pages.site.view import View
from control_plane.store.store import RunPage, Store

PAGE = 50
OUTCOMES = ("valid", "suspect", "invalid")

Text = Annotated[str, Query(max_length=200)]

LABELS = {
    "text": "Search",
    "state": "State",
    "validity": "Validity",
    "configuration": "Configuration",
    "strategy": "Strategy",
    "tag": "Tag",
}


@dataclass(frozen=True)
class Asked:
    """The query of /history; empty text asks for all."""

    text: Text = ""
    state: State | Literal[""] = ""
    validity: Text = ""
    configuration: Text = ""
    strategy: Text = ""
    tag: Text = ""
    cursor: Text = ""

    @property
    def filters(self) -> dict[str, str]:
        """Those that are set."""
        named = {name: getattr(self, name) for name in LABELS}
        return {name: str(value) for name, value in named.items() if value}

    def without(self, name: str) -> "Asked":
        """With one filter dropped, from the first page on."""
        cleared: dict[str, Any] = {name: "", "cursor": ""}
        return replace(self, **cleared)

    @property
    def query(self) -> str:
        return urlencode(self.filters | ({"cursor": self.cursor} if self.cursor else {}))


@dataclass(frozen=True)
class Filter:
    """A select: `value` is chosen, or "" for any."""

    name: str
    label: str
    value: str
    options: tuple[str, ...]


@dataclass(frozen=True)
class Drop:
    """A filter that could go, and how many runs that would bring."""

    label: str
    href: str
    total: int


@dataclass(frozen=True)
class HistoryPage(View):
    """`slots` are the letters that chosen runs will get; `back` leads here again.

    `ticked` are the ids that are chosen already.
    """

    template: ClassVar[str] = "pages/history.html"
    text: str
    filters: tuple[Filter, ...]
    filtered: bool
    rows: tuple[RunRow, ...]
    total: int
    older: str
    newest: str
    drops: tuple[Drop, ...]
    slots: tuple[RunLabel, ...]
    back: str
    ticked: frozenset[str] = frozenset()


def history_page(asked: Asked, store: Store, desk: Desk) -> HistoryPage:
    found = _read(asked, store, PAGE)
    rows = [
        run_row(run, None if run.state.terminal else desk.progress(run.id)) for run in found.runs
    ]
    following = replace(asked, cursor=found.next_cursor or "")
    return HistoryPage(
        text=asked.text,
        filters=tuple(_filters(asked, store, desk)),
        filtered=bool(asked.filters),
        rows=tuple(rows),
        total=found.total,
        older=f"/history?{following.query}" if following.cursor else "",
        newest=f"/history?{asked.without('cursor').query}" if asked.cursor else "",
        drops=() if found.total else tuple(_drops(asked, store)),
        slots=tuple(slot_label(index) for index in range(MOST)),
        back=asked.query,
    )


def slot_label(index: int) -> RunLabel:
    """Letter and mark of the run that is chosen as number `index`, from 0."""
    mark = MARKS[index % len(MARKS)]
    return RunLabel(index, "", LETTERS[index], "", mark, hollow=index >= len(MARKS))


def _read(asked: Asked, store: Store, limit: int) -> RunPage:
    return store.runs(
        limit=limit,
        cursor=asked.cursor or None,
        text=asked.text,
        state=asked.state or None,
        validity=asked.validity,
        called=asked.configuration,
        strategy=asked.strategy,
        tag=asked.tag,
    )


def _filters(asked: Asked, store: Store, desk: Desk) -> Iterator[Filter]:
    options = {
        "state": tuple(state.value for state in State),
        "validity": OUTCOMES,
        "configuration": _names(store, desk),
        "strategy": tuple(STRATEGIES),
        "tag": tuple(store.tags()),
    }
    for name, known in options.items():
        value = str(getattr(asked, name) or "")
        offered = known if value in {"", *known} else (*known, value)
        yield Filter(name, LABELS[name], value, offered)


def _names(store: Store, desk: Desk) -> tuple[str, ...]:
    """Those that can be chosen now, then others that runs keep."""
    offered = [one.name for one in desk.configurations()]
    return tuple(dict.fromkeys([*offered, *store.given_names()]))


def _drops(asked: Asked, store: Store) -> Iterator[Drop]:
    for name in asked.filters:
        wider = asked.without(name)
        total = _read(wider, store, 1).total
        if total:
            yield Drop(LABELS[name], f"/history?{wider.query}".rstrip("?"), total)

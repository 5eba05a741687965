"""The query of a comparison, the addresses of its neighbours, and the runs that could be added."""

import math
import re
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Annotated
from urllib.parse import parse_qsl, quote_plus

from fastapi import Query

from control_plane.analysis.charts.timeline_series import WHOLE_TRIAL, Span
from control_plane.domain.errors import FieldError, InvalidInput
from control_plane.domain.ids import compared_ids
from control_plane.domain.limits import MAX_COMPARED_RUNS
from control_plane.domain.metrics_and_objectives import METRIC
from control_plane.domain.run import DeletedRun, Pin, Run
from control_plane.pages.urls import COMPARE
from control_plane.store.store import Store

LINEAR_CHARTS = ("percentiles", "timelines")
"""Those that can be drawn on a linear axis of times or on a log one."""

_LATEST_S = 1_000_000.0
_PLAIN = re.compile(r"[A-Za-z0-9_.,~-]*")


@dataclass(frozen=True)
class CompareQuery:
    """Runs in the order of the URL. `stream` None: the first that the runs share.

    `anyway` asks for ratios although a side is invalid or from another machine. `deleted` were
    asked for as well; addresses of other pages leave them out. `places` are those of the runs
    among letters and colours, which stay when others go; () for their order. The `hidden` runs
    are in tables alone. The charts that are `linear` have such an axis of times. `metric`: the row
    that all is narrowed to, else None. `span`: the seconds of each trial that charts show.
    """

    ids: tuple[str, ...]
    baseline: str
    stream: str | None = None
    anyway: bool = False
    deleted: tuple[DeletedRun, ...] = ()
    places: tuple[int, ...] = ()
    hidden: tuple[str, ...] = ()
    linear: tuple[str, ...] = ()
    metric: str | None = None
    span: Span = WHOLE_TRIAL

    @property
    def query(self) -> str:
        """Return the query without its defaults, so that one view has one address."""
        parameters: dict[str, str] = {"runs": ",".join(self.ids)}
        if self.baseline != self.ids[0]:
            parameters["baseline"] = self.baseline
        if self.stream is not None:
            parameters["stream"] = self.stream
        if self.anyway:
            parameters["anyway"] = "1"
        if self.places and self.places != tuple(range(len(self.ids))):
            parameters["places"] = ",".join(map(str, self.places))
        if self.hidden:
            parameters["hide"] = ",".join(self.hidden)
        given = (parameters | self._drawing).items()
        return "&".join(f"{name}={_quoted(value)}" for name, value in given)

    @property
    def _drawing(self) -> dict[str, str]:
        """What of the drawing is not as it is without being asked for."""
        first = LINEAR_CHARTS[:1]
        scale = "linear" if self.linear == first else ",".join(self.linear)
        return {
            **({"scale": scale} if self.linear else {}),
            **({"metric": self.metric} if self.metric else {}),
            **({"from": self.begins} if self.begins else {}),
            **({"until": self.ends} if self.ends else {}),
        }

    @property
    def is_whole(self) -> bool:
        """Whether all seconds are shown."""
        return self.span == WHOLE_TRIAL

    @property
    def without_span(self) -> "CompareQuery":
        """Return the query with all seconds shown."""
        return replace(self, span=WHOLE_TRIAL)

    @property
    def begins(self) -> str:
        """Return the first second that is shown; "" where that is the first of all."""
        return f"{self.span[0]:.10g}" if self.span[0] else ""

    @property
    def ends(self) -> str:
        """Return the second up to which is shown; "" for the end of a trial."""
        return f"{self.span[1]:.10g}" if self.span[1] < math.inf else ""

    @property
    def span_text(self) -> str:
        """Return `seconds 5 to 20`."""
        return f"seconds {self.begins or 0} to {self.ends or 'the end'}"

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Return names and values of the query, for the fields of a form."""
        return parse_qsl(self.query)

    @property
    def page(self) -> str:
        """Return the address of the comparison."""
        return f"{COMPARE}?{self.query}"

    @property
    def fragment(self) -> str:
        """Return the address of the part that changes while runs finish."""
        was = next((run.id for run in self.deleted if run.was_baseline), self.baseline)
        asked = replace(self, baseline=was, deleted=())
        for run in self.deleted:
            asked = asked.with_run(run.id)
        return f"{COMPARE}/live?{asked.query}"

    @property
    def full(self) -> bool:
        """Whether no run can be added."""
        return len(self.ids) == MAX_COMPARED_RUNS

    def file(self, ending: str) -> str:
        """Return the address of the comparison as a file; `ending` is html, json, csv or md."""
        return f"{COMPARE}.{ending}?{self.query}"

    def figure_file(self, name: str) -> str:
        """Return the address of the numbers behind a figure."""
        return f"{COMPARE}/figures/{name}.csv?{self.query}"

    def against(self, run_id: str) -> str:
        """Return the address with another baseline."""
        return replace(self, baseline=run_id).page

    def of_stream(self, name: str) -> str:
        """Return the address with another stream."""
        return replace(self, stream=name).page

    def in_spite(self) -> str:
        """Return the address with ratios in spite of the refusals."""
        return replace(self, anyway=True).page

    @property
    def taken_places(self) -> tuple[int, ...]:
        """Return the place of each run among letters and colours."""
        return self.places or tuple(range(len(self.ids)))

    def with_run(self, run_id: str) -> "CompareQuery":
        """Return the query with one more run, at the first place that is free."""
        taken = self.taken_places
        free = next(place for place in range(MAX_COMPARED_RUNS + 1) if place not in taken)
        return replace(self, ids=(*self.ids, run_id), places=(*taken, free))

    def of_runs(self, ids: Collection[str]) -> "CompareQuery":
        """Return the query with those of its runs alone, each at its place."""
        left = [pair for pair in zip(self.ids, self.taken_places, strict=True) if pair[0] in ids]
        hidden = tuple(run_id for run_id in self.hidden if run_id in ids)
        kept, places = zip(*left, strict=True)
        baseline = self.baseline if self.baseline in kept else kept[0]
        return replace(self, ids=kept, places=places, baseline=baseline, hidden=hidden)

    def adding(self, run_id: str) -> str:
        """Return the address with one more run."""
        return self.with_run(run_id).page

    def adding_baseline(self, run_id: str) -> str:
        """Return the address with one more run as the baseline."""
        return replace(self.with_run(run_id), baseline=run_id).page

    def without(self, run_id: str) -> str | None:
        """Return the address without a run; None for the last one that is left."""
        left = {other for other in self.ids if other != run_id}
        return self.of_runs(left).page if left else None

    def turning(self, run_id: str) -> str | None:
        """Return the address with a run hidden, or shown again; None for the last that is shown."""
        if run_id in self.hidden:
            hidden = tuple(other for other in self.hidden if other != run_id)
        else:
            hidden = (*self.hidden, run_id)
        return None if len(hidden) == len(self.ids) else replace(self, hidden=hidden).page

    def scaled(self, chart: str, *, linear: bool) -> str:
        """Return the address with a chart on a linear axis of times, or a log one."""
        wanted = {*self.linear, chart} if linear else {*self.linear} - {chart}
        return replace(self, linear=tuple(name for name in LINEAR_CHARTS if name in wanted)).page

    def of_row(self, stream: str, metric: str) -> str:
        """Return the address with all narrowed to one metric of a stream."""
        return replace(self, stream=stream, metric=metric).page

    @property
    def of_all_rows(self) -> str:
        """Return the address with all metrics."""
        return replace(self, metric=None).page


def _quoted(value: str) -> str:
    """Return a value as a query has it. Of the hundreds on a page hardly any needs quoting."""
    return value if _PLAIN.fullmatch(value) else quote_plus(value, safe=",")


def read_compare_query(
    runs: str = "",
    baseline: str | None = None,
    stream: str | None = None,
    anyway: str | None = None,
) -> CompareQuery:
    """Return what an address asks for. Raises InvalidInput or NotFound as `compared_ids` does."""
    ids, against = compared_ids(runs, baseline)
    if anyway not in {None, "", "1"}:
        raise _wrong("anyway", "Give anyway=1 or leave it out.")
    return CompareQuery(ids, against, stream or None, anyway == "1")


@dataclass(frozen=True)
class AskedDrawing:
    """What an address says of letters, hidden runs, axes, the row and the seconds, as texts."""

    places: str = ""
    hide: str = ""
    scale: str = ""
    metric: str = ""
    begin: Annotated[str, Query(alias="from")] = ""
    until: str = ""


def read_drawing(query: CompareQuery, asked: AskedDrawing) -> CompareQuery:
    """Return the query with what an address says of how runs are drawn.

    Raises InvalidInput; a hidden run that is not compared any more is nothing.
    """
    if asked.metric and asked.metric not in METRIC:
        raise _wrong("metric", f"{asked.metric[:40]} is no metric that runs are compared by.")
    begin_s = _read_second("from", asked.begin, WHOLE_TRIAL[0])
    end_s = _read_second("until", asked.until, WHOLE_TRIAL[1])
    if begin_s >= end_s:
        raise _wrong("until", f"The seconds end at {end_s:g}, and begin at {begin_s:g}: later.")
    hidden = tuple(run_id for run_id in query.ids if run_id in asked.hide.split(","))
    return replace(
        query,
        places=_read_places(asked.places, len(query.ids)),
        hidden=hidden if len(hidden) < len(query.ids) else (),
        linear=_read_scale(asked.scale),
        metric=asked.metric or None,
        span=(begin_s, end_s),
    )


def _read_scale(text: str) -> tuple[str, ...]:
    if text in {"", "log", "linear"}:
        return LINEAR_CHARTS[:1] if text == "linear" else ()
    asked = text.split(",")
    if not set(asked) <= set(LINEAR_CHARTS):
        raise _wrong("scale", f"Give scale={','.join(LINEAR_CHARTS)}, one of them, or none.")
    return tuple(name for name in LINEAR_CHARTS if name in asked)


def _read_second(field: str, text: str, missing: float) -> float:
    if not text.strip():
        return missing
    with suppress(ValueError):
        if 0 <= (second := float(text)) <= _LATEST_S:
            return second
    raise _wrong(field, f"Give a second from 0 to {_LATEST_S:,.0f}, or leave it out.")


def _read_places(text: str, runs: int) -> tuple[int, ...]:
    """Raises InvalidInput for what does not give each run a place of its own."""
    if not text:
        return ()
    known = {str(place): place for place in range(MAX_COMPARED_RUNS)}
    places = tuple(known[part] for part in text.split(",") if part in known)
    if len(places) != runs or len(set(places)) != runs or len(text.split(",")) != runs:
        raise _wrong("places", f"Give each run a place from 0 to {MAX_COMPARED_RUNS - 1} once.")
    return places


def _wrong(field: str, message: str) -> InvalidInput:
    return InvalidInput(message, (FieldError(field, message),))


_ASKED = ("runs", "baseline", "stream", "anyway")
_DRAWN = ("places", "hide", "scale", "metric", "from", "until")


def parse_compare_query(query: str) -> CompareQuery:
    """Return what a query asks for, as `CompareQuery.query` writes it. Raises as the reading."""
    given = dict(parse_qsl(query))
    read = read_compare_query(**{name: given[name] for name in _ASKED if name in given})
    return read_drawing(read, AskedDrawing(*(given.get(name, "") for name in _DRAWN)))


MAX_SUGGESTIONS = 10


@dataclass(frozen=True)
class Suggestion:
    """A run that could be added to a comparison.

    `alike`: its requests are those of the page; `url` opens the comparison. `pin`: it is a pinned
    baseline for the run of the page.
    """

    run: Run
    alike: bool
    url: str
    pin: Pin | None = None


def suggested_runs(store: Store, shown: Run, query: CompareQuery) -> tuple[Suggestion, ...]:
    """Return runs that could be added: pinned baselines, then the newest, the same requests first.

    A pinned one is for runs like `shown`, and becomes the baseline.
    """
    if query.full:
        return ()
    pins = {pin.run_id: pin for pin in store.pins(shown.spec) if pin.run_id not in query.ids}
    kept = {run.id: run for run in store.chosen(list(pins))} if pins else {}
    pinned = [
        Suggestion(kept[run_id], alike=True, url=query.adding_baseline(run_id), pin=pin)
        for run_id, pin in pins.items()
        if run_id in kept
    ]
    newest = store.newest_alike(shown.spec, {*query.ids, *pins}, MAX_SUGGESTIONS)
    others = [Suggestion(run, alike, query.adding(run.id)) for run, alike in newest]
    return (*pinned, *others)

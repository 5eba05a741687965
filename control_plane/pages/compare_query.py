"""The query of a comparison, the addresses of its neighbours, and the runs that could be added."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, urlencode

from control_plane.domain.errors import FieldError, InvalidInput
from control_plane.domain.ids import MAX_COMPARED_RUNS, compared_ids
from control_plane.domain.run import DeletedRun, Pin, Run, State
from control_plane.pages.urls import COMPARE
from control_plane.store.store import Store


@dataclass(frozen=True)
class CompareQuery:
    """Runs in the order of the URL. `stream` None: the first that the runs share.

    `anyway` asks for ratios although a side is invalid or from another machine. `deleted` were
    asked for as well; addresses of other pages leave them out. `places` are those of the runs
    among letters and colours, which stay when others go; () for their order. The `hidden` runs
    are in tables alone; `linear`: the axis of percentiles is.
    """

    ids: tuple[str, ...]
    baseline: str
    stream: str | None = None
    anyway: bool = False
    deleted: tuple[DeletedRun, ...] = ()
    places: tuple[int, ...] = ()
    hidden: tuple[str, ...] = ()
    linear: bool = False

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
        if self.linear:
            parameters["scale"] = "linear"
        return urlencode(parameters, safe=",")

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

    def scaled(self, *, linear: bool) -> str:
        """Return the address with percentiles on another axis."""
        return replace(self, linear=linear).page


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


def read_drawing(query: CompareQuery, places: str, hide: str, scale: str) -> CompareQuery:
    """Return the query with what an address says of letters, hidden runs and the axis.

    Raises InvalidInput; a hidden run that is not compared any more is nothing.
    """
    if scale not in {"", "log", "linear"}:
        raise _wrong("scale", "Give scale=linear or leave it out.")
    hidden = tuple(run_id for run_id in query.ids if run_id in hide.split(","))
    return replace(
        query,
        places=_read_places(places, len(query.ids)),
        hidden=hidden if len(hidden) < len(query.ids) else (),
        linear=scale == "linear",
    )


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


def parse_compare_query(query: str) -> CompareQuery:
    """Return what a query asks for, as `CompareQuery.query` writes it. Raises as the reading."""
    given = dict(parse_qsl(query))
    read = read_compare_query(**{name: given[name] for name in _ASKED if name in given})
    return read_drawing(read, *(given.get(name, "") for name in ("places", "hide", "scale")))


MAX_RECENT = 60
"""How many of the newest finished runs are looked at."""

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
    kept = {run.id: run for run in store.chosen(list(pins))}
    pinned = [
        Suggestion(kept[run_id], alike=True, url=query.adding_baseline(run_id), pin=pin)
        for run_id, pin in pins.items()
        if run_id in kept
    ]
    wanted, taken = _requests(shown), {*query.ids, *pins}
    recent = store.runs(limit=MAX_RECENT, state=State.FINISHED).runs
    newest = [
        Suggestion(run, _requests(run) == wanted, query.adding(run.id))
        for run in recent
        if run.id not in taken
    ]
    newest.sort(key=lambda suggestion: not suggestion.alike)
    return (*pinned, *newest[:MAX_SUGGESTIONS])


def _requests(run: Run) -> list[tuple[str, str, str]]:
    return [
        (stream.name, request.method, request.path)
        for stream in run.spec.workload.streams
        for request in stream.requests
    ]

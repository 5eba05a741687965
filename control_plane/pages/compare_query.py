"""The query of a comparison, the addresses of its neighbours, and the runs that could be added."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from control_plane.domain.errors import FieldError, InvalidInput
from control_plane.domain.ids import MAX_COMPARED_RUNS, compared_ids
from control_plane.domain.run import DeletedRun, Run
from control_plane.pages.urls import COMPARE


@dataclass(frozen=True)
class CompareQuery:
    """Runs in the order of the URL. `stream` None: the first that the runs share.

    `anyway` asks for ratios although a side is invalid or from another machine. `deleted` were
    asked for as well; addresses of other pages leave them out.
    """

    ids: tuple[str, ...]
    baseline: str
    stream: str | None = None
    anyway: bool = False
    deleted: tuple[DeletedRun, ...] = ()

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
        return urlencode(parameters, safe=",")

    @property
    def page(self) -> str:
        """Return the address of the comparison."""
        return f"{COMPARE}?{self.query}"

    @property
    def fragment(self) -> str:
        """Return the address of the part that changes while runs finish."""
        was = next((run.id for run in self.deleted if run.was_baseline), self.baseline)
        asked = replace(
            self, ids=(*self.ids, *(run.id for run in self.deleted)), baseline=was, deleted=()
        )
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

    def adding(self, run_id: str) -> str:
        """Return the address with one more run."""
        return replace(self, ids=(*self.ids, run_id)).page

    def without(self, run_id: str) -> str | None:
        """Return the address without a run; None for the last one that is left."""
        left = tuple(other for other in self.ids if other != run_id)
        if not left:
            return None
        baseline = self.baseline if self.baseline in left else left[0]
        return replace(self, ids=left, baseline=baseline).page


def read_compare_query(
    runs: str = "",
    baseline: str | None = None,
    stream: str | None = None,
    anyway: str | None = None,
) -> CompareQuery:
    """Return what an address asks for. Raises InvalidInput or NotFound as `compared_ids` does."""
    ids, against = compared_ids(runs, baseline)
    if anyway not in {None, "", "1"}:
        message = "Give anyway=1 or leave it out."
        raise InvalidInput(message, (FieldError("anyway", message),))
    return CompareQuery(ids, against, stream or None, anyway == "1")


MAX_RECENT = 60
"""How many of the newest finished runs are looked at."""

MAX_SUGGESTIONS = 10


@dataclass(frozen=True)
class Suggestion:
    """A run that could be added to a comparison.

    `alike`: its requests are those of the page; `url` opens the comparison.
    """

    run: Run
    alike: bool
    url: str


def suggested_runs(
    recent: Sequence[Run], shown: Run, taken: Collection[str], url_of: Callable[[str], str]
) -> tuple[Suggestion, ...]:
    """Return those of `recent` (newest first) that are not `taken`, the same requests first."""
    wanted = _requests(shown)
    found = [
        Suggestion(run, _requests(run) == wanted, url_of(run.id))
        for run in recent
        if run.id not in taken
    ]
    return tuple(sorted(found, key=lambda suggestion: not suggestion.alike)[:MAX_SUGGESTIONS])


def _requests(run: Run) -> list[tuple[str, str, str]]:
    return [
        (stream.name, request.method, request.path)
        for stream in run.spec.workload.streams
        for request in stream.requests
    ]

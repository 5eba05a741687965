"""Runs: hand in, list, read, cancel, delete, and set side by side."""

import asyncio
import tempfile
from dataclasses import asdict
from datetime import date
from pathlib import Path as FilePath
from typing import Annotated, Any, cast

from fastapi import Depends, Header, HTTPException, Path, Query, Request, Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from control_plane.analysis.deciding.verdicts import VerdictName
from control_plane.analysis.prose.comparison_sentences import described_comparison
from control_plane.analysis.prose.run_sentences import load_elsewhere
from control_plane.analysis.tool_comparison import measured_document, measured_sides
from control_plane.dependencies import (
    BUNDLE_BODY,
    SPEC_BODY,
    RunId,
    RunServiceDep,
    StoreDep,
    api_router,
)
from control_plane.domain.api_documents import moment, run_document, tool_result_document
from control_plane.domain.ids import compared_ids, experiment_address, run_address
from control_plane.domain.metrics_and_objectives import ObjectiveOutcome
from control_plane.domain.result import ValidityOutcome
from control_plane.domain.run import Pin, State
from control_plane.domain.spec_json import Document, read_document
from control_plane.jobs.experiment_job import compared_now
from control_plane.jobs.repeats import chosen_here, planned_repeat, repeat_document, start_repeat
from control_plane.other_tools import told_of_file
from control_plane.store.run_query import MAX_PAGE, Filters, RunOrder, RunSort, SortOrder

router = api_router("runs")
pinned = api_router("pins")
peers = api_router("results of other tools")
repeats = api_router("repeats")
comparisons = api_router("compare")


async def _document(request: Request) -> Document:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise HTTPException(415, "Send JSON with Content-Type: application/json.")
    return read_document(await request.body())


def _plain_digits(value: Any) -> Any:
    """Refuse what int() reads but people do not write: `1_0`, ` 5`, `٣`."""
    if isinstance(value, str) and not (value.isascii() and value.isdigit() and len(value) < 10):
        raise ValueError("give a whole number")
    return value


SpecBody = Annotated[Document, Depends(_document)]
PageLimit = Annotated[int, BeforeValidator(_plain_digits), Field(ge=1, le=MAX_PAGE)]
IdempotencyKey = Annotated[
    str | None, Header(alias="Idempotency-Key", min_length=1, max_length=200)
]
Text = Annotated[str | None, Field(max_length=200)]
ToolResultId = Annotated[str, Path(description="Ten characters.", max_length=20)]


class ImportQuery(BaseModel):
    """What is said of a file: its name, of which tool it is, and how a log counts."""

    name: Annotated[str, Field(max_length=255)] = ""
    kind: Annotated[str, Field(max_length=20)] = ""
    unit: Annotated[str, Field(max_length=20)] = ""
    title: Annotated[str, Field(max_length=200)] = ""


class RunListQuery(BaseModel):
    """Which runs a list has, in which order, how many, and after which cursor.

    `text` holds words that must all occur in id, title, tags, note, paths, configuration,
    application or the subject of the commit; one of one or two letters, where a word begins.
    `verdict` is that on an arm of an experiment that is over, in the metric that decides. `since`
    and `until` are days in UTC. Runs without the number that is sorted by come last.
    """

    limit: PageLimit = 50
    cursor: Text = None
    state: State | None = None
    tag: Text = None
    text: Text = None
    validity: ValidityOutcome | None = None
    objectives: ObjectiveOutcome | None = None
    verdict: VerdictName | None = None
    configuration: Text = None
    application: Text = None
    strategy: Text = None
    machine: Text = None
    since: date | None = None
    until: date | None = None
    sort: RunSort = "created"
    order: SortOrder = "desc"

    @property
    def filters(self) -> Filters:
        """Return what the list is filtered by."""
        filters = self.model_dump(exclude={"limit", "cursor", "sort", "order", "configuration"})
        return cast("Filters", filters | {"called": self.configuration})


class RunChanges(BaseModel):
    """What people write about a run; what is left out stays as it is."""

    model_config = ConfigDict(extra="forbid", strict=True)

    title: str = ""
    tags: list[str] = []
    note: str = ""


@router.post("/runs", status_code=202, openapi_extra=SPEC_BODY, summary="Queue a run")
def submit(
    document: SpecBody, service: RunServiceDep, response: Response, key: IdempotencyKey = None
) -> Document:
    """Queue a run. The same Idempotency-Key with the same body gives the same response.

    `elsewhere` says which other machines get load, and how much; empty where it stays here.
    """
    (run,) = service.submit([document], key=key)
    response.headers["Location"] = f"/api/runs/{run.id}"
    return {
        "id": run.id,
        "state": State.QUEUED.value,
        "url": run_address(run.id),
        "elsewhere": list(load_elsewhere([run.spec])),
    }


@router.get("/runs", summary="List runs")
def runs(
    store: StoreDep, service: RunServiceDep, query: Annotated[RunListQuery, Query()]
) -> Document:
    """Newest first or by a number of the first stream, without trials, failures and hints.

    `next` is the cursor of the next page.

    `unreadable` are ids of runs between them of which the database holds something odd.
    """
    order = RunOrder(query.sort, query.order)
    page = store.runs(limit=query.limit, cursor=query.cursor, order=order, **query.filters)
    documents = [run_document(run, None) for run in page.runs]
    for document, run in zip(documents, page.runs, strict=True):
        del document["trials"], document["failures"], document["hints"]
        if not run.state.terminal and (progress := service.progress(run.id)):
            document["progress"] = asdict(progress)
    return {"runs": documents, "next": page.next_cursor, "unreadable": list(page.unreadable)}


@router.post(
    "/import", openapi_extra=BUNDLE_BODY, summary="Import a bundle or a result of another tool"
)
async def import_file(
    request: Request, service: RunServiceDep, query: Annotated[ImportQuery, Query()]
) -> Document:
    """Take over the runs and experiments of a bundle, all or nothing, or another tool's result.

    `runs` and `experiments` are the ids that are new here; `known` runs were here already. 409
    where an id has another content here, and while a run is measured. `holds` are all experiments
    of a bundle, and its runs that are no arm of them. `peers` are results of other tools: those of
    a bundle that are new, or that of a file of k6, Locust, oha, hey, wrk, wrk2 or vegeta, or a log
    of HdrHistogram; `kind` says which, if it is not to be guessed, `unit` what such a log counts.
    """
    told = told_of_file(query.name, query.kind, query.unit, query.title)
    with tempfile.NamedTemporaryFile(prefix="looplab-upload-") as file:
        async for chunk in request.stream():
            await asyncio.to_thread(file.write, chunk)
        file.flush()
        imported = await service.import_file(FilePath(file.name), told)
    return asdict(imported)


@router.get("/runs/{run_id}", summary="Show a run")
def run(run_id: RunId, store: StoreDep, service: RunServiceDep) -> Document:
    """Return the run with its trials, and its progress while it is not over."""
    found = store.run(run_id)
    return run_document(found, service.progress(run_id), service.hints(found))


@router.patch("/runs/{run_id}", summary="Change title, tags or note of a run")
def change(run_id: RunId, changes: RunChanges, store: StoreDep, service: RunServiceDep) -> Document:
    """Change title, tags or note of a run, in any state; its numbers never change."""
    changed = store.edit(run_id, **changes.model_dump(exclude_unset=True))
    return run_document(changed, service.progress(run_id), service.hints(changed))


@router.delete("/runs/{run_id}", status_code=204, summary="Delete a run")
def delete(run_id: RunId, store: StoreDep) -> None:
    """Take a run that is over out of every list; for a week it can be restored."""
    store.delete([run_id])


@router.post("/runs/{run_id}/restore", summary="Restore a deleted run")
def restore(run_id: RunId, store: StoreDep) -> Document:
    """Put back a run that was deleted; the secrets that it alone had are gone."""
    store.put_back_run(run_id)
    return run_document(store.run(run_id), None)


@router.post("/runs/{run_id}/cancel", summary="Cancel a run")
async def cancel(run_id: RunId, service: RunServiceDep) -> Document:
    """End a run that is not over; its processes are gone when this answers."""
    return run_document(await service.cancel(run_id), None)


@router.get("/runs/{run_id}/gauges", summary="Show what was sampled beside the trials of a run")
def gauges(run_id: RunId, store: StoreDep) -> dict[str, Any]:
    """The first trial seen from outside and inside, and under `trials` each of them."""
    trials = [asdict(trial) for trial in store.gauges(run_id)]
    none: dict[str, Any] = {"interval_s": None, "processes": [], "workers": [], "stalls": []}
    return {**(trials[0] if trials else none), "trials": trials}


class ServedBody(BaseModel):
    """What serves here in the place of a target of theirs: an application, or a running server."""

    model_config = ConfigDict(extra="forbid", strict=True)

    application: Annotated[str, Field(max_length=300)] = ""
    url: Annotated[str, Field(max_length=300)] = ""


class RepeatBody(BaseModel):
    """How an imported result is repeated; `serve` by the names of their targets."""

    model_config = ConfigDict(extra="forbid", strict=True)

    serve: Annotated[dict[str, ServedBody], Field(max_length=64)] = {}
    start: bool = False


@repeats.post("/repeats/{subject}", summary="Repeat an imported result")
def repeat(
    subject: Annotated[str, Path(max_length=20)],
    store: StoreDep,
    service: RunServiceDep,
    body: RepeatBody | None = None,
    key: IdempotencyKey = None,
) -> Document:
    """Tell what repeating an imported run or experiment would start here; `start` starts it.

    `commands` are those of this Looplab's settings; of theirs nothing is started. `missing` says
    what is not known here: `serve` says what serves it. `started` is null, or the id with the page
    on which it stands beside theirs. 409 for what was measured here; 422 with `start` while
    something is missing.
    """
    asked = body or RepeatBody()
    served = chosen_here({name: each.model_dump() for name, each in asked.serve.items()})
    planned = planned_repeat(store, service, subject, served)
    made = start_repeat(store, service, subject, served, key) if asked.start else None
    return repeat_document(planned, made)


class PinBody(BaseModel):
    """What is to be pinned, a run or an experiment, and the name that it is kept under."""

    model_config = ConfigDict(extra="forbid", strict=True)

    id: Annotated[str, Field(max_length=20)]
    name: str


@pinned.get("/pins", summary="List the pinned baselines")
def pins(store: StoreDep) -> Document:
    """Return the pinned baselines, the last first; `run` is the baseline of an experiment."""
    return {"pins": [_pin_document(pin) for pin in store.pins()]}


@pinned.post("/pins", status_code=201, summary="Pin a run or an experiment")
def pin(body: PinBody, store: StoreDep) -> Document:
    """Keep a run or an experiment under a name, from deletion too, as a baseline of its workload.

    409 for what has no valid result; 422 for a name that another has for the same application and
    workload.
    """
    return _pin_document(store.pin(body.id, body.name))


@pinned.delete("/pins/{subject_id}", status_code=204, summary="Unpin a run or an experiment")
def unpin(subject_id: Annotated[str, Path(max_length=20)], store: StoreDep) -> None:
    """Let a pinned run or experiment be like any other."""
    store.unpin(subject_id)


def _pin_document(pin: Pin) -> Document:
    return {
        "id": pin.subject_id,
        "name": pin.name,
        "application": pin.application,
        "workload": pin.workload,
        "run": pin.run_id,
        "experiment": pin.experiment_id,
        "title": pin.title,
        "measured_at": moment(pin.measured_at),
        "pinned_at": moment(pin.pinned_at),
        "url": experiment_address(pin.experiment_id)
        if pin.experiment_id
        else run_address(pin.run_id),
    }


@peers.get("/peers", summary="List results of other tools")
def peer_results(store: StoreDep) -> Document:
    """List the results of other tools, newest first, without the course of their streams."""
    found = [tool_result_document(result) for result in store.tool_results()]
    for stream in (stream for document in found for stream in document["streams"]):
        del stream["seconds"], stream["has_samples"]
    return {"peers": found}


@peers.get("/peers/compare", summary="Compare results of other tools and runs")
def compared_peers(
    store: StoreDep,
    results: Annotated[str, Query(max_length=200, description="1 to 12 ids, by commas")],
    *,
    anyway: Annotated[bool, Query(description="One machine measured all: give ratios.")] = False,
) -> Document:
    """Set results of other tools and runs side by side; nothing has an interval or a verdict.

    `values`, `ratios` to the first and `texts` by id. A ratio needs the same clock on both sides.
    """
    ids, _ = compared_ids(results, None)
    found = {peer_id: store.tool_result(peer_id) for peer_id in store.tool_result_ids(ids)}
    return measured_document(measured_sides(ids, found, store.detail), ratios=anyway)


@peers.get("/peers/{peer_id}", summary="Show a result of another tool")
def peer_result(peer_id: ToolResultId, store: StoreDep) -> Document:
    """Return a result of another tool as its file tells it; nobody judged it."""
    return tool_result_document(store.tool_result(peer_id))


@peers.delete("/peers/{peer_id}", status_code=204, summary="Delete a result of another tool")
def delete_tool_result(peer_id: ToolResultId, store: StoreDep) -> None:
    """Delete a result of another tool for good; its file can be imported again."""
    store.delete_tool_result(peer_id)


@comparisons.get("/compare", summary="Compare runs")
def comparison(
    store: StoreDep,
    runs: Annotated[str, Query(max_length=200, description="2 to 12 run ids, by commas")],
    baseline: Annotated[str | None, Query(max_length=10)] = None,
) -> Document:
    """A ratio is always contender over baseline; null where there is none.

    `rows[].stream` is the name of a stream. Where each run has only one, of whatever name, they
    are set against each other under the baseline's name, and `runs[].streams[].name` keeps the
    run's own: take the only stream of each run there. `rows[].verdicts` has the ratio over
    sessions with its intervals, where both specs were measured in three of them; they hold for
    all runs of the `family` at once, and only that whose `role` is `primary` decides. `sessions`
    counts them. `deleted` names the runs that were deleted: the others stand, the first of them as
    the baseline where that was deleted. Of arms of one experiment numbers are means over its
    blocks without those set aside, and verdicts those of the experiment, of the method `blocks`.
    """
    standing = store.standing(*compared_ids(runs, baseline))
    made = compared_now(store, standing.ids, standing.baseline, deleted=standing.deleted)
    return described_comparison(made.called(store.pinned(standing.ids)))

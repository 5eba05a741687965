"""Experiments: the list of those that were handed in, and the page of one."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from secrets import token_urlsafe
from typing import Annotated, ClassVar

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from control_plane.analysis.charts.curve import curves_of_arms
from control_plane.analysis.charts.figure import Table
from control_plane.analysis.charts.percentiles import percentile_chart
from control_plane.analysis.deciding.judged_experiment import JudgedExperiment
from control_plane.analysis.deciding.noise_floor import floor_documents
from control_plane.analysis.prose import joined
from control_plane.analysis.prose.markdown_and_junit import verdict_text
from control_plane.analysis.prose.run_sentences import arms_elsewhere
from control_plane.analysis.run_labels import arm_labels, called_by_pins, label_runs
from control_plane.dependencies import ExperimentId, RunServiceDep, StoreDep
from control_plane.domain.errors import Conflict, NotFound
from control_plane.domain.experiment import DEFAULT_BLOCKS, BlockVariance, Experiment
from control_plane.domain.ids import compared_ids, experiment_address
from control_plane.domain.run import Pin, Run
from control_plane.domain.spec_json import Document, write_spec
from control_plane.domain.units import share
from control_plane.experiments import noise_experiment
from control_plane.experiments.experiment_file import (
    Variant,
    bundled_experiment,
    stored_document,
)
from control_plane.jobs.confirmations import confirm_experiment
from control_plane.jobs.experiment_job import judged_now
from control_plane.jobs.run_service import RunService
from control_plane.pages.experiment_cards import (
    AnswersDep,
    ExperimentAnswer,
    ExperimentCard,
    beside_theirs,
    experiment_cards,
)
from control_plane.pages.experiment_view import (
    ExperimentCurves,
    ExperimentFragment,
    experiment_part,
)
from control_plane.pages.run.live import LIVE_POLL_S, OVER
from control_plane.pages.site import View
from control_plane.pages.site.templating import NO_STORE, fragment, page, shared_fragment
from control_plane.pages.urls import EXPERIMENTS
from control_plane.store.store import Store

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class ExperimentPage(View):
    """One experiment, while it is measured and after.

    `pin`: it is kept as a baseline. `machine`: another Looplab measured it there; "" for this one.
    `key` is sent with the form that starts it again, once.
    """

    template: ClassVar[str] = "pages/experiment.html"
    experiment: Experiment
    part: ExperimentFragment
    pin: Pin | None
    machine: str = ""
    key: str = field(default_factory=partial(token_urlsafe, 12))


@dataclass(frozen=True)
class FloorLine:
    """How small a difference one metric can show, by numbers of blocks."""

    kind: str
    label: str
    floors: tuple[str, ...]
    experiments: int


def floor_lines(variances: Sequence[BlockVariance]) -> Iterator[FloorLine]:
    """Yield the noise floors of throughput and p99 response time, the others are in the API."""
    for floor in floor_documents(variances):
        if floor["metric"] in {"throughput_per_s", "response_time_s.p99"}:
            shown = tuple(f"±{share(value)}" for value in floor["floors"].values())
            yield FloorLine(floor["kind"], floor["label"], shown, floor["experiments"])


@dataclass(frozen=True)
class ExperimentsPage(View):
    """The newest experiments, each with its sentence, and those that one click starts."""

    template: ClassVar[str] = "pages/experiments.html"
    experiments: tuple[ExperimentAnswer, ...]
    cards: tuple[ExperimentCard, ...]
    example: str
    older: str | None
    floors: tuple[FloorLine, ...]


EXAMPLE = """question = "Is uvloop faster?"
metric = "throughput_per_s"

[spec.workload]
streams = [{ requests = [{ path = "/items/17" }],
             load = { model = "closed", concurrency = 64 },
             stop = { duration_s = 2 } }]

[[arms]]
name = "asyncio"
spec.target.configuration = "uvicorn, 1 worker, asyncio"

[[arms]]
name = "uvloop"
spec.target.configuration = "uvicorn, 1 worker, uvloop"
"""


LISTED = 20


@router.get(EXPERIMENTS)
def experiments(
    request: Request,
    store: StoreDep,
    service: RunServiceDep,
    answers: AnswersDep,
    cursor: Annotated[str, Query(max_length=20)] = "",
) -> HTMLResponse:
    """List the experiments that one click starts, and the newest that were handed in."""
    found, after = store.experiments(LISTED, cursor or None)
    listed = tuple(answers.listed(each, store) for each, _ in found)
    cards = experiment_cards(store, service, answers)
    older = f"{EXPERIMENTS}?cursor={after}" if after else None
    floors = tuple(floor_lines(store.block_variances()))
    return page(request, ExperimentsPage(listed, cards, EXAMPLE, older, floors))


@router.post("/experiments/noise-floor")
def measure_noise(
    service: RunServiceDep, key: Annotated[str, Form(max_length=40)] = ""
) -> RedirectResponse:
    """Start an experiment whose arms are the same, and show it; once for each key."""
    made = service.submit_experiment(noise_experiment(), key=f"{key}.noise" if key else None)
    return RedirectResponse(experiment_address(made.id), 303)


@router.post("/experiments/of-runs")
def decide_runs(
    store: StoreDep,
    service: RunServiceDep,
    runs: Annotated[str, Form(max_length=200)],
    key: Annotated[str, Form(max_length=40)] = "",
) -> RedirectResponse:
    """Measure the specs of these runs again, in turns, and decide over them; once for each key."""
    ids, _ = compared_ids(runs, None)
    found = [store.run(run_id) for run_id in ids]
    given = f"{key}.runs" if key else None
    arms = {
        arm.run_id: arm.name
        for experiment in store.experiments_of(ids).values()
        for arm in experiment.arms
        if arm.run_id
    }
    document = experiment_of_runs(found, {**arms, **store.pinned(ids)})
    made = service.submit_experiment(document, key=given)
    return RedirectResponse(experiment_address(made.id), 303)


def experiment_of_runs(runs: Sequence[Run], names: Mapping[str, str]) -> Document:
    """Return the document of an experiment whose arms have the specs of runs; the first is A.

    `names` by id are those under which runs are pinned, or of the arms that they were: a title
    tells the question as well, and grows each time that a refreshed run is refreshed.
    """
    labels = called_by_pins(label_runs(runs), names)
    common = {"title", "tags", "trials", "seed"}
    arms = [
        {
            "name": label.name,
            "spec": {
                key: value for key, value in write_spec(run.spec).items() if key not in common
            },
        }
        for label, run in zip(labels, runs, strict=True)
    ]
    question = f"How do {joined(label.name for label in labels)} differ?"
    return {"question": question[:200], "arms": arms, "blocks": DEFAULT_BLOCKS}


@router.post("/experiments/{slug}/start")
def start(
    slug: str,
    service: RunServiceDep,
    variant: Annotated[Variant, Form()] = "quick",
    key: Annotated[str, Form(max_length=40)] = "",
) -> RedirectResponse:
    """Start an experiment that comes with Looplab, and show it; once for each key and variant."""
    document = bundled_experiment(slug).document(variant)
    made = service.submit_experiment(document, key=f"{key}.{slug}.{variant}"[:64] if key else None)
    return RedirectResponse(experiment_address(made.id), 303)


@router.post("/experiments/{experiment_id}/again")
def again(
    experiment_id: ExperimentId,
    store: StoreDep,
    service: RunServiceDep,
    key: Annotated[str, Form(max_length=40)] = "",
) -> RedirectResponse:
    """Queue the same experiment once more for each key, and show it.

    A confirmation is one more attempt.
    """
    found = store.experiment(experiment_id)
    if found.design.confirms:
        return confirm(experiment_id, store, service, None, key)
    document = stored_document(found, store.arm_runs(found))
    if document is None:
        raise Conflict("The baseline of this experiment, or all else, was deleted.")
    given = f"{experiment_id}.{key}.again" if key else None
    made = service.submit_experiment(document, key=given)
    return RedirectResponse(experiment_address(made.id), 303)


@router.get("/experiments/{experiment_id}")
def experiment(
    request: Request, experiment_id: ExperimentId, store: StoreDep, service: RunServiceDep
) -> HTMLResponse:
    """Show an experiment as far as it is."""
    return page(request, experiment_page(store, service, experiment_id))


def experiment_page(store: Store, service: RunService, experiment_id: str) -> ExperimentPage:
    """Return the page of an experiment. Raises NotFound."""
    judged = judged_now(store, experiment_id)
    found = judged.experiment
    part = _part(judged, store, service)
    machine = next((run.origin.machine for run in judged.runs if run and run.origin), "")
    return ExperimentPage(found, part, store.pin_of(found.id), machine)


@router.get("/experiments/{experiment_id}/live")
async def live(
    request: Request, experiment_id: ExperimentId, store: StoreDep, service: RunServiceDep
) -> Response:
    """Return what changed; once the experiment is over or pauses the page is told to load it."""

    def changed() -> ExperimentFragment | None:
        part = current_part(store, service, experiment_id)
        return part if part.waiting else None

    body = await shared_fragment(request, LIVE_POLL_S, changed)
    return HTMLResponse(body, headers=NO_STORE) if body else Response(status_code=204, headers=OVER)


@router.get("/experiments/{experiment_id}/percentiles")
def percentiles(request: Request, experiment_id: ExperimentId, store: StoreDep) -> HTMLResponse:
    """Return the percentiles of every arm with bands over blocks."""
    found = store.experiment(experiment_id)
    return fragment(request, experiment_curves(store, found, store.arm_runs(found)))


def experiment_curves(
    store: Store, found: Experiment, runs: Sequence[Run | None], stored: str | None = None
) -> ExperimentCurves:
    """Return the part of the page that is asked for once the page stands; `runs` of its arms.

    `stored`: the name of its stream in the database, where that is hidden here.
    """
    blocks = store.block_histograms(found, found.design.stream if stored is None else stored)
    figure = percentile_chart(curves_of_arms(runs, arm_labels(found), blocks, found))
    return ExperimentCurves(figure)


def experiment_grid(found: Document) -> Table:
    """Return a table for a spreadsheet, with a row for each metric and contender."""
    columns = (
        "metric", "role", "baseline", "arm", "unit", "baseline_value", "arm_value", "ratio",
        "low_95", "high_95", "verdict", "validity", "baseline_validity", "told",
    )  # fmt: skip
    validity = {run["arm"]: run["validity"] or run["state"] for run in found["runs"]}
    rows = (
        (
            each["metric"], each["role"], each["baseline"], each["contender"], each["unit"],
            *each["values"], each["ratio"], each["low"], each["high"], each["verdict"],
            validity[each["contender"]], validity[each["baseline"]], verdict_text(each),
        )
        for each in found["verdicts"]
    )  # fmt: skip
    return Table(columns, tuple(rows))


@router.post("/experiments/{experiment_id}/cancel")
async def cancel(experiment_id: ExperimentId, service: RunServiceDep) -> RedirectResponse:
    """Cancel an experiment; one that ended in the meantime shows its result."""
    with suppress(Conflict):
        await service.cancel_experiment(experiment_id)
    return RedirectResponse(experiment_address(experiment_id), 303)


@router.post("/experiments/{experiment_id}/pause")
async def pause(experiment_id: ExperimentId, service: RunServiceDep) -> RedirectResponse:
    """Pause an experiment; one that ended in the meantime shows its result."""
    with suppress(Conflict):
        await service.pause_experiment(experiment_id)
    return RedirectResponse(experiment_address(experiment_id), 303)


@router.post("/experiments/{experiment_id}/resume")
def resume(experiment_id: ExperimentId, service: RunServiceDep) -> RedirectResponse:
    """Let a paused experiment go on; one that goes on already is shown."""
    with suppress(Conflict):
        service.resume_experiment(experiment_id)
    return RedirectResponse(experiment_address(experiment_id), 303)


@router.post("/experiments/{experiment_id}/confirm")
def confirm(
    experiment_id: ExperimentId,
    store: StoreDep,
    service: RunServiceDep,
    blocks: Annotated[int | None, Form()] = None,
    key: Annotated[str, Form(max_length=40)] = "",
) -> RedirectResponse:
    """Measure an experiment anew on fresh blocks, and show it; once for each key."""
    made = confirm_experiment(store, service, experiment_id, blocks, key or None)
    return RedirectResponse(experiment_address(made.id), 303)


def current_part(store: Store, service: RunService, experiment_id: str) -> ExperimentFragment:
    """Return what the page shows of an experiment now. Raises NotFound."""
    return _part(judged_now(store, experiment_id), store, service)


def _part(judged: JudgedExperiment, store: Store, service: RunService) -> ExperimentFragment:
    most = service.limits.max_trials - 1
    part = experiment_part(judged, service.hints, service.expected_seconds, most)
    specs = [run.spec for run in judged.runs if run and not run.origin]
    blocks = max(judged.experiment.design.blocks, part.offer.blocks if part.offer else 0)
    part = replace(part, elsewhere=arms_elsewhere(specs, blocks))
    with suppress(NotFound):
        if theirs := judged.experiment.design.repeats:
            return replace(part, beside=beside_theirs(judged, judged_now(store, theirs)))
    return part

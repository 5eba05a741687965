"""Experiments and trends: hand in, read with verdicts, list, pause, cancel; change steps."""

import asyncio
from typing import Annotated, Literal

from fastapi import Query, Response
from pydantic import BaseModel, ConfigDict, Field

from control_plane.analysis.deciding.noise_floor import floor_documents
from control_plane.analysis.prose.experiment_and_trend_json import (
    experiment_document,
    trend_document,
    trend_list_document,
)
from control_plane.api.runs import IdempotencyKey, PageLimit, SpecBody
from control_plane.dependencies import (
    ExperimentId,
    RunServiceDep,
    StoreDep,
    TrendListQueryDep,
    TrendQueryDep,
    TrendSpec,
    api_router,
    change_step,
    read_trend,
    tell_trend,
)
from control_plane.domain.api_documents import moment
from control_plane.domain.ids import experiment_address
from control_plane.domain.run import state_of_arms
from control_plane.domain.spec_json import Document
from control_plane.domain.trend_runs import StepChange
from control_plane.experiments.experiment_file import (
    Variant,
    bundled_documents,
    bundled_experiment,
)
from control_plane.jobs.confirmations import confirm_experiment, confirmation_document
from control_plane.jobs.experiment_job import judged_now
from control_plane.jobs.progress_and_expected_time import experiment_left_s
from control_plane.jobs.run_service import RunService
from control_plane.store.store import Store

router = api_router("experiments")
trends = api_router("trends")


@router.post("/experiments", status_code=202, summary="Queue an experiment of your own")
def submit(
    document: SpecBody, service: RunServiceDep, response: Response, key: IdempotencyKey = None
) -> Document:
    """Queue an experiment: a run for each arm, whose trials are interleaved in blocks.

    The same Idempotency-Key with the same body gives the same response. `elsewhere` says which
    other machines get load, and how much at most; empty where it stays here.
    """
    made = service.submit_experiment(document, key=key)
    response.headers["Location"] = f"/api/experiments/runs/{made.id}"
    elsewhere = list(service.experiment_elsewhere(document))
    return {"id": made.id, "url": experiment_address(made.id), "elsewhere": elsewhere}


@router.get("/experiments", summary="List the experiments that come with Looplab")
def bundled(service: RunServiceDep) -> list[Document]:
    """Return the experiments that come with Looplab, and how long each variant takes here.

    `seconds` is null, and `refusal` says why, where one cannot be measured here.
    """
    return bundled_documents(service.seconds_of_experiments)


class VariantBody(BaseModel):
    """Which variant is to be started."""

    model_config = ConfigDict(extra="forbid")

    variant: Variant = "quick"


@router.post(
    "/experiments/{slug}/start",
    status_code=202,
    summary="Queue an experiment that comes with Looplab",
)
def start(
    slug: str, body: VariantBody, service: RunServiceDep, key: IdempotencyKey = None
) -> Document:
    """Queue an experiment that comes with Looplab.

    The same Idempotency-Key with the same variant gives the same response.
    """
    made = service.submit_experiment(bundled_experiment(slug).document(body.variant), key=key)
    return {"id": made.id, "url": experiment_address(made.id)}


@router.get("/experiments/runs", summary="List experiments")
def experiments(
    store: StoreDep,
    limit: Annotated[PageLimit, Query()] = 50,
    cursor: Annotated[str | None, Query(max_length=20)] = None,
) -> Document:
    """Return the newest experiments, without their verdicts; `next` is the next page's cursor."""
    found, after = store.experiments(limit, cursor)
    listed = [
        {
            "id": each.id,
            "question": each.question,
            "state": state_of_arms(states).value,
            "created_at": moment(each.created_at),
            "sentence": each.sentence,
            "url": experiment_address(each.id),
        }
        for each, states in found
    ]
    return {"experiments": listed, "next": after}


@router.get("/experiments/runs/{experiment_id}", summary="Show an experiment")
def experiment(experiment_id: ExperimentId, store: StoreDep, service: RunServiceDep) -> Document:
    """Return an experiment with what its complete blocks say.

    `remaining_s` is how long it still takes, null once it is over. `doubts` of an arm are why it is
    suspect or invalid; `told` says a verdict on errors or a prediction in words.
    """
    return _told(store, service, experiment_id)


@router.post("/experiments/runs/{experiment_id}/cancel", summary="Cancel an experiment")
async def cancel(experiment_id: ExperimentId, store: StoreDep, service: RunServiceDep) -> Document:
    """End an experiment that is not over; its complete blocks stay."""
    await service.cancel_experiment(experiment_id)
    return await asyncio.to_thread(_told, store, service, experiment_id)


@router.post("/experiments/runs/{experiment_id}/pause", summary="Pause an experiment")
async def pause(experiment_id: ExperimentId, store: StoreDep, service: RunServiceDep) -> Document:
    """Stop an experiment until it is resumed; its block in progress is discarded and counted."""
    await service.pause_experiment(experiment_id)
    return await asyncio.to_thread(_told, store, service, experiment_id)


@router.post("/experiments/runs/{experiment_id}/resume", summary="Resume an experiment")
def resume(experiment_id: ExperimentId, store: StoreDep, service: RunServiceDep) -> Document:
    """Let a paused experiment go on, behind all that wait, in a session of its own."""
    service.resume_experiment(experiment_id)
    return _told(store, service, experiment_id)


class ConfirmBody(BaseModel):
    """How a confirmation differs from what is offered."""

    model_config = ConfigDict(extra="forbid")

    blocks: Annotated[int, Field(strict=True)] | None = None


@router.get(
    "/experiments/runs/{experiment_id}/confirm", summary="Show what would confirm an experiment"
)
def confirmation(
    experiment_id: ExperimentId,
    store: StoreDep,
    service: RunServiceDep,
    blocks: Annotated[int | None, Query()] = None,
) -> Document:
    """Return the document of what a confirmation would measure; nothing is queued.

    It can be handed in as it is.
    """
    return confirmation_document(store, service, experiment_id, blocks)


@router.post(
    "/experiments/runs/{experiment_id}/confirm", summary="Queue the confirmation of an experiment"
)
def confirm(
    experiment_id: ExperimentId,
    store: StoreDep,
    service: RunServiceDep,
    body: ConfirmBody | None = None,
    key: IdempotencyKey = None,
) -> Document:
    """Queue an experiment that measures this one anew, and return it: its blocks alone decide.

    All arms, or of more than six the baseline and the winner. `blocks` is its own maximum; as many
    as would settle it where none is named. The same Idempotency-Key gives the same one.
    `elsewhere` says which other machines get load, and how much at most; empty where it stays here.
    """
    blocks = body.blocks if body else None
    made = confirm_experiment(store, service, experiment_id, blocks, key)
    document = confirmation_document(store, service, experiment_id, blocks)
    elsewhere = list(service.experiment_elsewhere(document))
    return {**_told(store, service, made.id), "elsewhere": elsewhere}


def _told(store: Store, service: RunService, experiment_id: str) -> Document:
    judged = judged_now(store, experiment_id)
    left_s = experiment_left_s(judged, service.expected_seconds)
    return {**experiment_document(judged), "remaining_s": left_s}


@router.get("/noise-floor", summary="List the noise floors")
def noise_floors(store: StoreDep) -> Document:
    """Return how small a difference each machine can show, by kind of load and metric."""
    return {"noise_floors": floor_documents(store.block_variances())}


@trends.get("/trends", summary="List trends")
def listed_trends(store: StoreDep, query: TrendListQueryDep) -> Document:
    """Return the specs of which ten valid runs or more are here, the last measured first.

    `left_out` counts the runs that make none: suspect ones of so many specs, and imported ones.
    """
    listed = store.trends(**query.model_dump())
    return trend_list_document(listed, store.left_out_of_trends(suspect=query.suspect))


@trends.get("/trends/{spec}", summary="Show a trend")
def trend(spec: TrendSpec, store: StoreDep, query: TrendQueryDep) -> Document:
    """Return the points of a trend, its steps, and what changed around the application.

    A step lies between the runs `after` and `before`, most likely before `run`; `levels` are those
    on its sides. `alarm` is the last found step where it is worse beyond the margin and untold.
    `left_out` counts runs that are no points.
    """
    return trend_document(read_trend(store, spec, query))


@trends.post("/trends/{spec}/told", summary="Keep that the alarm of a trend was told")
def told_trend(spec: TrendSpec, store: StoreDep, query: TrendQueryDep) -> Document:
    """Return the trend, and keep that its alarm was told: each step raises one alarm."""
    return tell_trend(store, spec, query)


class StepBody(BaseModel):
    """What is done to a step of a trend, which stands before `run`.

    `add` makes one before `to`, `move` puts it there; `note` replaces its note, `reject` takes it
    away, `restore` puts it back where it was found, `forget` drops one that was added. `origin`
    (found, moved, added) tells two at one place apart.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    do: Literal["add", "move", "reject", "note", "restore", "forget"]
    run: Annotated[str, Field(max_length=20)] = ""
    origin: Annotated[str, Field(max_length=20)] = ""
    to: Annotated[str, Field(max_length=20)] = ""
    note: str = ""


@trends.post("/trends/{spec}/steps", summary="Change a step of a trend")
def change_trend_step(
    spec: TrendSpec, body: StepBody, store: StoreDep, query: TrendQueryDep
) -> Document:
    """Add, move, reject, annotate, restore or forget a step, as on the page; return the trend.

    What is done holds for the metric, stream, baseline and machine of the query. 422 at the field
    for a run before which no step stands, or before which one cannot stand, and to forget one that
    nobody added; 409 for too many.
    """
    change_step(store, spec, query, StepChange(**body.model_dump()))
    return trend_document(read_trend(store, spec, query))

"""POST /runs/new/offer and /runs/new/picked: request classes from an OpenAPI document."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from control_plane.access.http_errors import status_of
from control_plane.domain.application_report import Operation
from control_plane.domain.errors import Conflict, InvalidInput
from control_plane.domain.spec import BUNDLED
from control_plane.domain.spec_json import Document
from control_plane.jobs.run_service import RunService
from control_plane.pages.form.field_messages import field_message
from control_plane.pages.form.form_data import FormData, FormDep, idempotency_key
from control_plane.pages.form.from_spec import request_fields
from control_plane.pages.form.list_edits import without_list
from control_plane.pages.new_run.new_run_view import new_run_page, with_default_values
from control_plane.pages.new_run.openapi_picker import openapi_key, picked_operations
from control_plane.pages.new_run.routes import form_page
from control_plane.pages.site.dependencies import RunServiceDep

router = APIRouter()

MOST_REQUESTS = 100


@router.post("/runs/new/offer")
async def offer(request: Request, form: FormDep, service: RunServiceDep) -> Response:
    """Read the document, and show the form with what it lists."""
    wrong, status = {}, 200
    try:
        await service.read_openapi(_target(form, service))
    except (Conflict, InvalidInput) as error:
        wrong, status = {"picking": _said(form, error)}, status_of(error)
    return await run_in_threadpool(_page, request, _picking(form), service, (wrong, status))


@router.post("/runs/new/picked")
def pick(request: Request, form: FormDep, service: RunServiceDep) -> Response:
    """The ticked operations as request classes; those that write only with their own tick."""
    operations = picked_operations(form, service.openapi_cache.entries.get(openapi_key(form)))
    wrong = _refused(form, operations)
    if wrong:
        return _page(request, _picking(form), service, (wrong, 422))
    return _page(request, with_default_values(_with(form, operations)), service, ({}, 200))


Outcome = tuple[Mapping[str, str], int]
"""Messages by field, and the status of the answer."""


def _page(request: Request, form: FormData, service: RunService, outcome: Outcome) -> Response:
    wrong, status = outcome
    shown = new_run_page(form, service, idempotency_key(form), told=False)
    return form_page(request, replace(shown, wrong=dict(wrong)), status)


def _said(form: FormData, error: Conflict | InvalidInput) -> str:
    fields = error.fields if isinstance(error, InvalidInput) else ()
    return field_message(form, fields[0]) if fields else str(error)


def _picking(form: FormData) -> FormData:
    """With the list open."""
    return FormData({**form.values, "picking": ("on",)})


def _target(form: FormData, service: RunService) -> Document:
    """What the form chooses, by whichever server."""
    chosen = form.text("target", BUNDLED)
    if chosen == "url":
        return {"url": form.text("target.url")}
    by_command = any(one.name == chosen and one.command for one in service.applications())
    return {"application": chosen} | ({"server": "command"} if by_command else {})


def _refused(form: FormData, operations: Sequence[Operation]) -> dict[str, str]:
    if not operations:
        return {"pick": "Tick at least one of the list. If it was read for another, read it again."}
    writing = next((one.key for one in operations if one.writes), None)
    if writing and not form.has("pick.writes", "on"):
        message = f"Load on {writing} will write to its database: tick that here, or untick it."
        return {"pick.writes": message}
    return {}


def _with(form: FormData, operations: Sequence[Operation]) -> FormData:
    """Added to the stream that is named, or in the place of its request classes."""
    stream = form.text("pick.stream", "0")
    named = stream if stream in {str(one) for one in form.indices("workload.streams")} else "0"
    prefix = f"workload.streams.{named}.requests"
    values = {name: texts for name, texts in form.values.items() if not name.startswith("pick")}
    first = 0
    if form.text("how") == "replace":
        values = without_list(values, prefix)
    else:
        first = max(form.indices(prefix), default=-1) + 1
    return FormData({**values, **dict(_fields(prefix, first, operations))})


def _fields(
    prefix: str, first: int, operations: Sequence[Operation]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    for index, one in enumerate(operations[:MOST_REQUESTS], first):
        if one.request is not None:
            yield from request_fields(f"{prefix}.{index}", one.request)

"""The routes of the form: write a run, see what it costs, start it."""

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, Field

from control_plane.access.http_errors import status_of
from control_plane.analysis.causes import Remedy, remedies
from control_plane.analysis.prose.run_sentences import load_elsewhere
from control_plane.dependencies import RunServiceDep, StoreDep
from control_plane.domain.errors import Conflict, InvalidInput, LooplabError, QueueFull
from control_plane.domain.ids import checked_id, experiment_address
from control_plane.domain.run import Run
from control_plane.domain.spec import BUNDLED, Spec
from control_plane.domain.spec_json import Document, read_document, write_spec
from control_plane.experiments import endpoint, preset_catalogue
from control_plane.experiments.pasted_requests import read_pasted
from control_plane.jobs.run_service import RunService
from control_plane.jobs.smoke_test import TriedTarget
from control_plane.jobs.submissions import title_of
from control_plane.pages.form import (
    FormData,
    FormDep,
    apply_edit,
    idempotency_key,
    new_idempotency_key,
    redirect_to_runs,
    unless_left,
)
from control_plane.pages.form.fields import field_message
from control_plane.pages.form.from_spec import form_from_spec, fully_shown
from control_plane.pages.form.to_spec import check_form
from control_plane.pages.new_run.new_run_view import (
    ASKS_ELSEWHERE,
    SPEC_ASKS_ELSEWHERE,
    NewRunPage,
    Notice,
    new_run_page,
    offer_of,
    openapi_target,
    picked_operations,
    plan_update,
    pretty_json,
    refused_picks,
    spec_errors_of,
    with_default_values,
    with_open_list,
    with_pasted,
    with_picked,
)
from control_plane.pages.new_run.preview import plan_elsewhere, with_check_result
from control_plane.pages.site.templating import fragment, page
from control_plane.pages.urls import NEW_RUN

router = APIRouter(include_in_schema=False)

FIRST_PRESET = "items"
"""What a form begins with that names nothing."""

CHANGE = "Did my change make it slower?"
"""What is asked of two applications of which one is the other after a change."""

KEPT = {"Cache-Control": "private, no-cache"}
"""What was typed is still there after Back, also where the form was the answer to a POST."""


QueryText = Annotated[str, Field(max_length=100)]


class NewRunQuery(BaseModel):
    """What the form begins with: a run that exists, an endpoint of a workload or a preset, with a
    configuration ticked, or an application of the settings, in turns with another one."""

    preset: QueryText = ""
    run: QueryText = Field("", alias="from")
    remedy: QueryText = Field("", alias="try")
    endpoint: QueryText = ""
    configuration: QueryText = ""
    application: QueryText = ""
    against: QueryText = ""


@router.get(NEW_RUN)
def new_run(
    request: Request,
    store: StoreDep,
    service: RunServiceDep,
    query: Annotated[NewRunQuery, Query()],
) -> Response:
    if query.run:
        run = store.run(checked_id(query.run))
        return _response(request, _from_run(run, query.remedy, service))
    query = _offered(query, service)
    form = _first_form(query, service)
    preset = "" if query.endpoint or query.application else query.preset or FIRST_PRESET
    shown = new_run_page(form, service, new_idempotency_key())
    return _response(request, replace(shown, preset=preset))


@router.get("/new", include_in_schema=False)
def guessed() -> RedirectResponse:
    return RedirectResponse(NEW_RUN, 308)


@router.post(NEW_RUN)
async def check(request: Request, form: FormDep, service: RunServiceDep) -> Response:
    """Show the same form with what is wrong at its fields, or what its requests meet.

    A button may have changed it.
    """
    form = await run_in_threadpool(_completed, form, service)
    edited = apply_edit(form, form.text("change"))
    whole = with_default_values(edited)
    answer = await _tried(request, whole, service) if edited is form else None
    shown = await run_in_threadpool(
        new_run_page, whole, service, idempotency_key(form), show_errors=edited is form
    )
    if answer is not None:
        shown = replace(shown, plan=with_check_result(shown.plan, *answer))
    return await run_in_threadpool(_response, request, shown)


async def _tried(
    request: Request, form: FormData, service: RunService
) -> tuple[tuple[TriedTarget, ...], str] | None:
    """Return what the requests of a form met, and why they were not sent; None where it is wrong.

    What is learned of an application on the way shows on the page that is made after.
    """
    read = await run_in_threadpool(check_form, form, service)
    if read.messages:
        return None
    try:
        tried = service.try_requests(read.documents, idempotency_key(form))
        return await unless_left(request, tried), ""
    except (Conflict, InvalidInput) as error:
        return (), str(error)


@router.post("/runs/new/plan")
def plan(request: Request, form: FormDep, service: RunServiceDep) -> Response:
    return fragment(request, plan_update(form, service))


@router.post("/runs")
def start(request: Request, form: FormDep, service: RunServiceDep) -> Response:
    """Start the run of a form, or an experiment over its arms, or each as a run; then show it."""
    whole = _completed(form, service)
    read = check_form(whole, service)
    if read.messages:
        return _response(request, new_run_page(whole, service, idempotency_key(form)), 422)
    if plan_elsewhere(read) != _agreed(form):
        shown = new_run_page(whole, service, idempotency_key(form))
        return _response(request, replace(shown, notice=ASKS_ELSEWHERE), 409)
    try:
        if read.experiment is not None:
            key = idempotency_key(form)
            made = service.submit_experiment(read.experiment, key=key)
            return RedirectResponse(experiment_address(made.id), 303)
        return redirect_to_runs(service.submit(read.documents, key=idempotency_key(form)))
    except (Conflict, QueueFull) as error:
        shown = new_run_page(whole, service, new_idempotency_key())
        return _response(request, replace(shown, notice=_notice(error)), status_of(error))


@router.post("/runs/spec")
def start_spec(request: Request, form: FormDep, service: RunServiceDep) -> Response:
    """Start a run from the JSON of its spec."""
    text = form.text("spec")
    try:
        document = read_document(text)
        if (elsewhere := load_elsewhere([service.check(document)])) != _agreed(form):
            shown = new_run_page(_preset_form("items", service), service, new_idempotency_key())
            asked = replace(shown, spec_text=text, spec_elsewhere=elsewhere)
            return _response(request, replace(asked, notice=SPEC_ASKS_ELSEWHERE), 409)
        return redirect_to_runs(service.submit([document], key=idempotency_key(form)))
    except (InvalidInput, Conflict, QueueFull) as error:
        shown = new_run_page(_preset_form("items", service), service, new_idempotency_key())
        refused = replace(shown, spec_text=text, spec_errors=spec_errors_of(error))
        return _response(request, refused, status_of(error))


def _agreed(form: FormData) -> tuple[str, ...]:
    """Return what the page said of load on other machines when its button was pressed."""
    return tuple(form.text("agreed").splitlines())


@router.post("/runs/new/offer")
async def read_offer(request: Request, form: FormDep, service: RunServiceDep) -> Response:
    """Read the OpenAPI document, and show the form with the operations that it lists."""
    wrong: dict[str, str] = {}
    status = 200
    try:
        reading = service.read_openapi(openapi_target(form, service), idempotency_key(form))
        await unless_left(request, reading)
    except (Conflict, InvalidInput) as error:
        fields = error.fields if isinstance(error, InvalidInput) else ()
        wrong = {"picking": field_message(form, fields[0]) if fields else str(error)}
        status = status_of(error)
    shown = with_open_list(form)
    return await run_in_threadpool(_unchecked, request, shown, service, wrong, status)


@router.post("/runs/new/picked")
def pick(request: Request, form: FormDep, service: RunServiceDep) -> Response:
    """Show the ticked operations as request classes; those that write only with their own tick."""
    operations = picked_operations(form, offer_of(form, service))
    wrong = refused_picks(form, operations)
    if wrong:
        return _unchecked(request, with_open_list(form), service, wrong, 422)
    return _unchecked(request, with_default_values(with_picked(form, operations)), service, {})


@router.post("/runs/new/pasted")
def paste(request: Request, form: FormDep, service: RunServiceDep) -> Response:
    """Show what was pasted, curl commands or a HAR file, as request classes."""
    try:
        pasted = read_pasted(form.text("paste"))
    except InvalidInput as error:
        return _unchecked(request, form, service, {"paste": error.fields[0].message}, 422)
    filled = with_default_values(with_pasted(form, pasted, service))
    shown = new_run_page(filled, service, idempotency_key(form), show_errors=False)
    count = len(pasted.requests)
    title = f"{count} request class{'es' if count > 1 else ''} of {pasted.origin}"
    notice = Notice(title, " ".join(pasted.notes) or "Nothing was left out.", plain=True)
    return _response(request, replace(shown, notice=notice))


def _unchecked(
    request: Request,
    form: FormData,
    service: RunService,
    wrong: dict[str, str],
    status: int = 200,
) -> Response:
    """Show the form with these messages by field, and none for what its other fields say."""
    shown = new_run_page(form, service, idempotency_key(form), show_errors=False)
    return _response(request, replace(shown, wrong=wrong), status)


def _response(request: Request, shown: NewRunPage, status: int = 200) -> Response:
    response = page(request, shown, status)
    response.headers.update(KEPT)
    return response


def _completed(form: FormData, service: RunService) -> FormData:
    """Fill in the short form of the home page, which names the preset of its other fields."""
    preset = form.text("preset")
    if not preset:
        return form
    application = form.text("target", BUNDLED)
    chosen = {} if application == BUNDLED else _application_fields(application, service)
    return FormData({**_preset_form(preset, service).values, **chosen, **form.values})


def _offered(query: NewRunQuery, service: RunService) -> NewRunQuery:
    """Return a query that names nothing with the first application of the settings, if any."""
    first = next(iter(service.applications()), None)
    named = (query.preset, query.endpoint, query.configuration, query.application)
    if first is None or any(named):
        return query
    return query.model_copy(update={"application": first.name})


def _first_form(query: NewRunQuery, service: RunService) -> FormData:
    """Return the form of an endpoint or a preset, with what else the query names."""
    if query.endpoint:
        form = _document_form(endpoint(query.endpoint).document, service)
    else:
        form = _preset_form(query.preset or FIRST_PRESET, service)
    chosen: dict[str, tuple[str, ...]] = {}
    if query.configuration:
        chosen |= {"target": (BUNDLED,), "target.configuration": (query.configuration,)}
    if query.application:
        chosen |= _application_fields(query.application, service)
    if query.application and query.against:
        chosen |= {
            "title": (CHANGE,),
            "vary.0.field": ("target.application",),
            "vary.0.values": (f"{query.application}, {query.against}",),
        }
    return FormData({**form.values, **chosen})


def _application_fields(name: str, service: RunService) -> dict[str, tuple[str, ...]]:
    """Return a request that it answers, by what its environment has. Raises NotFound."""
    path = service.openapi_cache.first_request(service.application(name))
    stream = "workload.streams.0"
    return {
        "target": (name,),
        "target.configuration": (),
        f"{stream}.name": (name,),
        f"{stream}.requests.0.path": (path,),
        f"{stream}.requests.0.method": ("GET",),
    }


def _preset_form(name: str, service: RunService) -> FormData:
    return _document_form(preset_catalogue().preset(name).document, service)


def _document_form(document: Document, service: RunService) -> FormData:
    draft = service.submissions.resolve(document)
    return form_from_spec(
        _untitled(draft.spec, draft.name), service.configurations.all(), draft.name
    )


def _from_run(run: Run, remedy: str, service: RunService) -> NewRunPage:
    """Return the form of a run; a remedy that it does not ask for any more changes nothing."""
    spec, notice = _untitled(run.spec, run.configuration), None
    for known in remedies(spec, run.causes, service.limits):
        if known.key == remedy:
            title = f"One change to run {run.id}: {known.label}"
            notice = Notice(title, "Everything else is as it was.", plain=True)
            spec = _retitled(known)
    form = form_from_spec(spec, service.configurations.all(), run.configuration)
    shown = new_run_page(form, service, new_idempotency_key())
    if fully_shown(spec):
        return replace(shown, notice=notice)
    text = (
        "The form has no fields for cores by number, and keeps no blanks at the ends of a text and "
        "no line break in a text of one line. The spec below the form says all of it."
    )
    notice = Notice("This run says more than the form can", text)
    return replace(shown, notice=notice, spec_text=pretty_json(write_spec(spec)))


def _retitled(remedy: Remedy) -> Spec:
    """Mark the change in a title that a person gave: it says what the run was before the change."""
    title = remedy.spec.title
    return replace(remedy.spec, title=f"{title[:150]} → {remedy.label}" if title else "")


def _untitled(spec: Spec, configuration: str) -> Spec:
    """Drop a title that was made from the spec, which would be wrong as soon as a field changes."""
    first = spec.workload.streams[0]
    made = title_of(spec, configuration)
    # Older runs were called by the name of their stream, also where nobody gave it one.
    by_name = f"{first.name}{made.removeprefix(first.title)}"
    return replace(spec, title="" if spec.title in {made, by_name} else spec.title)


def _notice(error: LooplabError) -> Notice:
    if isinstance(error, Conflict):
        text = "It started its runs then. Start once more to run the changed values as well."
        return Notice("This form was sent before with other values", text)
    return Notice("The queue is full", str(error))

"""GET and POST /runs/new, POST /runs: write a run, see what it costs, start it."""

from dataclasses import dataclass, replace
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import RedirectResponse

from control_plane.access.http_errors import status_of
from control_plane.analysis.causes.remedies import Remedy, remedies
from control_plane.domain.errors import Conflict, InvalidInput, LooplabError, QueueFull
from control_plane.domain.ids import checked_id
from control_plane.domain.run import Run
from control_plane.domain.spec import Spec
from control_plane.domain.spec_json import Document, read_document, write_spec
from control_plane.experiments.bundled_endpoints import endpoint
from control_plane.experiments.presets import preset_catalogue
from control_plane.jobs.run_service import RunService
from control_plane.jobs.submissions import title_of
from control_plane.pages.form.form_data import (
    FormData,
    FormDep,
    idempotency_key,
    new_idempotency_key,
    redirect_to_runs,
)
from control_plane.pages.form.from_spec import form_from_spec, fully_shown
from control_plane.pages.form.list_edits import apply_edit
from control_plane.pages.new_run.new_run_view import (
    NewRunPage,
    Notice,
    new_run_page,
    plan_update,
    pretty_json,
    spec_errors_of,
    with_default_values,
)
from control_plane.pages.new_run.preview import check_form, with_check_result
from control_plane.pages.site.dependencies import RunServiceDep, StoreDep
from control_plane.pages.site.templating import fragment, page
from control_plane.store.store import Store

router = APIRouter()

KEPT = {"Cache-Control": "private, no-cache"}
"""What was typed is still there after Back, also where the form was the answer to a POST."""


Name = Annotated[str, Query(max_length=100)]


@dataclass(frozen=True)
class NewRunQuery:
    """What the form begins with: a run that exists, an endpoint of a workload or a preset, with a
    configuration ticked, or an application of the settings."""

    preset: Name = "items"
    run: Annotated[Name, Query(alias="from")] = ""
    remedy: Annotated[Name, Query(alias="try")] = ""
    endpoint: Name = ""
    configuration: Name = ""
    application: Name = ""


@router.get("/runs/new")
def new_run(
    request: Request,
    store: StoreDep,
    service: RunServiceDep,
    begin: Annotated[NewRunQuery, Depends()],
) -> Response:
    if begin.run:
        return form_page(request, _from_run(_known(store, begin.run), begin.remedy, service))
    form = _begun(begin, service)
    if begin.configuration:
        ticked = {"target": ("bundled",), "target.configuration": (begin.configuration,)}
        form = FormData({**form.values, **ticked})
    if begin.application:
        form = FormData({**form.values, **_first_look(begin.application, service)})
    preset = "" if begin.endpoint or begin.application else begin.preset
    return form_page(
        request, replace(new_run_page(form, service, new_idempotency_key()), preset=preset)
    )


@router.get("/new", include_in_schema=False)
def guessed() -> RedirectResponse:
    return RedirectResponse("/runs/new", 308)


@router.post("/runs/new")
def check(request: Request, form: FormDep, service: RunServiceDep) -> Response:
    """The same form with what is wrong at its fields; a button may have changed it."""
    edited = apply_edit(form, form.text("change"))
    shown = new_run_page(
        with_default_values(edited), service, idempotency_key(form), told=edited is form
    )
    plan = with_check_result(shown.plan) if edited is form else shown.plan
    return form_page(request, replace(shown, plan=plan))


@router.post("/runs/new/plan")
def plan(request: Request, form: FormDep, service: RunServiceDep) -> Response:
    return fragment(request, plan_update(form, service))


@router.post("/runs")
def start(request: Request, form: FormDep, service: RunServiceDep) -> Response:
    """One run for each strategy and configuration ticked; then where they can be seen."""
    whole = _completed(form, service)
    read = check_form(whole, service)
    if read.messages:
        return form_page(request, new_run_page(whole, service, idempotency_key(form)), 422)
    try:
        return redirect_to_runs(service.submit(read.documents, key=idempotency_key(form)))
    except (Conflict, QueueFull) as error:
        shown = new_run_page(whole, service, new_idempotency_key())
        return form_page(request, replace(shown, notice=_notice(error)), status_of(error))


@router.post("/runs/spec")
def start_spec(request: Request, form: FormDep, service: RunServiceDep) -> Response:
    """A run from the JSON of its spec."""
    text = form.text("spec")
    try:
        return redirect_to_runs(service.submit([read_document(text)], key=idempotency_key(form)))
    except (InvalidInput, Conflict, QueueFull) as error:
        shown = new_run_page(_preset_form("items", service), service, new_idempotency_key())
        refused = replace(shown, spec_text=text, spec_errors=spec_errors_of(error))
        return form_page(request, refused, status_of(error))


def form_page(request: Request, shown: NewRunPage, status: int = 200) -> Response:
    answer = page(request, shown, status)
    answer.headers.update(KEPT)
    return answer


def _completed(form: FormData, service: RunService) -> FormData:
    """The short form of the home page names the preset that its other fields come from."""
    preset = form.text("preset")
    if not preset:
        return form
    return FormData({**_preset_form(preset, service).values, **form.values})


def _begun(begin: NewRunQuery, service: RunService) -> FormData:
    if begin.endpoint:
        return _document_form(endpoint(begin.endpoint).document, service)
    return _preset_form(begin.preset, service)


def _first_look(name: str, service: RunService) -> dict[str, tuple[str, ...]]:
    """Its ready path as the request class; raises NotFound."""
    path = service.application(name).ready_path
    stream = "workload.streams.0"
    return {
        "target": (name,),
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
    """A remedy that the run does not ask for any more changes nothing."""
    spec, notice = _untitled(run.spec, run.configuration), None
    for one in remedies(spec, run.causes, service.limits):
        if one.key == remedy:
            title = f"One change to run {run.id}: {one.label}"
            spec, notice = (
                _retitled(one),
                Notice(title, "Everything else is as it was.", plain=True),
            )
    form = form_from_spec(spec, service.configurations.all(), run.configuration)
    shown = new_run_page(form, service, new_idempotency_key())
    if fully_shown(spec):
        return replace(shown, notice=notice)
    text = "The form has no fields for cores by number. The spec below the form says all of it."
    notice = Notice("This run says more than the form can", text)
    return replace(shown, notice=notice, spec_text=pretty_json(write_spec(spec)))


def _retitled(remedy: Remedy) -> Spec:
    """A title that a person gave says what the run was before the change."""
    title = remedy.spec.title
    return replace(remedy.spec, title=f"{title[:150]} → {remedy.label}" if title else "")


def _untitled(spec: Spec, configuration: str) -> Spec:
    """A title that was made from the spec would be wrong as soon as a field changes."""
    made = title_of(spec, configuration)
    return replace(spec, title="" if spec.title == made else spec.title)


def _known(store: Store, run_id: str) -> Run:
    return store.run(checked_id(run_id))


def _notice(error: LooplabError) -> Notice:
    if isinstance(error, Conflict):
        text = "It started its runs then. Start once more to run the changed values as well."
        return Notice("This form was sent before with other values", text)
    return Notice("The queue is full", str(error))

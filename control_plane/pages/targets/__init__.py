"""The routes below /targets, /workloads and /ceilings: what is measured, and what it can do."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, Field

from control_plane.analysis.client_ceiling import CLIENTS, ceiling_submission
from control_plane.dependencies import RunServiceDep, StoreDep
from control_plane.domain.errors import InvalidInput, NotFound
from control_plane.domain.ids import checked_id
from control_plane.domain.spec import NamedTarget, Target
from control_plane.experiments import workloads
from control_plane.jobs.run_service import RunService
from control_plane.pages.form import FormData, FormDep, idempotency_key, redirect_to_runs
from control_plane.pages.form.field_types import FormParser
from control_plane.pages.form.fields import CONFIGURATION_FORM, field_message
from control_plane.pages.form.from_spec import target_fields
from control_plane.pages.form.to_spec import target_document
from control_plane.pages.site.templating import fragment, page
from control_plane.pages.targets.targets_view import (
    ConfigurationPage,
    RemovePage,
    WorkloadsPage,
    application_page,
    ceilings_view,
    checkup_view,
    manual_targets_view,
    new_application,
    targets_page,
)
from control_plane.pages.urls import (
    CLIENT_CEILING,
    MANUAL_TARGETS,
    TARGETS,
    WORKLOADS,
    application_url,
    configuration_url,
)

router = APIRouter(include_in_schema=False)

ConfigurationName = Annotated[str, Query(max_length=200)]


TypedText = Annotated[str, Field(max_length=2_000)]


class AddingQuery(BaseModel):
    """An application whose lines of looplab.toml are asked for."""

    name: TypedText = ""
    serves: TypedText = ""
    directory: TypedText = ""
    python: TypedText = ""


@router.get(TARGETS)
def targets(
    request: Request,
    store: StoreDep,
    service: RunServiceDep,
    query: Annotated[AddingQuery, Query()],
) -> Response:
    adding = new_application(service, **query.model_dump())
    return page(request, targets_page(store, service, adding))


@router.get(WORKLOADS)
def workloads_page(request: Request) -> Response:
    """Show what the bundled application serves, each endpoint ready for a run."""
    return page(request, WorkloadsPage(workloads()))


@router.get("/targets/new")
def new_configuration(
    request: Request, service: RunServiceDep, copy: ConfigurationName = ""
) -> Response:
    """Show the form with the parts of `copy`, or with the usual ones."""
    target = _configuration(copy, service) if copy else Target()
    fields = {name: texts for name, texts in target_fields(target) if texts}
    name = (f"{copy}, copy" if copy else "",)
    form = FormData({**fields, "name": name})
    return page(request, ConfigurationPage(form, {}, CONFIGURATION_FORM))


@router.post("/targets/new")
def add_configuration(request: Request, form: FormDep, service: RunServiceDep) -> Response:
    """Show where it stands; or the same form with what is wrong at its fields."""
    name, parser = form.text("name"), FormParser(form)
    try:
        target = service.configurations.check(name, target_document(parser))
        if parser.wrong:
            raise InvalidInput("A field is wrong.")
        service.configurations.add(name, target)
    except InvalidInput as error:
        wrong = {
            form.nearest(field.field) or "name": field_message(form, field)
            for field in reversed((*parser.wrong, *error.fields))
        }
        return page(request, ConfigurationPage(form, wrong, CONFIGURATION_FORM), 422)
    return RedirectResponse(configuration_url(name), 303)


@router.get("/targets/remove")
def ask_remove(request: Request, service: RunServiceDep, name: ConfigurationName) -> Response:
    """Ask before anything is removed. Raises NotFound."""
    _configuration(name, service)
    return page(request, RemovePage(name))


@router.post("/targets/remove")
def remove_configuration(form: FormDep, service: RunServiceDep) -> Response:
    service.configurations.remove(form.text("name"))
    return RedirectResponse(TARGETS, 303)


@router.get("/targets/by-hand")
def manual_targets(request: Request, service: RunServiceDep) -> Response:
    return fragment(request, manual_targets_view(service))


@router.post("/targets/start")
async def start(form: FormDep, service: RunServiceDep) -> Response:
    """Start the target of a configuration by hand, for a look."""
    name = form.text("name")
    target = await run_in_threadpool(service.configurations.resolve, NamedTarget(name))
    await service.manual_targets.start(name, target)
    return RedirectResponse(MANUAL_TARGETS, 303)


@router.post("/targets/stop")
async def stop(form: FormDep, service: RunServiceDep) -> Response:
    await service.manual_targets.stop(form.text("name"))
    return RedirectResponse(MANUAL_TARGETS, 303)


@router.get("/targets/applications/{name}")
def application(request: Request, name: str, service: RunServiceDep) -> Response:
    return page(request, application_page(service.application(name), service))


@router.get("/targets/applications/{name}/checkup")
def checkup(request: Request, name: str, service: RunServiceDep) -> Response:
    return fragment(request, checkup_view(service.application(name), service))


@router.post("/targets/applications/{name}/checkup")
async def check_application(name: str, service: RunServiceDep) -> Response:
    """Begin a look at it, which its page shows. 409 while a run measures."""
    await service.application_checks.start(service.application(name))
    return RedirectResponse(application_url(name, "checkup"), 303)


@router.post("/targets/applications/{name}/start")
async def start_application(name: str, service: RunServiceDep) -> Response:
    """Start it by hand, for a look; it makes way for every measurement."""
    await service.start_manual_target(name)
    return RedirectResponse(MANUAL_TARGETS, 303)


@router.get("/ceilings")
def ceilings(request: Request, store: StoreDep, service: RunServiceDep) -> Response:
    return fragment(request, ceilings_view(store, service))


@router.post("/ceilings")
def measure_ceilings(form: FormDep, store: StoreDep, service: RunServiceDep) -> RedirectResponse:
    """Measure the client of `run`, where that is given, else every strategy."""
    key = idempotency_key(form)
    if run_id := form.text("run"):
        client = store.run(checked_id(run_id)).spec.client
        return redirect_to_runs(service.submit([ceiling_submission(client)], key=key))
    service.submit([ceiling_submission(client) for client in CLIENTS], key=key)
    return RedirectResponse(CLIENT_CEILING, 303)


def _configuration(name: str, service: RunService) -> Target:
    for configuration in service.configurations.all():
        if configuration.name == name:
            return configuration.target
    raise NotFound(f"There is no configuration {name[:60]!r}.")

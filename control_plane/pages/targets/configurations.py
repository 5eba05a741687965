"""GET and POST /targets/new, POST /targets/remove: configurations of one's own."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from control_plane.domain.errors import InvalidInput, NotFound
from control_plane.domain.ids import slug
from control_plane.domain.spec import Target
from control_plane.jobs.run_service import RunService
from control_plane.pages.form.field_messages import field_message
from control_plane.pages.form.form_data import FormData, FormDep
from control_plane.pages.form.from_spec import target_fields
from control_plane.pages.form.parse import FormParser
from control_plane.pages.form.to_spec import target_document
from control_plane.pages.site.dependencies import RunServiceDep
from control_plane.pages.site.templating import page
from control_plane.pages.site.view import View

router = APIRouter()


Name = Annotated[str, Query(max_length=200)]


@dataclass(frozen=True)
class RemovePage(View):
    template: ClassVar[str] = "pages/remove.html"
    name: str


@dataclass(frozen=True)
class ConfigurationPage(View):
    """The parts of a new configuration; `wrong` holds messages by field name."""

    template: ClassVar[str] = "pages/configuration.html"
    form: FormData
    wrong: dict[str, str]


@router.get("/targets/new")
def new_configuration(request: Request, service: RunServiceDep, copy: Name = "") -> Response:
    """Beginning with the parts of `copy`, or with the usual ones."""
    target = _copied(copy, service) if copy else Target()
    fields = {name: texts for name, texts in target_fields(target) if texts}
    name = (f"{copy}, copy" if copy else "",)
    return page(request, ConfigurationPage(FormData({**fields, "name": name}), {}))


@router.post("/targets/new")
def add_configuration(request: Request, form: FormDep, service: RunServiceDep) -> Response:
    """Then where it stands; or the same form with what is wrong at its fields."""
    name, answers = form.text("name").strip(), FormParser(form)
    try:
        target = service.configurations.check(name, target_document(answers))
        if answers.wrong:
            raise InvalidInput("A field is wrong.")
        service.configurations.add(name, target)
    except InvalidInput as error:
        fields = (*answers.wrong, *error.fields)
        wrong = {
            form.nearest(one.field) or "name": field_message(form, one) for one in reversed(fields)
        }
        return page(request, ConfigurationPage(form, wrong), 422)
    return RedirectResponse(f"/targets#{slug(name)}", 303)


@router.get("/targets/remove")
def ask_remove(request: Request, service: RunServiceDep, name: Name) -> Response:
    """Nothing is removed before this question is answered. Raises NotFound."""
    _copied(name, service)
    return page(request, RemovePage(name))


@router.post("/targets/remove")
def remove_configuration(form: FormDep, service: RunServiceDep) -> Response:
    service.configurations.remove(form.text("name"))
    return RedirectResponse("/targets", 303)


def _copied(name: str, service: RunService) -> Target:
    for one in service.configurations.all():
        if one.name == name:
            return one.target
    raise NotFound(f"There is no configuration {name[:60]!r}.")

"""GET /docs, /glossary and /queue: the API, the words, and how the queue stands."""

from dataclasses import dataclass
from typing import ClassVar

from fastapi import APIRouter, Request, Response

from control_plane.dependencies import RunServiceDep
from control_plane.pages.site import View
from control_plane.pages.site.shell import queue_view
from control_plane.pages.site.templating import TermGroup, fragment, groups, page
from control_plane.pages.urls import DOCS, GLOSSARY, OPENAPI

router = APIRouter()


@dataclass(frozen=True)
class DocsPage(View):
    """The description of the JSON API; `schema` is the address of the OpenAPI document."""

    template: ClassVar[str] = "pages/docs.html"
    schema: str


@dataclass(frozen=True)
class GlossaryPage(View):
    template: ClassVar[str] = "pages/glossary.html"
    groups: tuple[TermGroup, ...]


@router.get(DOCS)
def docs(request: Request) -> Response:
    """Show the API as the vendored Swagger UI draws it."""
    return page(request, DocsPage(schema=OPENAPI))


@router.get(GLOSSARY)
def glossary(request: Request) -> Response:
    return page(request, GlossaryPage(groups()))


@router.get("/queue")
def queue(request: Request, service: RunServiceDep) -> Response:
    """Return the part of the top bar that says how the queue stands."""
    return fragment(request, queue_view(service))

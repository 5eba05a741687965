"""GET /docs, /glossary, /not-starting and /queue: what explains, and how the queue stands."""

from dataclasses import dataclass
from typing import ClassVar

from fastapi import APIRouter, Request, Response

from control_plane.analysis.start_hints import (
    LOG_HINTS,
    OTHER_REASONS,
    REASON_HINTS,
    StartHint,
    StartReason,
)
from control_plane.dependencies import RunServiceDep
from control_plane.pages.site import View
from control_plane.pages.site.shell import queue_view
from control_plane.pages.site.templating import TermGroup, fragment, groups, page
from control_plane.pages.urls import DOCS, GLOSSARY, NOT_STARTING, OPENAPI

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


@dataclass(frozen=True)
class NotStartingPage(View):
    """Why an application does not start: what logs and reasons say, each with cause and remedy."""

    template: ClassVar[str] = "pages/not_starting.html"
    log_hints: tuple[StartHint, ...]
    reason_hints: tuple[StartHint, ...]
    reasons: tuple[StartReason, ...]


@router.get(DOCS)
def docs(request: Request) -> Response:
    """Show the API as the vendored Swagger UI draws it."""
    return page(request, DocsPage(schema=OPENAPI))


@router.get(GLOSSARY)
def glossary(request: Request) -> Response:
    return page(request, GlossaryPage(groups()))


@router.get(NOT_STARTING)
def not_starting(request: Request) -> Response:
    """Show every hint, which a failed start gives only where it fits."""
    return page(request, NotStartingPage(LOG_HINTS, REASON_HINTS, OTHER_REASONS))


@router.get("/queue")
def queue(request: Request, service: RunServiceDep) -> Response:
    """Return the part of the top bar that says how the queue stands."""
    return fragment(request, queue_view(service))

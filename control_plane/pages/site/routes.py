"""GET /docs, /glossary, /not-starting, /queue, /audit: what explains, and what was done."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from fastapi import APIRouter, Query, Request, Response

from control_plane.analysis.start_hints import (
    LOG_HINTS,
    OTHER_REASONS,
    REASON_HINTS,
    StartHint,
    StartReason,
)
from control_plane.dependencies import RunServiceDep, StoreDep
from control_plane.domain.ids import experiment_address, run_address
from control_plane.pages.site import View
from control_plane.pages.site.shell import queue_view
from control_plane.pages.site.templating import TermGroup, fragment, groups, page
from control_plane.pages.urls import (
    AUDIT,
    COMPARE,
    DOCS,
    GLOSSARY,
    NOT_STARTING,
    OPENAPI,
    PEERS,
    trend_url,
)
from control_plane.store.audit_log import KEPT_ENTRIES, AuditEntry

router = APIRouter(include_in_schema=False)


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


FEW_ENTRIES, MOST_ENTRIES = 100, 1_000


@dataclass(frozen=True)
class AuditPage(View):
    """What was done, the newest first, each with the address of what it was done to.

    `more` is the address that lists `most`; empty where all of them stand here.
    """

    template: ClassVar[str] = "pages/audit.html"
    entries: tuple[tuple[AuditEntry, str], ...]
    more: str
    most: int = MOST_ENTRIES
    kept: int = KEPT_ENTRIES


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


@router.get(AUDIT)
def audit_log(
    request: Request,
    store: StoreDep,
    limit: Annotated[int, Query(ge=1, le=MOST_ENTRIES)] = FEW_ENTRIES,
) -> Response:
    """List who started, ended, deleted and shared what."""
    found = store.audit(limit)
    entries = tuple((entry, _address_of(entry)) for entry in found)
    more = f"{AUDIT}?limit={MOST_ENTRIES}" if len(found) == limit < MOST_ENTRIES else ""
    return page(request, AuditPage(entries, more))


def _address_of(entry: AuditEntry) -> str:
    addresses = {
        "run": run_address(entry.subject),
        "experiment": experiment_address(entry.subject),
        "comparison": f"{COMPARE}?{entry.subject}",
        "peer": f"{PEERS}/{entry.subject}",
        "trend": trend_url(entry.subject),
    }
    return addresses[entry.kind]

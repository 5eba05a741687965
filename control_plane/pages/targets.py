"""GET /targets: the configurations, what each is for, and the command that starts it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from fastapi import APIRouter, Request, Response

from control_plane.domain.spec import Target
from control_plane.pages.dependencies import DeskDep
from control_plane.pages.templating import page
from control_plane.pages.view import View

router = APIRouter()

_PURPOSES = (
    ("loop", "asyncio", "The event loop of the standard library, to see what uvloop brings."),
    ("http", "h11", "The HTTP parser in Python, to see what httptools brings."),
    ("workers", 2, "Two processes: for work that one core cannot hold."),
    ("workers", 4, "Four processes: only more than two where there are cores for them."),
    ("threads", 4, "A small thread pool: endpoints in plain def soon wait for a thread."),
    ("threads", 200, "A large thread pool: many endpoints in plain def at once."),
    ("access_log", True, "One log line for each request, as many servers run."),
    ("reload", True, "The development server, which watches files while it serves."),
)


@dataclass(frozen=True)
class Row:
    """`missing_extra`: what installs its server; None where it is there."""

    name: str
    purpose: str
    command: str
    available: bool
    missing_extra: str | None


@dataclass(frozen=True)
class TargetsPage(View):
    template: ClassVar[str] = "pages/targets.html"
    rows: tuple[Row, ...]


@router.get("/targets")
def targets(request: Request, desk: DeskDep) -> Response:
    rows = tuple(
        Row(
            one.name,
            _purpose(one.target),
            desk.command_for(one.target),
            one.available,
            one.missing_extra,
        )
        for one in desk.configurations()
    )
    return page(request, TargetsPage(rows))


def _purpose(target: Target) -> str:
    return " ".join(_parts(target)) or "The usual start for FastAPI: begin here."


def _parts(target: Target) -> Iterator[str]:
    for name, value, text in _PURPOSES:
        if getattr(target, name) == value:
            yield text

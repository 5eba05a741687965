"""Templates, how they become answers and pages of errors, and the words that they explain."""

import hashlib
import tomllib
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from http import HTTPStatus
from pathlib import Path
from types import CodeType
from typing import Any, ClassVar, Literal

import orjson
from fastapi import Request, Response
from fastapi.responses import HTMLResponse
from jinja2 import BytecodeCache, Environment, FileSystemLoader, StrictUndefined
from jinja2.bccache import Bucket
from markupsafe import Markup, escape

from control_plane.domain import units
from control_plane.domain.errors import FieldError
from control_plane.domain.ids import slug
from control_plane.domain.limits import TEXT_LENGTHS
from control_plane.domain.units import SPACE
from control_plane.jobs.run_service import RunService
from control_plane.pages.site import (
    SHARED_PART,
    PageMemory,
    PollingPace,
    RenderCache,
    View,
    quiet_shell,
    shell_of,
)
from control_plane.pages.urls import (
    HISTORY,
    NEW_RUN,
    application_url,
    edit_url,
    run_url,
    share_url,
    trend_url,
)


@dataclass(frozen=True)
class Term:
    """`key` is its anchor on the page."""

    key: str
    name: str
    meaning: str


@dataclass(frozen=True)
class TermGroup:
    title: str
    terms: tuple[Term, ...]


@cache
def groups() -> tuple[TermGroup, ...]:
    """Return all terms, in the order of the page."""
    document = tomllib.loads((Path(__file__).parent / "glossary.toml").read_text(encoding="utf-8"))
    return tuple(
        TermGroup(group["title"], tuple(Term(**term) for term in group["terms"]))
        for group in document["group"]
    )


def term(key: str) -> Term:
    """Return the term of that key. Raises KeyError for what is not in the glossary."""
    for group in groups():
        for known in group.terms:
            if known.key == key:
                return known
    raise KeyError(key)


def ago(at: datetime, now: datetime | None = None) -> str:
    """Return `now`, `5 min ago`, `2 h ago`, `yesterday`, `3 days ago`, `18 Nov`, `18 Nov 2025`."""
    present = now or datetime.now(UTC)
    past_s = (present - at).total_seconds()
    days = (present.date() - at.astimezone(UTC).date()).days
    if past_s < 60:
        return "now"
    if past_s < 3_600:
        return f"{past_s // 60:.0f}{SPACE}min ago"
    if past_s < 12 * 3_600 or days == 0:
        return f"{past_s // 3_600:.0f}{SPACE}h ago"
    if days < 7:
        return "yesterday" if days == 1 else f"{days}{SPACE}days ago"
    return day(at) if at.year == present.year else f"{day(at)} {at.year}"


def day(at: datetime) -> str:
    """Return `20 Nov`."""
    return f"{at.day}{SPACE}{at:%b}"


def exact(at: datetime) -> str:
    """Return `20 Nov 2026, 14:02 UTC`."""
    utc = at.astimezone(UTC)
    return f"{day(utc)} {utc:%Y, %H:%M} UTC"


def iso(at: datetime) -> str:
    """Return `2026-11-20T14:02:00Z`."""
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def cell(value: str | float | None) -> str:
    """Return a cell of a figure's table: counts whole, other numbers with four figures."""
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return units.figures(value, 4)
    return units.NONE if value is None else f"{value:,}"


def cells(row: Sequence[str | float | None], between: str) -> Markup:
    """Return the cells of a row of a table, with markup of the template `between` them.

    Texts are escaped, numbers have nothing to escape: most tables are thousands of these.
    """
    return Markup(_row(row, between))


def rows(table: Iterable[Sequence[str | float | None]], between: str, beneath: str) -> Markup:
    """Return the `cells` of each row of a table, with markup of the template between the rows."""
    return Markup(beneath.join([_row(row, between) for row in table]))


def _row(row: Sequence[str | float | None], between: str) -> str:
    return between.join([_WRITERS.get(type(value), _escaped)(value) for value in row])


def _escaped(value: str | float | None) -> str:
    return escape(cell(value))


def _four_figures(value: float) -> str:
    # Not so many digits that a comma, a point at the end or an exponent could stand among them.
    return f"{value:#.4g}" if 0.001 <= value < 999 else cell(value)


_WRITERS: dict[type, Callable[[Any], str]] = {
    float: _four_figures,
    int: "{:,}".format,
    str: escape,
}
"""How `_escaped` writes what most cells hold, by its type."""

FILTERS = {
    "ago": ago,
    "cells": cells,
    "exact": exact,
    "iso": iso,
    "rate": units.rate,
    "rows": rows,
    "slug": slug,
    "thousands": units.count,
    "words": units.words_text,
}

ADDRESSES = {
    "application_url": application_url,
    "edit_url": edit_url,
    "run_url": run_url,
    "share_url": share_url,
    "trend_url": trend_url,
}
"""The addresses that templates build, by the names under which they call for them."""

ROWS_SHOWN = 60
"""So many rows of the numbers of a figure stand in its page. Its CSV has all, as has a report."""

LONGEST_TEXT = 240
"""Of a longer text in a table the beginning stands there, and unfolds it."""

NO_STORE = {"Cache-Control": "no-store"}
"""Pages show what is stored now, also after the browser's Back."""


@cache
def environment(templates: Path, static: Path) -> Environment:
    """Return the templates of a folder; whatever a view does not hold is an error."""
    return environment_of(FileSystemLoader(templates), assets(static))


class CompiledTemplates(BytecodeCache):
    """What templates were compiled to, by name, file and text: the same in every environment."""

    def __init__(self) -> None:
        self._code: dict[tuple[str, str], CodeType] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Give the code of a template to its bucket, where it was compiled before."""
        bucket.code = self._code.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep the code that a bucket has."""
        if bucket.code is not None:
            self._code[bucket.key, bucket.checksum] = bucket.code


@cache
def _compiled() -> CompiledTemplates:
    return CompiledTemplates()


def environment_of(loader: FileSystemLoader, asset: Callable[[str], str]) -> Environment:
    """Return the templates that `loader` finds; `asset` gives files of `static` their addresses."""
    made = Environment(
        loader=loader,
        bytecode_cache=_compiled(),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(FILTERS)
    made.globals.update(asset=asset, glossary=term, **ADDRESSES)
    made.globals.update(longest=TEXT_LENGTHS, longest_text=LONGEST_TEXT, rows_shown=ROWS_SHOWN)
    made.policies.update({"json.dumps_function": _json, "json.dumps_kwargs": {}})
    return made


def _json(value: object) -> str:
    return orjson.dumps(value).decode()


def assets(static: Path) -> Callable[[str], str]:
    """Return what gives files below `static` addresses that change with their content."""

    @cache
    def asset(name: str) -> str:
        digest = hashlib.sha256((static / name).read_bytes()).hexdigest()
        return f"/static/{name}?v={digest[:8]}"

    return asset


def _pace_of(request: Request) -> Callable[[float], str]:
    """Return what gives a part of a page that asks for itself its interval, such as `1000ms`.

    htmx takes what stands behind a point for another key, and `1.3s` for a millisecond.
    """
    pace: PollingPace = request.state.pace
    service: RunService = request.state.service
    return lambda seconds: f"{round(1000 * pace.every(seconds, loads=service.loads()))}ms"


async def shared_fragment(
    request: Request, every_s: float, view: Callable[[], View | None], query: Hashable = None
) -> bytes:
    """Return an element that its page asks for again each `every_s` seconds; none if `view` is.

    Pages that ask for one address and `query` in the same time share it, unless another phase or
    run has begun since. Raises what `view` raises, which a thread calls.
    """

    def made() -> bytes:
        current = view()
        return b"" if current is None else bytes(fragment(request, current).body)

    memory: PageMemory = request.state.page_memory
    service: RunService = request.state.service
    pace: PollingPace = request.state.pace
    lasts_s = SHARED_PART * pace.every(every_s, loads=service.loads())
    key = (request.url.path, query, service.working())
    return await memory.of(RenderCache).shared(key, made, lasts_s)


def page(request: Request, view: View, status: int = 200) -> HTMLResponse:
    """Return a whole page: the view inside the shell."""
    return fragment(request, view, status, shell=shell_of(request))


def plain_page(request: Request, view: View, status: int) -> HTMLResponse:
    """Return a whole page that needs neither store nor run service, which may have failed."""
    return fragment(request, view, status, shell=quiet_shell(request))


def fragment(request: Request, view: View, status: int = 200, **shell: object) -> HTMLResponse:
    """Return an element of a page that has its own address; with a shell, the whole page."""
    settings = request.state.settings
    templates = environment(settings.templates_dir, settings.static_dir)
    text = templates.get_template(view.template).render(view=view, every=_pace_of(request), **shell)
    return HTMLResponse(text, status, headers=NO_STORE)


@dataclass(frozen=True)
class ErrorAction:
    text: str
    href: str


@dataclass(frozen=True)
class ErrorPage(View):
    template: ClassVar[str] = "pages/error.html"
    status: int
    kind: Literal["bad", "warn", "plain"]
    title: str
    message: str
    hint: str
    remedy: ErrorAction


_TITLES = {
    400: "This request could not be read",
    401: "A login is needed",
    403: "This request was refused",
    404: "Nothing stands at this address",
    405: "This address does not take such a request",
    409: "The present state does not allow this",
    413: "This is too large",
    415: "This type of content is not taken",
    422: "A field is wrong",
    429: "The queue is full",
    503: "The database cannot be used now",
}
_HINTS = {
    404: "It may have been deleted, or the link is cut off.",
    409: "It may have changed in the meantime: look again.",
    429: "Runs are executed one after another; cancel some or wait.",
    503: "What is stored stays as it is. Try again in a moment.",
}
_TO_WAIT, _WAIT = {"too_many_guesses", "come_again"}, "Wait a moment"
_HISTORY = ErrorAction("History", HISTORY)


def error_page(
    request: Request,
    status: int,
    message: str,
    fields: tuple[FieldError, ...] = (),
    code: str = "",
) -> Response:
    """Return the page of an error. It needs neither store nor run service: they may have failed."""
    hint = "" if code in _TO_WAIT or "was deleted" in message else _HINTS.get(status, "")
    if hint and message == HTTPStatus(status).phrase:
        message, hint = hint, ""
    view = ErrorPage(
        status=status,
        kind=_kind(status),
        title=_WAIT if code in _TO_WAIT else _TITLES.get(status, "Looplab could not answer"),
        message=message,
        hint=" ".join(field.message for field in fields if field.message not in message) or hint,
        remedy=_remedy(request, status),
    )
    return plain_page(request, view, status)


def _kind(status: int) -> Literal["bad", "warn", "plain"]:
    if status in {429, 503}:
        return "warn"
    return "bad" if status >= 500 else "plain"


def _remedy(request: Request, status: int) -> ErrorAction:
    if status >= 500 and request.method == "GET":
        again = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return ErrorAction("Try again", again)
    path = request.url.path
    if request.method == "POST" and (path in {"/runs", "/runs/spec"} or path.startswith(NEW_RUN)):
        return ErrorAction("New run", NEW_RUN)
    inside = (link for link in quiet_shell(request).places if link.current)
    return next((ErrorAction(link.name, link.href) for link in inside), _HISTORY)

"""/docs, /glossary, /components, /not-starting, /queue, /audit; /login and /logout."""

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, ClassVar
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from control_plane.access.login import LOGIN, SESSION_S, Login, cookie_attributes, peer_of
from control_plane.analysis.start_hints import (
    LOG_HINTS,
    OTHER_REASONS,
    REASON_HINTS,
    StartHint,
    StartReason,
)
from control_plane.dependencies import RunServiceDep, StoreDep
from control_plane.domain.errors import TooManyGuesses
from control_plane.domain.ids import experiment_address, run_address
from control_plane.pages.site import BUSY_POLL_S, View, queue_view
from control_plane.pages.site.templating import (
    NO_STORE,
    TermGroup,
    fragment,
    groups,
    page,
    plain_page,
    shared_fragment,
)
from control_plane.pages.urls import (
    AUDIT,
    COMPARE,
    COMPONENTS,
    DOCS,
    GLOSSARY,
    NEW_RUN,
    NOT_STARTING,
    OPENAPI,
    TOOL_RESULTS,
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
class ComponentsPage(View):
    """What all pages are made of, for those who change them; a card was answered `shown_at`."""

    template: ClassVar[str] = "pages/components.html"
    shown_at: datetime


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


@router.get(COMPONENTS)
def components(request: Request) -> Response:
    """Show each component in each of its states."""
    return page(request, ComponentsPage(datetime.now(UTC)))


@router.get(NOT_STARTING)
def not_starting(request: Request) -> Response:
    """Show every hint, which a failed start gives only where it fits."""
    return page(request, NotStartingPage(LOG_HINTS, REASON_HINTS, OTHER_REASONS))


@router.get("/queue")
async def queue(request: Request, service: RunServiceDep) -> Response:
    """Return the part of the top bar that says how the queue stands."""
    body = await shared_fragment(request, BUSY_POLL_S, lambda: queue_view(service))
    return HTMLResponse(body, headers=NO_STORE)


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
        "peer": f"{TOOL_RESULTS}/{entry.subject}",
        "trend": trend_url(entry.subject),
    }
    return addresses[entry.kind]


_OWN_PAGE = re.compile(r"/(?![/\\])[!-\[\]-~]{0,1000}")
_ORIGIN = re.compile(r"https?://[^/]*")
_NO_NAME = re.compile(r"[^\w .@+-]")
MOST_OF_NAME = 40


OLD_ADDRESS = "This address was used already, or is too old: `looplab login` prints another."


@dataclass(frozen=True)
class LoginPage(View):
    """The form to log in with; `onward` is the page that comes after, `message` what was wrong.

    `lost`: it answers the form of a new run, whose fields the script has kept.
    """

    template: ClassVar[str] = "pages/login.html"
    message: str
    onward: str
    name: str
    lost: bool = False


@dataclass(frozen=True)
class LogInAgain(View):
    """What takes the place of a part of a page that asks for itself after its session has ended."""

    template: ClassVar[str] = "partials/log_in_again.html"
    href: str


def login_page(request: Request) -> HTMLResponse:
    """Return the form in the place of a page that asks for a login, with the status 401."""
    if "hx-request" in request.headers:
        shown = _ORIGIN.sub("", request.headers.get("hx-current-url", ""))
        query = urlencode({"onward": _own_page(shown)})
        return fragment(request, LogInAgain(f"{LOGIN}?{query}"), 401)
    if request.method != "GET":
        lost = request.url.path in {"/runs", "/runs/spec", NEW_RUN}
        view = LoginPage(message="", onward=NEW_RUN if lost else "/", name="", lost=lost)
        return plain_page(request, view, 401)
    query = f"?{request.url.query}" if request.url.query else ""
    return _form(request, "", _own_page(request.url.path + query), status=401)


@router.get(LOGIN)
async def login_form(request: Request, onward: str = "/") -> Response:
    """Show the form; whoever may look already is sent on."""
    if request.state.caller:
        return RedirectResponse(_own_page(onward), 303)
    return _form(request, "", _own_page(onward))


@router.post(LOGIN)
async def log_in(
    request: Request,
    secret: Annotated[str, Form()] = "",
    name: Annotated[str, Form()] = "",
    onward: Annotated[str, Form()] = "/",
) -> Response:
    """Begin a session with the token or a password."""
    login: Login | None = request.state.login
    onward, name = _own_page(onward), _NO_NAME.sub("", name)[:MOST_OF_NAME].strip()
    if login is None:
        return RedirectResponse(onward, 303)
    peer = peer_of(request.scope)
    try:
        session = login.log_in(secret.strip(), name, peer)
    except TooManyGuesses as error:
        response = _form(request, str(error), onward, name, status=429)
        response.headers["Retry-After"] = str(math.ceil(error.wait_s))
        return response
    if session is None:
        return _form(request, "This is neither the token nor a password.", onward, name, status=401)
    return _with_session(request, session, onward)


@router.get(f"{LOGIN}/{{code}}")
async def open_login_address(request: Request, code: str) -> Response:
    """Begin a session with an address that was printed; it works once."""
    login: Login | None = request.state.login
    if login is None or (request.state.caller and request.state.caller.role == "operator"):
        return RedirectResponse("/", 303)
    session = login.open_address(code)
    if session is None:
        return _form(request, OLD_ADDRESS, "/", status=401)
    return _with_session(request, session, "/")


@router.post("/logout")
async def log_out(request: Request) -> Response:
    """End the session."""
    login: Login | None = request.state.login
    response = RedirectResponse(LOGIN, 303)
    if login is not None:
        login.log_out(request.cookies.get(login.cookie, ""))
        response.delete_cookie(login.cookie, **cookie_attributes(request.scope))
    return response


def _with_session(request: Request, session: str, onward: str) -> Response:
    response = RedirectResponse(onward, 303)
    cookie = request.state.login.cookie
    response.set_cookie(cookie, session, SESSION_S, **cookie_attributes(request.scope))
    return response


def _form(
    request: Request, message: str, onward: str, name: str = "", *, status: int = 200
) -> HTMLResponse:
    view = LoginPage(message=message, onward=onward, name=name)
    return plain_page(request, view, status)


def _own_page(address: str) -> str:
    """Return an address of this dashboard as it is, and the home page for any other."""
    away = address.startswith(("/logout", LOGIN)) or not _OWN_PAGE.fullmatch(address)
    return "/" if away else address

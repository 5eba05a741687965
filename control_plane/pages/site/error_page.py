"""Pages for what went wrong: what happened, the evidence, one way on."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from fastapi import Request, Response

from control_plane.domain.errors import FieldError
from control_plane.pages.site import View
from control_plane.pages.site.templating import plain_page
from control_plane.pages.urls import HISTORY, NEW_RUN


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
_HISTORY = ErrorAction("History", HISTORY)


def error_page(
    request: Request, status: int, message: str, fields: tuple[FieldError, ...] = ()
) -> Response:
    """Return the page of an error. It needs neither store nor run service: they may have failed."""
    view = ErrorPage(
        status=status,
        kind=_kind(status),
        title=_TITLES.get(status, "Looplab could not answer"),
        message=message,
        hint=" ".join(field.message for field in fields if field.message not in message)
        or _HINTS.get(status, ""),
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
    return ErrorAction("New run", NEW_RUN) if request.method == "POST" else _HISTORY

"""The one mapping from our exceptions to HTTP."""

from starlette.responses import JSONResponse
from starlette.types import Scope

from control_plane.domain.errors import (
    ComeAgain,
    Conflict,
    DatabaseBusy,
    DatabaseFull,
    InvalidInput,
    LooplabError,
    NotFound,
    QueueFull,
    StoreError,
    TooManyGuesses,
    UnreadableInput,
    UnreadableRun,
)

_FAULTS: tuple[tuple[type[LooplabError], int, str], ...] = (
    (UnreadableInput, 400, "unreadable"),
    (InvalidInput, 422, "invalid"),
    (NotFound, 404, "not_found"),
    (UnreadableRun, 404, "unreadable_run"),
    (Conflict, 409, "conflict"),
    (QueueFull, 429, "queue_full"),
    (TooManyGuesses, 429, "too_many_guesses"),
    (ComeAgain, 503, "come_again"),
    (DatabaseBusy, 503, "database_busy"),
    (DatabaseFull, 503, "disk_full"),
    (StoreError, 503, "database"),
)

_CODES = {
    400: "unreadable",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    409: "conflict",
    413: "too_large",
    415: "unsupported_media_type",
    422: "invalid",
    429: "queue_full",
}


def status_of(error: LooplabError) -> int:
    """Return the HTTP status; 500 for what should never reach a person."""
    return next((status for kind, status, _ in _FAULTS if isinstance(error, kind)), 500)


def code_of(error: LooplabError) -> str:
    """Return the `error` of the JSON response."""
    return next((code for kind, _, code in _FAULTS if isinstance(error, kind)), "internal")


def code_of_status(status: int) -> str:
    """Return the `error` of the JSON response where only a status is known."""
    return _CODES.get(status, "internal" if status >= 500 else "refused")


def error_response(status: int, message: str) -> JSONResponse:
    """Return an error without wrong fields, as the API sends it."""
    return JSONResponse({"error": code_of_status(status), "message": message, "fields": []}, status)


def header_values(scope: Scope, name: bytes) -> list[str]:
    """Return every value of a header, in the order in which they came."""
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]

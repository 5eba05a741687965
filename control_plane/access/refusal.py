"""The answer of a guard, in the shape of every other error."""

from starlette.responses import JSONResponse
from starlette.types import Scope

from control_plane.access.faults import code_of_status


def refusal(status: int, message: str) -> JSONResponse:
    return JSONResponse({"error": code_of_status(status), "message": message, "fields": []}, status)


def values(scope: Scope, name: bytes) -> list[str]:
    """Every value of a header, in the order in which they came."""
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]

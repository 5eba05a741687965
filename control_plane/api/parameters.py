"""The parameters of the endpoints of the API: the document of a body, the size of a page."""

from typing import Annotated, Any

from fastapi import Depends, HTTPException, Request
from pydantic import BeforeValidator, Field

from control_plane.domain.spec_json import Document, read_document


async def _document(request: Request) -> Document:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise HTTPException(415, "Send JSON with Content-Type: application/json.")
    return read_document(await request.body())


def _plain_digits(value: Any) -> Any:
    """Refuse what int() reads but people do not write: `1_0`, ` 5`, `٣`."""
    if isinstance(value, str) and not (value.isascii() and value.isdigit() and len(value) < 10):
        raise ValueError("give a whole number")
    return value


Body = Annotated[Document, Depends(_document)]
PageLimit = Annotated[int, BeforeValidator(_plain_digits), Field(ge=1, le=200)]

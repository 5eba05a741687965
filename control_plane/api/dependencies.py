"""What endpoints of the API take from the application and the request."""

from typing import Annotated, Any

from fastapi import Depends, HTTPException, Path, Request
from pydantic import AfterValidator, BeforeValidator, Field

from control_plane.domain.ids import checked_id
from control_plane.domain.spec_json import Document, read_document
from control_plane.jobs.run_service import RunService
from control_plane.store.store import Store


def _store(request: Request) -> Store:
    store: Store = request.app.state.store
    return store


def _service(request: Request) -> RunService:
    service: RunService = request.app.state.service
    return service


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


StoreDep = Annotated[Store, Depends(_store)]
RunServiceDep = Annotated[RunService, Depends(_service)]
RunId = Annotated[str, Path(description="Ten characters."), AfterValidator(checked_id)]
Body = Annotated[Document, Depends(_document)]
PageLimit = Annotated[int, BeforeValidator(_plain_digits), Field(ge=1, le=200)]

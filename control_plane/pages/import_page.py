"""Bundles by page: chosen runs as one file, and the page that takes in such files and others'."""

import asyncio
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from fastapi import APIRouter, Form, Query, Request, Response, UploadFile
from fastapi.responses import FileResponse, RedirectResponse
from starlette.background import BackgroundTask

from control_plane.dependencies import RunServiceDep, StoreDep
from control_plane.domain.errors import FieldError, InvalidInput
from control_plane.domain.ids import MAX_COMPARED_RUNS, checked_id, peer_address
from control_plane.domain.peer_result import PEER_KINDS, TIME_UNITS
from control_plane.pages.site import View
from control_plane.pages.site.templating import page
from control_plane.pages.urls import runs_url
from control_plane.peers import told_of_file
from control_plane.store.bundle_import import ImportedBundle
from control_plane.store.bundles import BUNDLE_ENDING

router = APIRouter(include_in_schema=False)

Chosen = Annotated[tuple[str, ...], Query(max_length=1_000)]
ImportChoice = Annotated[str, Form(max_length=20)]


@dataclass(frozen=True)
class ImportPage(View):
    """The form for a file, and what became of the last one.

    `compare` leads to its runs beside one another, where they are few enough; "" else. `fault`:
    why nothing was imported. `kinds` and `units` are those that can be named.
    """

    template: ClassVar[str] = "pages/import.html"
    imported: ImportedBundle | None = None
    compare: str = ""
    fault: str = ""
    kinds: tuple[str, ...] = PEER_KINDS
    units: tuple[str, ...] = tuple(TIME_UNITS)


@router.get("/bundle")
def bundle(store: StoreDep, run: Chosen = ()) -> FileResponse:
    """Return the chosen runs and experiments as one file for another Looplab."""
    if not run:
        message = "Choose at least one run."
        raise InvalidInput(message, (FieldError("run", message),))
    ids = [checked_id(chosen) for chosen in run]
    folder = tempfile.mkdtemp(prefix="looplab-bundle-")
    try:
        file = Path(folder) / f"looplab-{ids[0]}{BUNDLE_ENDING}"
        written = store.export_bundle(file, ids)
    except BaseException:
        shutil.rmtree(folder)
        raise
    return FileResponse(
        file,
        media_type="application/vnd.sqlite3",
        filename=file.name,
        headers={"X-Content-SHA256": written.sha256},
        background=BackgroundTask(shutil.rmtree, folder),
    )


@router.get("/import")
def import_form(request: Request) -> Response:
    """Show the form for a file."""
    return page(request, ImportPage())


@router.post("/import")
async def import_file(
    request: Request,
    file: UploadFile,
    service: RunServiceDep,
    kind: ImportChoice = "",
    unit: ImportChoice = "",
) -> Response:
    """Take a bundle over, and show what became of it; of another tool show its result."""
    with tempfile.NamedTemporaryFile(prefix="looplab-upload-") as kept:
        await asyncio.to_thread(shutil.copyfileobj, file.file, kept)
        kept.flush()
        try:
            told = told_of_file(file.filename or "", kind, unit)
            imported = await service.import_file(Path(kept.name), told)
        except InvalidInput as error:
            return page(request, ImportPage(fault=str(error)), 422)
    if imported.peers:
        return RedirectResponse(peer_address(imported.peers[0]), 303)
    few = 0 < len(imported.runs) <= MAX_COMPARED_RUNS
    return page(request, ImportPage(imported, runs_url(imported.runs) if few else ""))

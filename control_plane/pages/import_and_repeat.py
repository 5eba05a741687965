"""Results on their way: as one file for another Looplab, taken in here, and measured here again."""

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, ClassVar

from fastapi import APIRouter, Form, Query, Request, Response, UploadFile
from fastapi import Path as PathParameter
from fastapi.responses import FileResponse, RedirectResponse
from starlette.background import BackgroundTask

from control_plane.dependencies import RunServiceDep, StoreDep
from control_plane.domain.errors import FieldError, InvalidInput, QueueFull
from control_plane.domain.ids import (
    checked_id,
    experiment_address,
    run_address,
    tool_result_address,
)
from control_plane.domain.limits import MAX_COMPARED_RUNS
from control_plane.domain.spec_json import write_spec
from control_plane.domain.tool_result import TIME_UNITS, TOOL_KINDS
from control_plane.domain.units import about
from control_plane.jobs.repeats import Repeat, Served, planned_repeat, repeatable, start_repeat
from control_plane.other_tools import told_of_file
from control_plane.pages.form import (
    FormData,
    FormDep,
    form_data,
    idempotency_key,
    new_idempotency_key,
)
from control_plane.pages.new_run.new_run_view import pretty_json
from control_plane.pages.site import View
from control_plane.pages.site.templating import page
from control_plane.pages.urls import REPEAT, runs_url, share_url
from control_plane.store.bundle_import import ImportedBundle
from control_plane.store.bundles import BUNDLE_ENDING, Bundle

router = APIRouter(include_in_schema=False)

Chosen = Annotated[tuple[str, ...], Query(max_length=1_000)]
ImportChoice = Annotated[str, Form(max_length=20)]
LONGEST_CHOICE = 300
"""Characters of the name of an application, or of an address."""


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
    kinds: tuple[str, ...] = TOOL_KINDS
    units: tuple[str, ...] = tuple(TIME_UNITS)


@router.get("/bundle")
def bundle(store: StoreDep, run: Chosen = ()) -> FileResponse:
    """Return the chosen runs and experiments as one file for another Looplab."""
    if not run:
        message = "Choose at least one run."
        raise InvalidInput(message, (FieldError("run", message),))
    ids = [checked_id(chosen) for chosen in run]
    return bundle_file(f"looplab-{ids[0]}", lambda file: store.export_bundle(file, ids))


def bundle_file(name: str, write: Callable[[Path], Bundle]) -> FileResponse:
    """Return a response with the bundle that `write` writes to a new file."""
    folder = tempfile.mkdtemp(prefix="looplab-bundle-")
    try:
        file = Path(folder) / f"{name}{BUNDLE_ENDING}"
        written = write(file)
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
    if imported.peers and not imported.holds:
        return RedirectResponse(tool_result_address(imported.peers[0]), 303)
    few = 0 < len(imported.runs) <= MAX_COMPARED_RUNS
    return page(request, ImportPage(imported, runs_url(imported.runs) if few else ""))


@dataclass(frozen=True)
class RepeatElsewherePage(View):
    """What somebody needs to repeat a result of this Looplab elsewhere.

    `kind` is run or experiment, `back` its page, `share` where a link to it is made.
    """

    template: ClassVar[str] = "pages/repeat_elsewhere.html"
    kind: str
    subject: str
    title: str
    back: str
    share: str


@dataclass(frozen=True)
class RepeatPage(View):
    """What a click would start here. Nothing of theirs is started.

    `chosen` is what serves in the place of each of their targets, in order, of the `applications`
    here or by its address; `wrong` says by field what is missing, `others` what else is.
    """

    template: ClassVar[str] = "pages/repeat.html"
    repeat: Repeat
    back: str
    spec: str
    takes: str
    applications: tuple[str, ...]
    chosen: tuple[Served, ...]
    wrong: Mapping[str, str]
    others: tuple[FieldError, ...]
    notice: str
    key: str


_CHOICES = ("application.", "url.")
"""How the fields begin that choose what serves here."""

Subject = Annotated[str, PathParameter(max_length=20)]


@router.get(f"{REPEAT}/{{subject}}")
def ask_repeat(
    request: Request, subject: Subject, store: StoreDep, service: RunServiceDep
) -> Response:
    """Show what repeating a result would start here; of one of this Looplab how to hand it on."""
    found = repeatable(store, subject)
    if found.machine:
        form = form_data(request.query_params.multi_items())
        return page(request, _repeat_page(store, service, subject, form))
    is_run = found.experiment is None
    elsewhere = RepeatElsewherePage(
        kind="run" if is_run else "experiment",
        subject=subject,
        title=found.title,
        back=run_address(subject) if is_run else experiment_address(subject),
        share=share_url("run" if is_run else "experiment", subject),
    )
    return page(request, elsewhere)


@router.post(f"{REPEAT}/{{subject}}")
def repeat(
    request: Request, subject: Subject, form: FormDep, store: StoreDep, service: RunServiceDep
) -> Response:
    """Start what the page shows, once for each time it was shown, and set it beside theirs."""
    try:
        served = _served(form, planned_repeat(store, service, subject, {}))
        made = start_repeat(store, service, subject, served, idempotency_key(form))
    except InvalidInput:
        return page(request, _repeat_page(store, service, subject, form), 422)
    except QueueFull as full:
        shown = _repeat_page(store, service, subject, form)
        return page(request, replace(shown, notice=str(full)), 429)
    return RedirectResponse(made.url, 303)


def _repeat_page(
    store: StoreDep, service: RunServiceDep, subject: str, form: FormData
) -> RepeatPage:
    served = _served(form, planned_repeat(store, service, subject, {}))
    planned = planned_repeat(store, service, subject, served)
    at_fields = {each.field: each for each in planned.wrong if each.field.startswith(_CHOICES)}
    is_run = planned.kind == "run"
    specs = {name: write_spec(spec) for name, spec in planned.specs}
    return RepeatPage(
        repeat=planned,
        back=run_address(subject) if is_run else experiment_address(subject),
        spec=pretty_json(service.submissions.hidden(planned.document) if is_run else specs),
        takes=about(planned.seconds) if planned.seconds is not None else "",
        applications=tuple(application.name for application in service.applications()),
        chosen=tuple(served.get(target.name, Served()) for target in planned.targets),
        wrong={name: each.message for name, each in at_fields.items()},
        others=tuple(each for each in planned.wrong if each.field not in at_fields),
        notice="",
        key=new_idempotency_key(),
    )


def _served(form: FormData, planned: Repeat) -> dict[str, Served]:
    """Return what a form says serves in the place of each of their targets, by its name."""
    return {
        target.name: Served(
            form.text(f"application.{at}")[:LONGEST_CHOICE], form.text(f"url.{at}")[:LONGEST_CHOICE]
        )
        for at, target in enumerate(planned.targets)
    }

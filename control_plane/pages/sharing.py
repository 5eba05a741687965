"""Share links: made, listed and revoked by those who log in, opened by whoever has one."""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Annotated, ClassVar, get_args
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from jinja2 import Environment

from control_plane import __version__
from control_plane.access.login import Guesses, peer_of
from control_plane.access.middleware import LOOPBACK_NAMES
from control_plane.analysis.charts.preview_picture import png_of
from control_plane.analysis.comparison import compare
from control_plane.analysis.prose import joined
from control_plane.dependencies import RunServiceDep, StoreDep, asked_trend
from control_plane.domain.errors import Conflict, FieldError, InvalidInput, NotFound
from control_plane.domain.ids import checked_id, experiment_address, run_address
from control_plane.domain.redaction import SHOWABLE, Redaction, Showable
from control_plane.domain.run import Run
from control_plane.jobs.run_service import RunService
from control_plane.pages.compare_query import parse_compare_query
from control_plane.pages.exports import (
    FigureName,
    attachment,
    csv_file,
    figure_file,
    grid_file,
    markdown_file,
)
from control_plane.pages.form import FormDep
from control_plane.pages.report import FrameLoader, PageOfLink, Reports
from control_plane.pages.shared_results import (
    SharedResult,
    carried,
    shared_result,
    trend_subject,
)
from control_plane.pages.site import View
from control_plane.pages.site.templating import assets, environment_of, page
from control_plane.pages.urls import COMPARE, LONGEST_QUERY, SHARED, SHARES, share_url, trend_url
from control_plane.store.bundles import BUNDLE_ENDING
from control_plane.store.share_links import (
    MOST_SHARED_DAYS,
    SHARED_DAYS,
    SharedFiles,
    SharedKind,
    ShareLink,
    ShareSubject,
)
from control_plane.store.store import Store

NOT_KEPT = {"Cache-Control": "private, no-store", "X-Robots-Tag": "noindex"}
"""What no proxy keeps and no search engine lists: a link that was revoked opens nothing."""

NO_RESULT = "This link opens nothing: it is cut off, was revoked, or has expired."

router = APIRouter(include_in_schema=False)

SHOWN_NAMES: dict[Showable, tuple[str, str]] = {
    "hosts": ("Host names, and addresses of targets elsewhere", "host names"),
    "paths": (
        "Paths of files, the directory of the application, and the lines that causes name",
        "paths of files",
    ),
    "environment": ("Values of environment variables that its server reads", "values of variables"),
    "commands": ("Command lines, and names of other programs", "commands and other programs"),
}
"""What is hidden unless its box is ticked: beside the box, and where it is hidden."""

ALWAYS_HIDDEN = ("secrets", "logs", "stacks", "answers to failed requests", "files of rows")

PICTURE_FONTS = ("OpenSans_400Regular.ttf", "OpenSans_600SemiBold.ttf")

DAYS_OFFERED = (1, 7, SHARED_DAYS, 90, MOST_SHARED_DAYS)


@dataclass(frozen=True)
class SharePage(View):
    """What a link to a result shows and hides, and the links to it.

    `made` is the address of the link that was made just now, which is not shown again. `local`:
    the address of this dashboard leads others to their own machine.
    """

    template: ClassVar[str] = "pages/share.html"
    of: ShareSubject
    back: str
    again: str
    names: Mapping[Showable, tuple[str, str]]
    days: tuple[int, ...]
    usual_days: int
    made: str
    local: bool
    links: tuple[ShareLink, ...]


@dataclass(frozen=True)
class ShareListPage(View):
    """All share links, the newest first."""

    template: ClassVar[str] = "pages/shares.html"
    links: tuple[ShareLink, ...]
    pages: Mapping[str, str]


@router.get(SHARES)
def share_list(request: Request, store: StoreDep) -> Response:
    """List all share links."""
    links = tuple(store.share_links())
    return page(request, ShareListPage(links, {link.id: page_of(link.of) for link in links}))


@router.get(f"{SHARES}/new")
def share_dialog(
    request: Request,
    store: StoreDep,
    kind: Annotated[str, Query(max_length=20)] = "",
    subject: Annotated[str, Query(max_length=LONGEST_QUERY)] = "",
) -> Response:
    """Show what a link to a result would show and hide."""
    return page(request, _share_page(request, store, shared_subject(store, kind, subject)))


@router.post(SHARES)
def share(request: Request, form: FormDep, store: StoreDep) -> Response:
    """Make a link, and show its address, once."""
    of = shared_subject(store, form.text("kind"), form.text("subject"))
    days, shown = form.text("days", str(SHARED_DAYS)), form.all("show")
    if not days.isdecimal() or not 1 <= int(days[:9]) <= MOST_SHARED_DAYS:
        raise _wrong("days", f"Give 1 to {MOST_SHARED_DAYS} days.")
    if unknown := [name for name in shown if name not in SHOWABLE]:
        raise _wrong("show", f"{unknown[0][:20]} is none of {', '.join(SHOWABLE)}.")
    token = store.make_share_link(of, sorted(set(shown)), int(days))
    made = f"{str(request.base_url).rstrip('/')}{SHARED}/{token}"
    return page(request, _share_page(request, store, of, made), 201)


@router.post(f"{SHARES}/{{link_id}}/revoke")
def revoke(link_id: str, form: FormDep, store: StoreDep) -> Response:
    """End a link, and go back to where it was listed."""
    store.revoke_share_link(link_id)
    back = form.text("back")
    return RedirectResponse(back if back.startswith(f"{SHARES}/new?") else SHARES, 303)


def shared_subject(store: Store, kind: str, subject: str) -> ShareSubject:
    """Return what is to be shared. Raises Conflict for what is not over, NotFound, InvalidInput."""
    if kind == "run":
        run = _over(store.run(checked_id(subject)))
        return ShareSubject("run", run.id, run.title)
    if kind == "comparison":
        query = parse_compare_query(subject)
        runs = [_over(store.run(run_id)) for run_id in query.ids]
        shown = compare(runs, query.baseline, places=query.places)
        names = ", ".join(label.text for label in shown.labels)
        return ShareSubject("comparison", query.query, names)
    if kind == "experiment":
        experiment = store.experiment(subject)
        for arm in store.arm_runs(experiment):
            if arm is not None:
                _over(arm)
        return ShareSubject("experiment", experiment.id, experiment.question)
    if kind == "trend":
        return trend_subject(store, subject)
    raise _wrong("kind", f"Share one of {', '.join(get_args(SharedKind))}.")


def page_of(of: ShareSubject) -> str:
    """Return the address of the page of what is shared."""
    if of.kind == "trend":
        return trend_url(of.subject)
    if of.kind == "comparison":
        return f"{COMPARE}?{of.subject}"
    return run_address(of.subject) if of.kind == "run" else experiment_address(of.subject)


def _over(run: Run) -> Run:
    if not run.state.terminal:
        raise Conflict(f"Run {run.id} is {run.state}: it can be shared when it is over.")
    return run


def _share_page(request: Request, store: Store, of: ShareSubject, made: str = "") -> SharePage:
    return SharePage(
        of=of,
        back=page_of(of),
        again=share_url(of.kind, of.subject),
        names=SHOWN_NAMES,
        days=DAYS_OFFERED,
        usual_days=SHARED_DAYS,
        made=made,
        local=f"{urlsplit(str(request.base_url)).hostname}" in {*LOOPBACK_NAMES, "::1"},
        links=tuple(store.share_links((of.kind, of.subject))),
    )


def _wrong(field: str, message: str) -> InvalidInput:
    return InvalidInput(message, (FieldError(field, message),))


def opened_link(request: Request, token: str, store: StoreDep) -> ShareLink:
    """Return the link that a token opens.

    Raises NotFound alike for each token that opens nothing, and TooManyGuesses where this peer
    tried too many.
    """
    guesses: Guesses = request.state.guesses
    link, peer = store.open_share_link(token), peer_of(request.scope)
    if link is None:
        guesses.refuse(peer)
        guesses.count(peer)
        raise NotFound(NO_RESULT)
    return link


LinkDep = Annotated[ShareLink, Depends(opened_link)]


def opened(
    request: Request, token: str, link: LinkDep, store: StoreDep, service: RunServiceDep
) -> "Opened":
    """Return what a token shows. Raises as `opened_link`."""
    base = str(request.base_url).rstrip("/")
    return Opened(link, shared_result(link, store, service), f"{SHARED}/{token}", base)


@dataclass(frozen=True)
class Opened:
    """A link that was opened: what it shows, and its address below `base`."""

    link: ShareLink
    result: SharedResult
    path: str
    base: str

    @property
    def address(self) -> str:
        """The whole address of the page."""
        return f"{self.base}{self.path}"

    @property
    def hidden(self) -> str:
        """What of the result is hidden."""
        names = [name for name in SHOWABLE if name not in self.link.shown]
        return joined([*(SHOWN_NAMES[name][1] for name in names), *ALWAYS_HIDDEN])

    @property
    def version(self) -> str:
        """The version of Looplab."""
        return __version__


OpenedDep = Annotated[Opened, Depends(opened)]


@cache
def _framed(templates: Path, static: Path) -> Environment:
    return environment_of(FrameLoader(templates, "shared.html"), assets(static))


SHARED_RESULT = f"{SHARED}/{{token}}"


@router.get(SHARED_RESULT)
def shared_page(request: Request, shared: OpenedDep) -> HTMLResponse:
    """Show a result to whoever has its link."""
    settings, result = request.state.settings, shared.result
    templates = _framed(settings.templates_dir, settings.static_dir)

    def written(view: View, awaited: str = "") -> str:
        text = templates.get_template(view.template).render(view=view, share=shared)
        return PageOfLink(shared.path, awaited).written(text)

    curves = result.curves()
    text = written(result.page(), written(curves) if curves else "")
    return HTMLResponse(text, headers=NOT_KEPT)


@router.get(f"{SHARED_RESULT}/report.html")
def shared_report(
    request: Request, shared: OpenedDep, store: StoreDep, service: RunServiceDep
) -> Response:
    """Return the page as one file."""
    settings = request.state.settings
    reports = Reports(settings.templates_dir, settings.static_dir, store, service)
    text = reports.one_file(shared.result.page(), shared.result.curves())
    return _private(HTMLResponse(text, headers=attachment(f"{shared.link.file_name}.html")))


@router.get(f"{SHARED_RESULT}/numbers.json")
def shared_document(shared: OpenedDep) -> Response:
    """Return the result as the API tells it."""
    headers = attachment(f"{shared.link.file_name}.json")
    return _private(JSONResponse(shared.result.document(), headers=headers))


@router.get(f"{SHARED_RESULT}/numbers.csv")
def shared_numbers(shared: OpenedDep) -> Response:
    """Return all numbers of the result as CSV."""
    numbers = shared.result.numbers()
    return _private(csv_file(shared.link.file_name, numbers.columns, numbers.rows))


@router.get(f"{SHARED_RESULT}/table.tsv")
def shared_grid(shared: OpenedDep) -> Response:
    """Return the result as a table for a spreadsheet."""
    return _private(grid_file(shared.result.grid(), shared.link.file_name))


@router.get(f"{SHARED_RESULT}/comment.md")
def shared_comment(shared: OpenedDep) -> Response:
    """Return the result as Markdown."""
    return _private(markdown_file(shared.result.markdown(shared.address), shared.link.file_name))


@router.get(f"{SHARED_RESULT}/figures/{{name}}.csv")
def shared_figure(shared: OpenedDep, name: FigureName) -> Response:
    """Return the numbers behind a figure as CSV."""
    return _private(figure_file(shared.link.file_name, name, shared.result.figures()))


@router.get(f"{SHARED_RESULT}/recipe.looplab")
def shared_recipe(
    request: Request, link: LinkDep, store: StoreDep, service: RunServiceDep
) -> Response:
    """Return the result as a bundle, with which another Looplab shows and repeats it."""

    def made() -> bytes:
        ids, runs = carried(link, store)
        with tempfile.TemporaryDirectory(prefix="looplab-shared-") as folder:
            file = Path(folder) / f"shared{BUNDLE_ENDING}"
            store.export_shared(file, ids, link, Redaction(runs, link.shown))
            return file.read_bytes()

    content = _kept_file(request, service, link, BUNDLE_ENDING, made)
    name = f"{link.file_name}{BUNDLE_ENDING}"
    headers = {**attachment(name), "X-Content-SHA256": sha256(content).hexdigest()}
    return _private(Response(content, media_type="application/vnd.sqlite3", headers=headers))


@router.get(f"{SHARED_RESULT}/picture.png")
def shared_picture(
    request: Request, link: LinkDep, store: StoreDep, service: RunServiceDep
) -> Response:
    """Return the main figure as a picture."""
    folder = request.state.settings.static_dir / "vendor"

    def made() -> bytes:
        picture = shared_result(link, store, service).picture()
        return png_of(picture, *((folder / font).read_bytes() for font in PICTURE_FONTS))

    content = _kept_file(request, service, link, ".png", made)
    return _private(Response(content, media_type="image/png"))


def _version_of(link: ShareLink, store: Store) -> str:
    """Return what another value means of: a file of what the link shows is to be made anew."""
    if link.of.kind == "trend":
        spec, query = asked_trend(link.of.subject)
        return store.shared_version((spec, query.against), with_repeats=True)
    if link.of.kind == "comparison":
        return store.shared_version(parse_compare_query(link.of.subject).ids, with_repeats=True)
    return store.shared_version((link.of.subject,))


def _kept_file(
    request: Request, service: RunService, link: ShareLink, ending: str, make: Callable[[], bytes]
) -> bytes:
    """Return a file that is made anew where what it is of changed. Raises as `SharedFiles.file`.

    Nothing of its result is read but for that: anybody with the link may ask while a run has load.
    """
    files: SharedFiles = request.state.shared_files
    version = _version_of(link, request.state.store)
    measuring = service.queue_status().running is not None
    return files.file(f"{link.id}{ending}", version, measuring=measuring, make=make)


def _private(response: Response) -> Response:
    response.headers.update(NOT_KEPT)
    return response

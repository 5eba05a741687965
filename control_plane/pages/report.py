"""A page as one HTML file: it opens from disk, without a dashboard and without a network."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from html import escape
from html.parser import HTMLParser
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader

from control_plane import __version__
from control_plane.dependencies import (
    ExperimentId,
    RunId,
    TrendQuery,
    TrendQueryDep,
    TrendSpec,
    read_trend,
)
from control_plane.domain.errors import Conflict
from control_plane.domain.private_names import without_secrets
from control_plane.domain.run import Run
from control_plane.jobs.run_service import RunService
from control_plane.pages.compare import CompareQueryDep, compare_page
from control_plane.pages.compare_query import CompareQuery
from control_plane.pages.experiment_pages import experiment_curves, experiment_page
from control_plane.pages.exports import attachment, file_stem
from control_plane.pages.run import TrialNumber, result_view
from control_plane.pages.site import View
from control_plane.pages.site.templating import environment_of
from control_plane.pages.trend_pages import commits_known, trend_page
from control_plane.store.store import Store

_ASSET = "asset:"
_SPRITE = "icons.svg"
_PICO = re.compile(r'@import url\("../(vendor/pico.min.css)[^"]*"\) layer\(pico\);')
_FIGURE_FILE = re.compile(r"/(?:runs/[^/]+|compare|trends/[^/]*)/figures/([a-z-]+)\.csv(?:\?.*)?")
_VOID = frozenset({"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "wbr"})
_NEEDS_DASHBOARD = frozenset({"form", "noscript"})
_PRIVATE = frozenset({"log", "stacks"})
"""Ids and classes of what is not for others: lines of the target's log, and its stacks."""

Attributes = list[tuple[str, str | None]]


@dataclass(frozen=True)
class ReportFacts:
    """What stands at the foot of a report."""

    made_at: datetime
    version: str


@dataclass(frozen=True)
class Reports:
    """Makes one file of a page.

    What only a dashboard can do is left out, and so are the target's log and stacks, and what gives
    itself away as a secret. Links to other pages are plain text, folds are open, times are exact.
    """

    templates: Path
    static: Path
    store: Store
    service: RunService

    def run(self, run_id: str, trial: str | None = None) -> str:
        """Return the page of a run. Raises Conflict for one that is not over."""
        detail = self.store.detail(run_id, slices=True)
        _refuse_unfinished([detail.run])
        return self.one_file(result_view(detail, self.store, self.service, trial))

    def comparison(self, query: CompareQuery) -> str:
        """Return the page of a comparison. Raises Conflict while a run is not over."""
        view = compare_page(self.store, self.service, query)
        _refuse_unfinished(view.compare.comparison.runs)
        return self.one_file(view)

    def experiment(self, experiment_id: str) -> str:
        """Return the page of an experiment. Raises Conflict for one that is not over."""
        view = experiment_page(self.store, self.service, experiment_id)
        if view.part.waiting or not view.part.state.terminal:
            raise Conflict("This experiment is not over: its report can be made when it is.")
        if not view.part.arms.blocks:
            return self.one_file(view)
        found = view.experiment
        runs = self.store.arm_runs(found)
        return self.one_file(view, experiment_curves(self.store, found, runs))

    def trend(self, spec: str, query: TrendQuery) -> str:
        """Return the page of a trend. Raises as `read_trend`."""
        found = read_trend(self.store, spec, query)
        between = commits_known(found, self.service)
        return self.one_file(trend_page(found, query, between, for_others=True))

    def one_file(self, view: View, curves: View | None = None) -> str:
        """Return a page as one file; `curves` stand where the page would ask for them."""
        return self._written(view, self._written(curves, "") if curves else "")

    def _written(self, view: View, awaited: str) -> str:
        templates = _templates(self.templates, self.static)
        facts = ReportFacts(datetime.now(UTC), __version__)
        page = templates.get_template(view.template).render(view=view, report=facts)
        return _OneFile(self.static, awaited).written(without_secrets(page))


router = APIRouter(include_in_schema=False)


def reports_of(request: Request) -> Reports:
    """Return what makes reports of the dashboard that was asked."""
    state = request.state
    folders = (state.settings.templates_dir, state.settings.static_dir)
    return Reports(*folders, state.store, state.service)


@router.get("/runs/{run_id}.html")
def run_html(request: Request, run_id: RunId, trial: TrialNumber = None) -> HTMLResponse:
    """Return the page of a run as one file."""
    text = reports_of(request).run(run_id, trial)
    return HTMLResponse(text, headers=attachment(f"looplab-run-{run_id}.html"))


@router.get("/compare.html")
def compare_html(request: Request, query: CompareQueryDep) -> HTMLResponse:
    """Return the page of a comparison as one file."""
    text = reports_of(request).comparison(query)
    return HTMLResponse(text, headers=attachment(f"looplab-{file_stem(query)}.html"))


@router.get("/experiments/{experiment_id}.html")
def experiment_html(request: Request, experiment_id: ExperimentId) -> HTMLResponse:
    """Return the page of an experiment as one file."""
    text = reports_of(request).experiment(experiment_id)
    return HTMLResponse(text, headers=attachment(f"looplab-experiment-{experiment_id}.html"))


@router.get("/trends/{spec}.html")
def trend_html(request: Request, spec: TrendSpec, query: TrendQueryDep) -> HTMLResponse:
    """Return the page of a trend as one file."""
    text = reports_of(request).trend(spec, query)
    return HTMLResponse(text, headers=attachment(f"looplab-trend-{spec}.html"))


def _refuse_unfinished(runs: Sequence[Run]) -> None:
    for run in runs:
        if not run.state.terminal:
            raise Conflict(f"Run {run.id} is {run.state}: its report can be made when it is over.")


class FrameLoader(FileSystemLoader):
    """Finds the templates of the pages, with another frame around them than that of a page."""

    def __init__(self, templates: Path, frame: str) -> None:
        super().__init__(templates)
        self._frame = frame

    def get_source(
        self, environment: Environment, template: str
    ) -> tuple[str, str, Callable[[], bool]]:
        name = self._frame if template == "base.html" else template
        return super().get_source(environment, name)


@cache
def _templates(templates: Path, static: Path) -> Environment:
    made = environment_of(FrameLoader(templates, "report.html"), _named_asset)
    made.globals.update(icons=_text(static, _SPRITE), rows_shown=None)
    return made


def _named_asset(name: str) -> str:
    return "" if name == _SPRITE else f"{_ASSET}{name}"


@cache
def _text(static: Path, name: str) -> str:
    """Return a file of `static`, as it can stand inside a page."""
    text = (static / name).read_text(encoding="utf-8").removeprefix('@charset "UTF-8";')
    if name == _SPRITE:
        return text.replace('symbol id="', 'symbol id="icon-')
    return _PICO.sub(lambda found: f"@layer pico {{{_text(static, found[1])}}}", text)


class PageForOthers(HTMLParser):
    """Writes a page anew, without what leads out of it, needs a dashboard or is not for others.

    `awaited` stands where the page would ask for it.
    """

    opens_folds = False

    def __init__(self, awaited: str) -> None:
        super().__init__(convert_charrefs=False)
        self._parts: list[str] = []
        self._awaited = awaited
        self._skipped, self._depth, self._after = "", 0, ""
        self._is_plain_link = False

    def written(self, page: str) -> str:
        """Return the page as it is for others."""
        self.feed(page)
        self.close()
        return "".join(self._parts)

    def kept_address(self, href: str) -> str:
        """Return where a link leads that others may follow; empty for one that they may not."""
        del href
        return ""

    def write_asset(self, tag: str, given: Mapping[str, str], source: str) -> None:
        """Write the element that names a style sheet or a script."""
        raise NotImplementedError

    def icon_address(self, href: str) -> str:
        """Return where an icon is found that the page finds at `href`."""
        return href

    def handle_starttag(self, tag: str, attrs: Attributes) -> None:
        """Write the beginning of an element, or leave the element out."""
        given = {name: value or "" for name, value in attrs}
        if self._skipped:
            self._depth += tag == self._skipped
        elif tag == "link":
            self.write_asset("style", given, "href")
        elif tag == "script":
            self.write_asset(tag, given, "src")
            self._skip(tag)
        elif tag == "a" and (kept := self.kept_address(given.get("href", ""))):
            self.open(tag, [("href", kept)])
        elif "awaited" in given.get("class", "").split():
            self._skip(tag, after=self._awaited)
        elif _left_out(tag, given):
            self._skip(tag)
        else:
            self._keep(tag, attrs, given)

    def _keep(self, tag: str, attrs: Attributes, given: Mapping[str, str]) -> None:
        """Write the beginning of an element that others see; what leads elsewhere is plain."""
        if tag == "a" and not given.get("href", "").startswith("#"):
            self._is_plain_link = True
            self.open("span", [])
        else:
            self.open(tag, self._standing(tag, attrs))
            if tag == "time":
                self.handle_data(escape(given["title"]))
                self._skip(tag, after=_end(tag))

    def handle_startendtag(self, tag: str, attrs: Attributes) -> None:
        """Write an element without content."""
        if not self._skipped:
            self.open(tag, self._standing(tag, attrs), end="/>")

    def handle_endtag(self, tag: str) -> None:
        """Write the end of an element that is kept."""
        if self._skipped:
            self._depth -= tag == self._skipped
            if not self._depth:
                self._skipped = ""
                self.handle_data(self._after)
        elif tag == "a" and self._is_plain_link:
            self._is_plain_link = False
            self.handle_data(_end("span"))
        else:
            self.handle_data(_end(tag))

    def handle_data(self, data: str) -> None:
        """Write text, and what stands in styles and scripts, unless its element is left out."""
        if not self._skipped:
            self._parts.append(data)

    def handle_entityref(self, name: str) -> None:
        """Write a named character as it is."""
        self.handle_data(f"&{name};")

    def handle_charref(self, name: str) -> None:
        """Write a numbered character as it is."""
        self.handle_data(f"&#{name};")

    def handle_decl(self, decl: str) -> None:
        """Write the document type."""
        self.handle_data(f"<!{decl}>")

    def open(self, tag: str, attributes: Iterable[tuple[str, str | None]], end: str = ">") -> None:
        """Write the beginning of an element."""
        self.handle_data(f"<{tag}{''.join(_attribute(*pair) for pair in attributes)}{end}")

    def close_element(self, tag: str) -> None:
        """Write the end of an element."""
        self.handle_data(_end(tag))

    def _standing(self, tag: str, attributes: Attributes) -> Iterator[tuple[str, str | None]]:
        """Yield the attributes that mean something without a dashboard."""
        for name, value in attributes:
            if tag == "use" and name == "href":
                yield name, self.icon_address(value or "")
            elif not name.startswith(("hx-", "data-key", "data-ask")):
                yield name, value
        if tag == "details" and self.opens_folds:
            yield "open", None

    def _skip(self, tag: str, after: str = "") -> None:
        if tag not in _VOID:
            self._skipped, self._depth, self._after = tag, 1, after


class _OneFile(PageForOthers):
    """Writes a page with all that it needs inside it; folds are open."""

    opens_folds = True

    def __init__(self, static: Path, awaited: str) -> None:
        super().__init__(awaited)
        self._static = static

    def write_asset(self, tag: str, given: Mapping[str, str], source: str) -> None:
        """Write a style sheet or a script itself in the place of its address."""
        self.open(tag, [(key, given[key]) for key in ("id", "class", "type") if key in given])
        self.handle_data(_text(self._static, given[source].removeprefix(_ASSET)) + _end(tag))

    def icon_address(self, href: str) -> str:
        """Return the icon inside the file."""
        return f"#icon-{href.removeprefix('#')}"


class PageOfLink(PageForOthers):
    """Writes a page whose links stay below the address of a share link."""

    def __init__(self, path: str, awaited: str) -> None:
        super().__init__(awaited)
        self._path = path

    def kept_address(self, href: str) -> str:
        """Return the files of the link, and those of the figures as it has them."""
        if found := _FIGURE_FILE.fullmatch(href):
            return f"{self._path}/figures/{found[1]}.csv"
        return href if href.startswith(f"{self._path}/") else ""

    def write_asset(self, tag: str, given: Mapping[str, str], source: str) -> None:
        """Write the element with the address that it has."""
        if source == "href":
            self.open("link", given.items())
        else:
            self.open(tag, given.items())
            self.close_element(tag)


def _end(tag: str) -> str:
    return f"</{tag}>"


def _left_out(tag: str, given: Mapping[str, str]) -> bool:
    """Whether an element needs a dashboard, or is not for others."""
    classes = set(given.get("class", "").split())
    if tag == "button":
        return "data-png" not in given and "term" not in classes
    return (
        tag in _NEEDS_DASHBOARD
        or "data-live" in given
        or "actions" in classes
        or (tag == "a" and "button" in classes)
        or not _PRIVATE.isdisjoint({given.get("id", ""), *classes})
    )


def _attribute(name: str, value: str | None) -> str:
    """Return an attribute in the quotes that its value has fewer of: figures are JSON."""
    if value is None:
        return f" {name}"
    quote = "'" if value.count('"') > value.count("'") else '"'
    escaped = value.replace("&", "&amp;").replace("<", "&lt;")
    return f" {name}={quote}{escaped.replace(quote, f'&#{ord(quote)};')}{quote}"

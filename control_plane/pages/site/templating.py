"""Templates and how they become answers."""

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import orjson
from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from control_plane.pages.site.filters import FILTERS
from control_plane.pages.site.glossary import word
from control_plane.pages.site.shell import quiet_shell, shell_of
from control_plane.pages.site.view import View

NO_STORE = {"Cache-Control": "no-store"}
"""Pages show what is stored now, also after the browser's Back."""


@cache
def environment(templates: Path, static: Path) -> Environment:
    """The templates of a folder; whatever a view does not hold is an error."""
    made = Environment(
        loader=FileSystemLoader(templates),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(FILTERS)
    made.globals.update(asset=assets(static), glossary=word)
    made.policies.update({"json.dumps_function": _json, "json.dumps_kwargs": {}})
    return made


def _json(value: object) -> str:
    return orjson.dumps(value).decode()


def assets(static: Path) -> Callable[[str], str]:
    """Addresses of files below `static` that change with their content."""

    @cache
    def asset(name: str) -> str:
        digest = hashlib.sha256((static / name).read_bytes()).hexdigest()
        return f"/static/{name}?v={digest[:8]}"

    return asset


def page(request: Request, view: View, status: int = 200) -> HTMLResponse:
    """A whole page: the view inside the shell."""
    return fragment(request, view, status, shell=shell_of(request))


def plain_page(request: Request, view: View, status: int) -> HTMLResponse:
    """A whole page that asks nothing of store and desk, for when they cannot answer."""
    return fragment(request, view, status, shell=quiet_shell(request))


def fragment(request: Request, view: View, status: int = 200, **shell: object) -> HTMLResponse:
    """One element of a page, which has an address of its own; with a shell the whole page."""
    settings = request.app.state.settings
    templates = environment(settings.templates_dir, settings.static_dir)
    text = templates.get_template(view.template).render(view=view, **shell)
    return HTMLResponse(text, status, headers=NO_STORE)

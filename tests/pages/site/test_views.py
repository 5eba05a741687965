"""Every template reads exactly the fields of its view."""

import pkgutil
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from importlib import import_module

import pytest
from jinja2 import nodes

from control_plane import pages
from control_plane.pages.site import View
from control_plane.pages.site.templating import environment
from scripts.budget import ROOT

TEMPLATES = environment(ROOT / "templates", ROOT / "static")
FORM_MACROS = {
    "forms": ("macros/forms.html",),
    "streams": ("macros/forms.html", "macros/stream.html"),
}
"""What the macros of a form may read, by the name under which a template imports them."""


def views() -> list[type[View]]:
    for module in pkgutil.walk_packages(pages.__path__, "control_plane.pages."):
        import_module(module.name)
    return sorted(View.__subclasses__(), key=lambda view: view.template)


@cache
def parsed(template: str) -> nodes.Template:
    assert TEMPLATES.loader is not None
    source, _, _ = TEMPLATES.loader.get_source(TEMPLATES, template)
    return TEMPLATES.parse(source)


def read(node: nodes.Node, name: str) -> Iterator[str]:
    """The attributes that are read of `name`; `{% with name = … %}` gives it another meaning.

    A macro that takes the whole view reads it as `page`.
    """
    if isinstance(node, nodes.Getattr) and is_name(node.node, name):
        yield node.attr
    if isinstance(node, nodes.Call) and any(is_name(argument, "view") for argument in node.args):
        for macros in FORM_MACROS.get(imported(node.node), ()):
            yield from read(parsed(macros), "page")
    if isinstance(node, nodes.Include) and isinstance(node.template, nodes.Const):
        yield from read(parsed(node.template.value), name)
    if isinstance(node, nodes.With) and any(is_name(part, name) for part in node.targets):
        for value in node.values:
            yield from read(value, name)
        return
    for child in node.iter_child_nodes():
        yield from read(child, name)


def imported(called: nodes.Node) -> str:
    """The name under which the template of a macro is imported; "" for what is no macro of one."""
    inside = called.node if isinstance(called, nodes.Getattr) else None
    return inside.name if isinstance(inside, nodes.Name) else ""


def is_name(node: nodes.Node, name: str) -> bool:
    return isinstance(node, nodes.Name) and node.name == name


def readable(view: type[View]) -> set[str]:
    """Fields, what is computed of them, and what holds for all of them."""
    of_class = {name for name in vars(view) if not name.startswith("_")} - {"template"}
    return of_class | {field.name for field in fields(view)}


@pytest.mark.parametrize("view", views(), ids=lambda view: view.template)
def test_a_template_reads_exactly_its_view(view: type[View]) -> None:
    assert set(read(parsed(view.template), "view")) == readable(view)


def test_every_page_and_only_they_have_a_view() -> None:
    known = {view.template for view in views()}
    written = {name for name in TEMPLATES.list_templates() if name.startswith("pages/")}
    assert written <= known


def test_reading_is_seen_through_a_change_of_meaning() -> None:
    source = "{{ view.a }}{% with view = view.b %}{{ view.c }}{% endwith %}{{ f(other.d) }}"
    assert set(read(TEMPLATES.parse(source), "view")) == {"a", "b"}


def test_the_page_of_components_shows_each_part_that_pages_are_made_of() -> None:
    inside = {
        macro.name: {
            call.node.name
            for call in macro.find_all(nodes.Call)
            if isinstance(call.node, nodes.Name)
        }
        for macro in parsed("macros/ui.html").find_all(nodes.Macro)
    }
    included = [
        node.template.value
        for node in parsed("pages/components.html").find_all(nodes.Include)
        if isinstance(node.template, nodes.Const)
    ]
    shown = {
        attribute.attr
        for template in ("pages/components.html", *included)
        for attribute in parsed(template).find_all(nodes.Getattr)
        if is_name(attribute.node, "ui")
    }
    shown |= {name for part in shown & inside.keys() for name in inside[part]}
    assert inside.keys() - shown == set()

"""A page as people and screen readers find their way in it: by role, name and label."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from html.parser import HTMLParser

VOID = {"br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"}
ROLES = {
    **{f"h{level}": "heading" for level in range(1, 7)},
    "button": "button",
    "summary": "button",
    "select": "combobox",
    "textarea": "textbox",
    "table": "table",
    "tr": "row",
    "td": "cell",
    "th": "columnheader",
    "img": "img",
    "ul": "list",
    "ol": "list",
    "li": "listitem",
    "dt": "term",
    "dd": "definition",
    "article": "article",
    "dialog": "dialog",
    "form": "form",
    "main": "main",
    "nav": "navigation",
    "option": "option",
    "time": "time",
    "section": "region",
}
"""What an element without a `role` is, by its tag."""
INPUTS = {"checkbox": "checkbox", "radio": "radio", "submit": "button", "hidden": "hidden"}


@dataclass(eq=False)
class Element:
    """An element with its attributes, and what it holds in order."""

    tag: str
    attributes: dict[str, str]
    within: Element | None = None
    content: list[Element | str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """What it says, one space between words."""
        return " ".join("".join(self.texts()).split())

    def texts(self) -> Iterator[str]:
        """Its texts in order, with a space around each block."""
        for part in self.content:
            if isinstance(part, str):
                yield part
            elif part.tag not in {"script", "style", "template"}:
                inline = part.tag in {"a", "abbr", "b", "em", "i", "s", "span", "strong", "time"}
                yield from part.texts() if inline else (" ", *part.texts(), " ")

    @property
    def role(self) -> str:
        """Its `role`, else that of its tag; "" when it has none."""
        if "role" in self.attributes:
            return self.attributes["role"]
        if self.tag == "a":
            return "link" if "href" in self.attributes else ""
        if self.tag == "input":
            return INPUTS.get(self.attributes.get("type", "text"), "textbox")
        if self.tag == "th" and self.attributes.get("scope", "col").startswith("row"):
            return "rowheader"
        return ROLES.get(self.tag, "")

    @property
    def name(self) -> str:
        """What it is called: its `aria-label`, the elements that label it, else its text."""
        if label := self.attributes.get("aria-label"):
            return label
        if ids := self.attributes.get("aria-labelledby"):
            return " ".join(self.root.by_id(part).text for part in ids.split())
        if self.tag in {"input", "select", "textarea"}:
            return self.attributes.get("value", "") if self.role == "button" else self._label()
        return self.attributes.get("alt", "") if self.tag == "img" else self.text

    def _label(self) -> str:
        for label in self.root.all("label"):
            if label.attributes.get("for") == self.attributes.get("id", "-") or self in label:
                return label.text
        return ""

    @property
    def root(self) -> Element:
        return self.within.root if self.within else self

    def __contains__(self, other: Element) -> bool:
        return any(other is element for element in self.elements())

    def elements(self) -> Iterator[Element]:
        """Every element in it, in the order of the document."""
        for part in self.content:
            if isinstance(part, Element):
                yield part
                yield from part.elements()

    def all(self, tag: str) -> list[Element]:
        return [element for element in self.elements() if element.tag == tag]

    def by_id(self, name: str) -> Element:
        """The element of the id; fails without one, or with two."""
        (found,) = [part for part in self.elements() if part.attributes.get("id") == name]
        return found

    def by_role(self, role: str, name: str | None = None) -> list[Element]:
        """Elements of the role; only those whose whole name it is where one is given."""
        found = [element for element in self.elements() if element.role == role]
        return [element for element in found if name is None or element.name == name]

    def one(self, role: str, name: str) -> Element:
        """The element of the role and name; fails without one, or with two."""
        names = [element.name for element in self.by_role(role)]
        assert names.count(name) == 1, names
        return self.by_role(role, name)[0]

    def rows(self) -> dict[str, Element]:
        """The rows of the tables in it that have a header of their own, by the header's text."""
        return {
            row.by_role("rowheader")[0].text: row
            for row in self.by_role("row")
            if row.by_role("rowheader")
        }


class Builder(HTMLParser):
    """Builds the tree; an end without its start is left out, as in a browser."""

    def __init__(self) -> None:
        super().__init__()
        self.root = self.open = Element("", {})

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        element = Element(tag, attributes, self.open)
        self.open.content.append(element)
        if tag not in VOID:
            self.open = element

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        element: Element | None = self.open
        while element and element.tag != tag:
            element = element.within
        if element and element.within:
            self.open = element.within

    def handle_data(self, data: str) -> None:
        self.open.content.append(data)


@lru_cache(maxsize=4)
def read_html(text: str) -> Element:
    """The tree of a page or of a fragment; an empty element holds it. Made once for a test."""
    builder = Builder()
    builder.feed(text)
    builder.close()
    return builder.root

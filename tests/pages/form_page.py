"""A page's form, filled in and sent as a browser without script does."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

import httpx2

from tests.dashboard import Dashboard
from tests.html import read_html

Pairs = list[tuple[str, str]]


@dataclass
class FormPage(HTMLParser):
    """What would be sent by the form with that id, or the first one with that action."""

    action: str
    pairs: Pairs = field(default_factory=list)
    inside: bool = False
    select: str | None = None
    options: Pairs = field(default_factory=list)
    area: str | None = None

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "form":
            self.inside = given.get("action") == self.action and not self.pairs
        if not self.inside:
            return
        name, value = given.get("name"), given.get("value")
        if tag == "input" and name and (_plain(given) or "checked" in given):
            self.pairs.append((name, value or ""))
        elif tag == "select":
            self.select, self.options = name, []
        elif tag == "option":
            self.options.append(("selected" if "selected" in given else "", value or ""))
        elif tag == "textarea" and name:
            self.area = name
            self.pairs.append((name, ""))

    def handle_data(self, data: str) -> None:
        if self.area:
            name, before = self.pairs[-1]
            self.pairs[-1] = (name, before + data)
        elif self.select and self.options and not self.options[-1][1]:
            self.options[-1] = (self.options[-1][0], data.strip())

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self.inside = False
        elif tag == "textarea":
            self.area = None
        elif tag == "select" and self.select and self.inside:
            chosen = [value for state, value in self.options if state] or [self.options[0][1]]
            self.pairs.append((self.select, chosen[-1]))
            self.select = None


def _plain(given: dict[str, str | None]) -> bool:
    return given.get("type") not in {"checkbox", "radio"}


def form_of_page(text: str, action: str) -> Pairs:
    page = FormPage(action)
    page.feed(text)
    return [(name, value.removeprefix("\n")) for name, value in page.pairs]


def changed(pairs: Pairs, **changes: str | tuple[str, ...]) -> Pairs:
    """`a__b` names the field `a.b`; `streams` stands for the first stream's prefix."""
    named = {name.replace("__", "."): value for name, value in changes.items()}
    named = {
        name.replace("stream.", "workload.streams.0.", 1): value for name, value in named.items()
    }
    kept = [(name, value) for name, value in pairs if name not in named]
    return kept + list(_flat(named))


def _flat(named: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in named.items():
        for text in value if isinstance(value, tuple) else (value,):
            yield name, text


def wrong(page: str) -> dict[str, str]:
    """What is wrong with each field, by the field's name."""
    ids = ((part.attributes.get("id", ""), part.text) for part in read_html(page).elements())
    return {name.removeprefix("wrong-"): text for name, text in ids if name.startswith("wrong-")}


def send(looplab: Dashboard, path: str, pairs: Pairs) -> httpx2.Response:
    """Redirects are not followed."""
    return looplab.post_form(path, pairs)


def quick_run(looplab: Dashboard, pairs: Pairs) -> dict[str, Any]:
    """The finished run that the form starts, with one short trial and users who pause."""
    short = {"trials": "1", "warmup_s": "0.1", "stream__stop__duration_s": "0.2"}
    pairs = changed(pairs, **short, stream__load__think_time_s="0.1")
    answer = send(looplab, "/runs", pairs)
    return looplab.finished(answer.headers["location"].rpartition("/")[2])

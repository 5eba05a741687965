"""A dashboard over stored runs of every kind, and how its pages are read."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from typing import Any

import pytest

from tests.builders import Samples, fill
from tests.dashboard import Dashboard, dashboard


@dataclass(frozen=True)
class Stored:
    looplab: Dashboard
    runs: Samples

    def page(self, path: str, status: int = 200) -> str:
        answer = self.looplab.get(path)
        assert answer.status_code == status, answer.text
        assert "text/html" in answer.headers["content-type"]
        return answer.text

    def compare(self, *ids: str, more: str = "") -> str:
        return self.page(f"/compare?runs={','.join(ids)}{more}")


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stored]:
    folder = tmp_path_factory.mktemp("stored")
    runs = fill(folder)
    with dashboard(folder) as looplab:
        yield Stored(looplab, runs)


def figures(page: str) -> dict[str, dict[str, Any]]:
    """The figures of a page by name, as the browser reads them."""
    found = re.findall(r"<lab-figure id=\"([^\"]+)\"[^>]*? figure='([^']*)'", page)
    return {name: json.loads(unescape(text)) for name, text in found}


def words(page: str) -> str:
    """What a page says, without markup, one space between words."""
    start = page.find("<main")
    body = page[start : page.index("</main>")] if start >= 0 else page
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())

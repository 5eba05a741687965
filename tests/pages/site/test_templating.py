from pathlib import Path

import pytest
from jinja2 import UndefinedError

from control_plane.pages.site.templating import assets, environment
from scripts.budget import ROOT
from tests.dashboard import Dashboard


def test_the_address_of_a_file_changes_with_its_content(tmp_path: Path) -> None:
    (tmp_path / "a.css").write_text("a {}")
    before = assets(tmp_path)("a.css")
    (tmp_path / "a.css").write_text("b {}")
    assert before.startswith("/static/a.css?v=")
    assert assets(tmp_path)("a.css") != before


def test_what_a_view_does_not_hold_is_an_error() -> None:
    template = environment(ROOT / "templates", ROOT / "static").from_string("{{ view.x }}")
    with pytest.raises(UndefinedError):
        template.render(view=object())


def test_texts_are_escaped() -> None:
    template = environment(ROOT / "templates", ROOT / "static").from_string("{{ text }}")
    assert template.render(text="<b>&\"'") == "&lt;b&gt;&amp;&#34;&#39;"


def test_every_file_that_a_page_names_is_there(empty: Dashboard) -> None:
    for path in ("/", "/runs/new", "/history", "/targets", "/glossary"):
        page = empty.get(path).text
        for name in {part.partition('"')[0] for part in page.split("/static/")[1:]}:
            assert empty.get(f"/static/{name.partition('#')[0]}").status_code == 200, name


def test_pages_are_not_kept_by_the_browser(empty: Dashboard) -> None:
    assert empty.get("/").headers["cache-control"] == "no-store"

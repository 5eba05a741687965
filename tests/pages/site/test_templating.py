from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from jinja2 import FileSystemLoader, UndefinedError
from markupsafe import Markup

from control_plane.domain.ids import slug
from control_plane.pages.site.templating import (
    ago,
    assets,
    cell,
    environment,
    environment_of,
    exact,
    iso,
    rows,
)
from scripts.budget import ROOT
from tests.dashboard import Dashboard

NOW = datetime(2026, 11, 20, 14, 2, tzinfo=UTC)
SPACE = "\N{NO-BREAK SPACE}"


@pytest.mark.parametrize(
    ("past", "text"),
    [
        (timedelta(seconds=-5), "now"),
        (timedelta(seconds=59), "now"),
        (timedelta(minutes=5), f"5{SPACE}min ago"),
        (timedelta(hours=2), f"2{SPACE}h ago"),
        (timedelta(hours=11), f"11{SPACE}h ago"),
        (timedelta(hours=20), "yesterday"),
        (timedelta(days=1), "yesterday"),
        (timedelta(days=3), f"3{SPACE}days ago"),
        (timedelta(days=20), f"31{SPACE}Oct"),
        (timedelta(days=400), f"16{SPACE}Oct 2025"),
    ],
)
def test_ago(past: timedelta, text: str) -> None:
    assert ago(NOW - past, NOW) == text


def test_moments_are_utc() -> None:
    at = datetime(2026, 11, 20, 15, 2, tzinfo=timezone(timedelta(hours=1)))
    assert iso(at) == "2026-11-20T14:02:00Z"
    assert exact(at) == f"20{SPACE}Nov 2026, 14:02 UTC"


def test_slug() -> None:
    assert slug("Values of {a}: 1,2") == "values-of-a-1-2"


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
    for path in ("/", "/runs/new", "/history", "/targets", "/glossary", "/not-starting"):
        page = empty.get(path).text
        for name in {part.partition('"')[0] for part in page.split("/static/")[1:]}:
            assert empty.get(f"/static/{name.partition('#')[0]}").status_code == 200, name


def test_pages_are_not_kept_by_the_browser(empty: Dashboard) -> None:
    assert empty.get("/").headers["cache-control"] == "no-store"


class Name(str):
    """A text of a type of its own."""


def test_numbers_of_a_table_are_written_and_its_texts_escaped() -> None:
    table: list[tuple[str | float | None, ...]] = [
        (1, 12_345, 0.5, 1234.5, None),
        ("<b>", Name("<i>"), Markup("<u>"), 1e-9, 0.0),
    ]
    assert rows(table, "|", "<br>") == (
        "1|12,345|0.5000|1,234|–<br>&lt;b&gt;|&lt;i&gt;|<u>|0.000000001000|0"
    )


@pytest.mark.parametrize(
    "value", [0.0, -2.5, 0.000_999_96, 0.001, 0.1, 9.999_96, 12.0, 998.96, 999.96, 1e4, 1e-300]
)
def test_a_number_of_a_table_is_written_as_in_a_cell(value: float) -> None:
    assert rows([(value,)], "", "") == cell(value)


def test_a_template_is_compiled_once_for_pages_and_reports_and_again_when_it_changed(
    tmp_path: Path,
) -> None:
    (tmp_path / "page.html").write_text("{{ name }}")
    first, second = (environment_of(FileSystemLoader(tmp_path), str) for _ in range(2))
    codes = [made.get_template("page.html").root_render_func.__code__ for made in (first, second)]
    assert codes[0] is codes[1]
    (tmp_path / "page.html").write_text("Dear {{ name }}")
    third = environment_of(FileSystemLoader(tmp_path), str)
    assert third.get_template("page.html").render(name="reader") == "Dear reader"

from pathlib import Path

import pytest

from control_plane.pages.site import machine
from tests.dashboard import Dashboard, items_spec
from tests.html import read_html
from tests.in_process import in_process


@pytest.mark.parametrize("path", ["/", "/history", "/runs/new", "/runs/0000000000"])
def test_a_page_is_drawn_when_its_foot_is_there(empty: Dashboard, path: str) -> None:
    page = read_html(empty.get(path).text)
    (waits,) = [link for link in page.all("link") if link.attributes.get("rel") == "expect"]
    assert waits.attributes["blocking"] == "render"
    awaited = page.by_id((waits.attributes["href"] or "").removeprefix("#"))
    assert (awaited.tag, page.all("footer")) == ("footer", [awaited])


@pytest.mark.parametrize(
    ("path", "current"),
    [
        ("/history", 'href="/history" aria-current="page"'),
        ("/targets", 'href="/targets" aria-current="page"'),
        ("/runs/0000000000", 'href="/history" aria-current="true"'),
    ],
)
def test_the_present_place_is_marked(empty: Dashboard, path: str, current: str) -> None:
    page = empty.get(path).text
    assert current in page
    assert page.count("aria-current") == 1


def test_no_place_is_marked_on_a_new_run(empty: Dashboard) -> None:
    assert "aria-current=" not in empty.get("/runs/new").text.partition("<main")[0]


def test_the_queue_has_an_address_of_its_own(empty: Dashboard) -> None:
    fragment = empty.get("/queue").text
    assert fragment.strip().startswith('<span id="queue"')
    assert "Idle" in fragment


def test_the_processor_is_named_without_its_trade_marks() -> None:
    assert " Intel Xeon Gold 6130, " in machine("Intel(R) Xeon(R) Gold 6130 CPU @ 2.10GHz")
    assert " AMD EPYC 7763, " in machine("AMD EPYC 7763 64-Core Processor")


def test_a_deleted_database_is_told_with_how_to_save_it(tmp_path: Path) -> None:
    with in_process(tmp_path) as looplab:
        looplab.db.unlink()
        page = looplab.get("/").text
        assert "save that with looplab backup FILE before Looplab ends" in page
        assert "The next start without that begins with an empty one." in page


def test_a_database_that_is_gone_is_told_on_each_page_until_it_is_back(tmp_path: Path) -> None:
    with in_process(tmp_path) as looplab:
        elsewhere = looplab.db.rename(tmp_path / "elsewhere.db")
        for path in ("/", "/history", "/targets", "/runs/new"):
            assert "was deleted or moved while Looplab runs" in looplab.get(path).text
        refused = looplab.client.post("/api/runs", json=items_spec())
        assert (refused.status_code, refused.json()["error"]) == (503, "database")
        assert str(tmp_path) not in refused.text
        elsewhere.rename(looplab.db)
        assert "deleted or moved" not in looplab.get("/").text
        assert looplab.client.post("/api/runs", json=items_spec()).status_code == 202

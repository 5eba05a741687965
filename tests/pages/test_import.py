"""Bundles by page and API: chosen runs as a file, and what becomes of it elsewhere."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dashboard import BARE, Dashboard, long_spec
from tests.html import read_html
from tests.in_process import in_process
from tests.pages.stored import Stored, words


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    with in_process(tmp_path_factory.mktemp("elsewhere")) as started:
        yield started


def test_runs_go_to_another_dashboard_and_are_marked(stored: Stored, elsewhere: Dashboard) -> None:
    ids = [*stored.runs.classic, stored.runs.blocked]
    address = "/bundle?" + "&".join(f"run={run_id}" for run_id in ids)
    file = stored.looplab.client.get(address, headers={"Accept": "application/vnd.sqlite3"})
    assert file.status_code == 200
    assert file.headers["content-disposition"].endswith('.looplab"')
    form = read_html(elsewhere.get("/import").text).all("form")[0]
    assert form.attributes["enctype"] == "multipart/form-data"
    told = elsewhere.client.post("/import", files={"file": ("a.looplab", file.content)})
    assert "4 runs are new here" in words(told.text)
    assert file.headers["x-content-sha256"] in told.text
    twice = elsewhere.client.post("/import", files={"file": ("a.looplab", file.content)})
    assert "All of it was here already" in words(twice.text)
    again = elsewhere.client.post("/api/import", content=file.content)
    assert (again.status_code, again.json()["known"], again.json()["runs"]) == (200, 4, [])
    # The same pages as at home, each with where it comes from.
    for path in (f"/runs/{ids[2]}", f"/compare?runs={','.join(ids[:3])}", "/history"):
        here, there = elsewhere.get(path), stored.looplab.get(path)
        assert here.status_code == 200
        if path != "/history":
            titles = [read_html(page.text).all("h1")[0].text for page in (here, there)]
            assert titles[0] == titles[1]
        assert ("from bench" in words(here.text)) == (not path.startswith("/compare"))
    assert elsewhere.get(f"/runs/{ids[3]}").status_code == 200
    origin = elsewhere.run(ids[0])["origin"]
    assert (origin["machine"], origin["sha256"]) == ("bench", file.headers["x-content-sha256"])


def test_what_is_no_bundle_is_told_at_the_page(elsewhere: Dashboard) -> None:
    told = elsewhere.client.post("/import", files={"file": ("a.zip", b"PK")})
    assert told.status_code == 422
    assert "Nothing was imported This is no bundle" in words(told.text)
    program = elsewhere.client.post("/api/import", content=b"PK")
    assert (program.status_code, program.json()["error"]) == (422, "invalid")
    assert elsewhere.get("/bundle").status_code == 422
    assert elsewhere.get("/bundle?run=../../etc/passwd").status_code == 404


def test_an_import_waits_for_the_measurement(stored: Stored, elsewhere: Dashboard) -> None:
    bundle = stored.looplab.get(f"/bundle?run={stored.runs.failed}").content
    run_id = elsewhere.submit(long_spec(**BARE))
    elsewhere.until_state(run_id, {"running"})
    refused = elsewhere.client.post("/api/import", content=bundle)
    assert (refused.status_code, refused.json()["error"]) == (409, "conflict")
    assert refused.headers["retry-after"] == "1"
    assert elsewhere.get(f"/bundle?run={run_id}").status_code == 409
    elsewhere.cancel(run_id)


def test_folders_of_downloads_do_not_stay(
    stored: Stored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert stored.looplab.get(f"/bundle?run={stored.runs.failed}").status_code == 200
    assert list(tmp_path.iterdir()) == []

"""A server that is not installed is shown as such, with the line that brings it."""

import sys
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest

from control_plane.targets.configurations import install_servers
from tests.dashboard import Dashboard, dashboard, items_spec
from tests.html import read_html
from tests.pages.form_page import send

VIEWER = "the word of those who look"
WITHOUT_GRANIAN = "import sys\nsys.modules['granian'] = None\n"


@pytest.fixture
def looplab(tmp_path: Path) -> Iterator[Dashboard]:
    """Its interpreter finds no granian, as where it was never installed."""
    (tmp_path / "sitecustomize.py").write_text(WITHOUT_GRANIAN)
    environment = {"PYTHONPATH": str(tmp_path), "LOOPLAB_VIEWER_PASSWORD": VIEWER}
    with dashboard(tmp_path, environment=environment) as started:
        yield started


def test_it_is_shown_with_what_brings_it(looplab: Dashboard) -> None:
    missing = [
        configuration
        for configuration in looplab.get("/api/configurations").json()
        if not configuration["available"]
    ]
    assert {configuration["target"]["server"] for configuration in missing} == {"granian"}
    assert {configuration["missing_extra"] for configuration in missing} == {"servers"}
    page = looplab.get("/targets").text
    assert unescape(page).count(f"{install_servers()}</pre>") == len(missing)
    form = looplab.get("/runs/new").text
    for configuration in missing:
        assert not read_html(page).by_role("button", f"Start {configuration['name']} by hand")
        assert f'value="{configuration["name"]}"' not in form
    looks = {"Authorization": f"Bearer {VIEWER}"}
    shown = looplab.get("/targets", headers=looks).text
    assert (sys.executable in unescape(shown), shown.count("looplab[servers]")) == (False, 2)
    remedy = (
        "granian is not installed: it comes with the extra looplab[servers]. "
        "The Targets page and looplab doctor tell the command."
    )
    started = send(looplab, "/targets/start", [("name", missing[0]["name"])])
    assert (started.status_code, "granian is not installed" in started.text) == (422, True)
    refused = looplab.post("/api/runs", items_spec(target={"configuration": missing[0]["name"]}))
    assert refused.status_code == 422
    assert refused.json()["fields"][0]["message"] == remedy
    refused = looplab.post("/api/runs", items_spec(target=missing[0]["target"]))
    assert refused.status_code == 422
    assert refused.json()["fields"] == [
        {"field": "target.server", "message": remedy, "limit": None}
    ]

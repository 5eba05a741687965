"""WSGI applications were commands, and the wrong kind of server answered 500 without a word."""

import re
from collections.abc import Iterator
from html import unescape
from typing import Any

import pytest

from tests.dashboard import TERMINAL, Dashboard
from tests.in_process import in_process

SHOP = """
import time

def app(environ, start_response):
    if environ["PATH_INFO"] == "/slow":
        time.sleep(0.02)
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]

def make():
    return app

async def asgi(scope, receive, send):
    assert scope["type"] == "http"
    head = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]}
    await send(head)
    await send({"type": "http.response.body", "body": b""})
"""

SETTINGS = """
[applications.shop]
app = "shop:app"

[applications.made]
app = "shop:make"
factory = true

[applications.other]
app = "shop:asgi"
"""


@pytest.fixture(scope="module")
def looplab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    folder = tmp_path_factory.mktemp("wsgi")
    (folder / "shop.py").write_text(SHOP)
    settings = folder / "looplab.toml"
    settings.write_text(SETTINGS)
    with in_process(folder, settings) as looplab:
        yield looplab


def spec_of(**target: Any) -> dict[str, Any]:
    stream = {
        "requests": [{"path": "/"}],
        "load": {"model": "closed", "concurrency": 2},
        "stop": {"duration_s": 0.3},
    }
    return {"target": target, "workload": {"streams": [stream]}, "warmup_s": 0}


@pytest.mark.parametrize(
    "target",
    [
        {"application": "made", "server": "waitress", "threads": 2},
        {"application": "shop", "configuration": "gunicorn, 1 worker, gthread, 4 threads"},
        {"application": "made", "server": "gunicorn", "worker": "sync", "workers": 2,
         "reuse_port": False},
    ],
)  # fmt: skip
def test_a_wsgi_application_is_a_configuration(looplab: Dashboard, target: dict[str, Any]) -> None:
    document = spec_of(**target)
    if target.get("server") == "waitress":
        # More than it takes by default.
        stream = document["workload"]["streams"][0]
        stream["load"]["concurrency"] = 120
        stream["requests"] = [{"path": "/slow"}]
    run = looplab.finished(looplab.submit(document))
    if target.get("server") == "waitress":
        causes = {cause["cause"]: cause["text"] for cause in run["causes"]}
        asked = r"2 requests at once are served .*, (120 were asked|\d+ were in flight on average)"
        assert re.search(asked, causes["workers_full"])
    assert set(run["streams"][0]["statuses"]) == {"200"}
    assert not any(run["streams"][0]["errors"].values())
    used, workers = run["trials"][0]["target"], target.get("workers", 1)
    assert (used["workers"], used["restarts"]) == (workers, 0)
    assert run["spec"]["target"]["loop"] is None
    assert looplab.get(f"/api/runs/{run['id']}/gauges").json()["workers"] == []


@pytest.mark.parametrize(
    ("target", "hint"),
    [
        ({"application": "shop", "loop": "asyncio"}, "app is a WSGI application"),
        ({"application": "shop", "server": "gunicorn", "worker": "asgi", "reuse_port": False},
         "app is a WSGI application"),
        ({"application": "other", "server": "waitress"}, "app is an ASGI application"),
    ],
)  # fmt: skip
def test_the_wrong_kind_of_application_is_told_at_the_start(
    looplab: Dashboard, target: dict[str, Any], hint: str
) -> None:
    run = looplab.until_state(looplab.submit(spec_of(**target)), TERMINAL)
    assert (run["state"], run["reason"]) == ("failed", "start: target answers 500 to GET /")
    assert hint in unescape(looplab.get(f"/runs/{run['id']}").text)


@pytest.mark.parametrize(
    ("target", "field"),
    [
        ({"server": "waitress"}, "target.server"),
        ({"configuration": "waitress, 1 worker, 4 threads"}, "target.configuration"),
        ({"application": "shop", "server": "waitress", "workers": 2}, "target.workers"),
        ({"application": "shop", "server": "waitress", "loop": "uvloop"}, "target.loop"),
    ],
)
def test_what_does_not_fit_is_refused_at_the_field(
    looplab: Dashboard, target: dict[str, Any], field: str
) -> None:
    response = looplab.post("/api/runs", spec_of(**target))
    assert response.status_code == 422
    assert [error["field"] for error in response.json()["fields"]] == [field]

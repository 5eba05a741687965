"""A local application answers 400 to every Host but its own, and was asked by its address."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cases.conftest import CASES
from tests.dashboard import Dashboard
from tests.in_process import in_process

APPLICATIONS = """
[applications.strict]
app = "app:app"

[applications.trusted]
app = "trusted:app"
host = "shop.example"
"""

TRUSTED = """
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route

def seen(request):
    return PlainTextResponse("ok")

trust = Middleware(TrustedHostMiddleware, allowed_hosts=["shop.example", "localhost"])
app = Starlette(routes=[Route("/", seen)], middleware=[trust])
"""


@pytest.fixture(scope="module")
def looplab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    folder = tmp_path_factory.mktemp("hosts") / "R01"
    shutil.copytree(CASES / "R01", folder)
    (folder / "looplab.toml").write_text(APPLICATIONS)
    (folder / "trusted.py").write_text(TRUSTED)
    with in_process(folder, folder / "looplab.toml") as looplab:
        yield looplab


def hosts(looplab: Dashboard) -> set[str]:
    """Return each Host that the strict application was asked by since the last call."""
    seen: Path = looplab.db.parent / "hosts.txt"
    found = set(seen.read_text().split())
    seen.unlink()
    return found


def spec_of(target: dict[str, Any]) -> dict[str, Any]:
    stream = {
        "requests": [{"path": "/"}],
        "load": {"model": "closed", "concurrency": 2},
        "stop": {"requests": 20},
    }
    return {"target": target, "workload": {"streams": [stream]}, "warmup_s": 0}


@pytest.mark.parametrize(
    ("target", "host"),
    [
        ({"application": "strict"}, "localhost:{port}"),
        ({"application": "strict", "host": "127.0.0.1"}, "127.0.0.1"),
        ({"configuration": "uvicorn, 1 worker, asyncio", "application": "strict",
          "host": "localhost:80"}, "localhost:80"),
        ({"application": "trusted"}, "shop.example"),
        ({"application": "trusted", "host": "localhost"}, "localhost"),
        ({}, "localhost:{port}"),
    ],
)  # fmt: skip
def test_a_started_target_is_asked_by_a_name_that_it_accepts(
    looplab: Dashboard, target: dict[str, Any], host: str
) -> None:
    run = looplab.finished(looplab.submit(spec_of(target)))
    assert run["streams"][0]["statuses"] == {"200": 20}
    used = run["trials"][0]["target"]
    assert used["host"] == host.format(port=used["address"].rpartition(":")[2])
    assert used["address"].startswith("http://127.0.0.2:")
    if target.get("application") == "strict":
        assert hosts(looplab) == {used["host"]}


@pytest.mark.parametrize(
    "host", ["", "a b", "shop/", "localhost:0", "localhost:65536", "ä", "a\r\nb"]
)
def test_what_is_no_host_is_refused_at_the_field(looplab: Dashboard, host: str) -> None:
    for target in ({"host": host}, {"url": "http://127.0.0.1:9", "host": host}):
        response = looplab.post("/api/runs", spec_of(target))
        assert response.status_code == 422
        assert [error["field"] for error in response.json()["fields"]] == ["target.host"]

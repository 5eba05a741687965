"""The application put together: what is read late, and what a start does not import."""

import socket
import subprocess
import sys

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.testclient import TestClient

from control_plane.app import LateRouter, host_names, routes_of
from control_plane.settings import Settings


def router_of(*paths: str) -> APIRouter:
    made = APIRouter()
    for path in paths:
        made.add_api_route(path, lambda: "here")
    return made


def test_late_routes_are_read_with_the_first_request_that_nobody_before_takes() -> None:
    app, read = FastAPI(routes=[*router_of("/healthz").routes]), []

    def late(name: str, *paths: str) -> list:
        read.append(name)
        return router_of(*paths).routes

    pages = LateRouter(lambda: late("pages", "/history"))
    app.router.default = LateRouter(lambda: late("api", "/api/runs"), "/api/", pages)
    with TestClient(app) as client:
        assert (client.get("/healthz").json(), read) == ("here", [])
        assert (client.get("/history").json(), read) == ("here", ["pages"])
        assert (client.get("/api/runs").json(), read) == ("here", ["pages", "api"])
        assert [client.get(path).status_code for path in ("/nowhere", "/api/nowhere")] == [404] * 2
    assert {"GET /healthz", "GET /api/runs", "GET /history"} <= {*routes_of(app)}
    assert read == ["pages", "api"]


def test_late_routes_without_a_role_are_not_served() -> None:
    app = FastAPI()
    app.router.default = LateRouter(lambda: router_of("/history", "/forgotten").routes)
    with TestClient(app) as client:
        for _ in range(2):
            with pytest.raises(LookupError, match="GET /forgotten"):
                client.get("/history")


def test_a_start_imports_no_page_no_api_and_nothing_that_calculates() -> None:
    """They are a third of what it would take, and nobody may ask for them."""
    script = "import sys; from control_plane import cli, dashboard_server; print(*sys.modules)"
    command = [sys.executable, "-c", script]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    imported = set(told.stdout.split())
    assert {"control_plane.api.dashboard", "control_plane.jobs.queue"} <= imported
    assert not imported & {
        "jinja2", "numpy", "scipy", "aiohttp", "requests",
        "control_plane.api.runs", "control_plane.pages.home", "control_plane.jobs.run_job",
        "control_plane.analysis.summary", "control_plane.other_tools",
    }  # fmt: skip


def test_a_dashboard_on_all_addresses_is_called_by_each_and_by_the_name_of_the_machine() -> None:
    allowed = ("lab.example",)
    assert host_names(Settings(host="127.0.0.1", allowed_hosts=allowed)) == {"127.0.0.1", *allowed}
    for everywhere in ("0.0.0.0", "::"):
        names = host_names(Settings(host=everywhere, allowed_hosts=allowed))
        assert {everywhere, "127.0.0.1", socket.gethostname(), *allowed} <= names

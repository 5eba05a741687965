"""Each route of the real application is exactly one of public, viewer, operator."""

import subprocess
import sys
from pathlib import Path

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.testclient import TestClient

from control_plane.access.route_roles import ROUTES, LateRouter, role_of, routes_of
from control_plane.app import create_app
from control_plane.domain.application_report import SAFE_METHODS
from control_plane.jobs import Runtime
from control_plane.settings import Settings
from control_plane.store.store import open_store
from tests.dashboard import provide_database


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder: Path = tmp_path_factory.mktemp("policy")
    store = open_store(provide_database(folder / "runs.db"))
    runtime = Runtime(store.instance, folder, frozenset(), "normal")
    app = create_app(Settings(db=folder / "runs.db"), store, runtime)
    store.close()
    return list(routes_of(app))


def test_every_route_has_one_role(routes: list[str]) -> None:
    assert len(routes) > 10
    assert {role_of(route) for route in routes} == {"public", "viewer", "operator"}


def test_reading_is_for_viewers_and_changing_for_operators(routes: list[str]) -> None:
    for route in routes:
        if role_of(route) != "public":
            safe = route.split()[0] in SAFE_METHODS
            assert (role_of(route) == "operator") == (not safe), route


def test_only_what_tells_nothing_is_public(routes: list[str]) -> None:
    public = {route for route in routes if role_of(route) == "public"}
    entrance = {"GET /login", "GET /login/{code}", "POST /login", "POST /logout"}
    links = {route for route in public if route.startswith("GET /shared/{token}")}
    assert public - links == {"GET /healthz", "GET /metrics", "GET /static"} | entrance


def test_nothing_is_listed_that_does_not_exist(routes: list[str]) -> None:
    assert {route for listed in ROUTES.values() for route in listed} <= set(routes)


@pytest.mark.parametrize("route", ["GET /nowhere", "POST /", "get /", "", "GET /static/../x"])
def test_what_is_not_listed_has_no_role(route: str) -> None:
    assert role_of(route) is None


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
    assert {"control_plane.api.monitoring_and_targets", "control_plane.jobs.queue"} <= imported
    assert not imported & {
        "jinja2", "numpy", "scipy", "aiohttp", "requests",
        "control_plane.api.runs", "control_plane.pages.home", "control_plane.jobs.run_job",
        "control_plane.analysis.summary", "control_plane.other_tools",
    }  # fmt: skip

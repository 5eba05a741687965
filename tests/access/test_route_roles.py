"""Each route of the real application is exactly one of public, viewer, operator."""

from pathlib import Path

import pytest

from control_plane.access.route_roles import ROUTES, role_of
from control_plane.app import create_app, routes_of
from control_plane.domain.request import SAFE_METHODS
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

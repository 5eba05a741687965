"""HEAD on every route that has GET."""

from typing import cast

from fastapi import FastAPI
from fastapi.testclient import TestClient

from control_plane.app import routes_of
from tests.pages.stored import Stored


def test_every_route_that_has_get_answers_head_alike(stored: Stored) -> None:
    client = cast("TestClient", stored.looplab.client)
    run_id, other, _ = stored.runs.classic
    asked = 0
    for route in routes_of(cast("FastAPI", client.app)):
        method, path = route.split()
        if method != "GET" or path == "/static":
            continue
        address = path.replace("{run_id}", run_id).replace("{name}", "percentiles")
        query = f"?runs={run_id},{other}" if "compare" in path else ""
        head = client.head(f"{address}{query}", follow_redirects=False)
        get = client.get(f"{address}{query}", follow_redirects=False)
        assert (route, head.status_code, head.content) == (route, get.status_code, b"")
        assert head.headers.get("content-type") == get.headers.get("content-type")
        asked += 1
    assert asked > 30

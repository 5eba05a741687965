"""What a spec can name as its target, and the API's own description."""

from tests.dashboard import Dashboard


def test_configurations_are_targets_that_can_be_named(looplab: Dashboard) -> None:
    configurations = looplab.get("/api/configurations").json()
    names = {configuration["name"] for configuration in configurations}
    assert len(names) == len(configurations) >= 4
    first = configurations[0]
    assert set(first) == {"name", "target", "builtin", "available", "missing_extra"}
    assert first["target"]["server"] == "uvicorn"


def test_the_api_is_documented(looplab: Dashboard) -> None:
    schema = looplab.get("/openapi.json").json()
    assert {"/api/runs", "/api/runs/{run_id}", "/api/compare"} <= set(schema["paths"])
    assert "Spec" in schema["components"]["schemas"]
    page = looplab.get("/docs")
    assert page.status_code == 200
    assert "https://" not in page.text

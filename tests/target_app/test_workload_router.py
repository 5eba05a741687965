import pytest
from fastapi.routing import APIRoute

from target_app.main import needed
from target_app.target_settings import TargetSettings
from target_app.workload_router import Ready, WorkloadRouter

EMPTY: set[str] = set()


async def answer(name: str) -> str:
    """Something."""
    return name


def test_the_ready_request_is_complete() -> None:
    workload = WorkloadRouter("greetings", "Greetings.")
    ready = Ready({"number": {"kind": "sequence"}}, path="/hello/{number}")
    workload.serve("GET", "/hello/{name}", ready=ready, aliases=["/hi/{name}"])(answer)
    described, alias = (route for route in workload.routes if isinstance(route, APIRoute))
    assert described.openapi_extra
    extra = described.openapi_extra["x-looplab"]
    assert extra["request"]["path"] == "/hello/{number}"
    assert extra["request"]["values"] == {"number": {"kind": "sequence"}}
    assert extra["aliases"] == ["/hi/{name}"]
    assert alias.path == "/hi/{name}"
    assert not alias.include_in_schema


@pytest.mark.parametrize(
    ("path", "opened"),
    [
        ("/items/{item_id}", EMPTY),
        ("/items/7", EMPTY),
        ("/nowhere", EMPTY),
        ("/users/", {"database"}),
        ("/users/{email}", {"database"}),
        ("/users/thread/user7@example.com", {"database"}),
        ("/fetch-external-data", {"database", "upstream"}),
        ("/process-data/{message}", {"processes"}),
    ],
)
def test_announced_paths_tell_what_to_open(path: str, opened: set[str]) -> None:
    assert needed(TargetSettings(paths=("/", path))) == opened

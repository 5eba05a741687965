import json
import re
import subprocess
import sys

import httpx
import pytest
from pydantic import TypeAdapter

from control_plane.domain.spec import RequestClass
from tests.target_app.server import serving


def test_health(client: httpx.Client) -> None:
    assert client.get("/health").json() == {"status": "ok"}


def test_it_serves_itself_alone() -> None:
    with serving("target_app") as alone:
        assert alone.client.get("/items/7").json() == {"item_id": 7}


def test_the_catalogue_needs_no_server(client: httpx.Client) -> None:
    command = [sys.executable, "-m", "target_app", "--openapi"]
    printed = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    assert json.loads(printed) == client.get("/openapi.json").json()


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_its_own_documentation_answers(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    assert "openapi.json" in answer.text


def test_every_operation_has_a_ready_request(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    tags = {tag["name"] for tag in document["tags"]}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            ready = json.dumps(operation["x-looplab"]["request"])
            request = TypeAdapter(RequestClass).validate_json(ready)
            assert request.method == method.upper()
            assert re.fullmatch(re.sub(r"{\w+}", r"[^/]+", path), request.path)
            placeholders = set(re.findall(r"{(\w+)}", f"{request.path} {request.body}"))
            assert request.values.keys() == placeholders
            assert operation["description"]
            assert set(operation["tags"]) <= tags


def test_the_import_brings_nothing_that_only_some_workloads_need() -> None:
    heavy = {"sqlalchemy", "httpx", "multiprocessing", "uvicorn"}
    code = "import sys, target_app.main; print(*sys.modules)"
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True
    )
    assert heavy & set(answer.stdout.split()) == set()

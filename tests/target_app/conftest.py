"""One server for each test module."""

from collections.abc import Iterator

import httpx
import pytest

from tests.target_app.server import Server, serving


@pytest.fixture(scope="module")
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """Started with the module's ENVIRONMENT, if it has one."""
    environment = getattr(request.module, "ENVIRONMENT", {})
    with serving("uvicorn", "target_app.main:app", environment=environment) as running:
        yield running


@pytest.fixture(scope="module")
def client(server: Server) -> httpx.Client:
    return server.client

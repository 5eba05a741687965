from pathlib import Path

import pytest

from tests.target_app.server import children, serving, wait_until_gone

APPLICATION = ("uvicorn", "target_app.main:app")
ENVIRONMENT = {"TARGET_UPSTREAM_DELAY_S": "0.01"}


def test_it_is_there_only_once_it_is_needed() -> None:
    with serving(*APPLICATION, environment=ENVIRONMENT) as running:
        running.client.get("/items/1").raise_for_status()
        assert children(running.process, "target_app.upstream_server") == []
        running.client.get("/fetch-external-data").raise_for_status()
        assert len(children(running.process, "target_app.upstream_server")) == 1


def test_an_announced_path_brings_it_before_the_first_request() -> None:
    environment = ENVIRONMENT | {"TARGET_PATHS": "/fetch-external-data/sequential"}
    with serving(*APPLICATION, environment=environment) as running:
        upstreams = children(running.process, "target_app.upstream_server")
        assert len(upstreams) == 1
    wait_until_gone(upstreams)


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("/fetch-external-data", "target_app.upstream_server"),
        ("/process-data/process/{message}", "anyio.to_process"),
    ],
)
def test_no_helper_outlives_a_killed_server(path: str, word: str, tmp_path: Path) -> None:
    environment = ENVIRONMENT | {"TARGET_PATHS": path, "TARGET_DIRECTORY": str(tmp_path)}
    with serving(*APPLICATION, environment=environment) as running:
        helpers = children(running.process, word)
        assert helpers
        running.process.kill()
        running.process.wait()
        wait_until_gone(helpers)

"""Schemathesis reads the API's own description and sends what fits it and what does not."""

from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error

from tests.dashboard import Dashboard, dashboard

EXAMPLES = 250
"""For each of the operations: at least 2,000 cases together."""

SMALL = {
    "LOOPLAB_MAX_REQUESTS": "20",
    "LOOPLAB_MAX_CONCURRENCY": "2",
    "LOOPLAB_MAX_DURATION_S": "0.2",
    "LOOPLAB_MAX_WARMUP_S": "0.1",
    "LOOPLAB_MAX_TIMEOUT_S": "1",
    "LOOPLAB_MAX_TRIALS": "1",
    "LOOPLAB_MAX_WORKERS": "1",
    "LOOPLAB_MAX_QUEUE": "1",
}


@pytest.fixture(scope="module")
def looplab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    folder = tmp_path_factory.mktemp("schema")
    with dashboard(folder, environment=SMALL) as started:
        yield started
        assert "Traceback" not in (folder / "looplab.log").read_text()


@pytest.fixture(scope="module")
def api_schema(looplab: Dashboard) -> schemathesis.BaseSchema:
    return schemathesis.openapi.from_url(f"{looplab.url}/openapi.json")


schema = schemathesis.pytest.from_fixture("api_schema")


@schema.parametrize()
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_nothing_that_is_sent_breaks_the_server(case: schemathesis.Case) -> None:
    case.call_and_validate(checks=[not_a_server_error])
